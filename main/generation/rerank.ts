import { AppError } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { Lease } from '../runtime/lease.ts'
import type { LoadedInfo } from '../runtime/protocol.ts'
import { defaultThreads } from '../runtime/threads.ts'
import { embedSettings } from './embed.ts'
import type { RawOptions } from './events.ts'
import { acquire } from './lease.ts'
import { findModel } from './models.ts'
import { resolveOptions } from './options.ts'
import type { GenerationServices } from './services.ts'

export interface RerankRequest {
  model: string
  query: string
  documents: string[]
  options: RawOptions
  keepAliveMs: number | null
}

export interface RankedDocument {
  /** Place in the request. */
  index: number
  /** 0 to 1 from a rank head; a cosine, -1 to 1, from an embedding model. */
  score: number
  /** Its end was cut off to fit the model's context (P1). */
  truncated: boolean
}

export interface RerankResult {
  /** A head that was trained to judge pairs, or the likeness of two vectors. */
  method: 'rank-head' | 'embedding'
  /** The best first; equals in the order of the request. */
  documents: RankedDocument[]
  promptTokens: number
  totalMs: number
  loadMs: number
}

export type Rerank = (request: RerankRequest, signal: AbortSignal) => Promise<RerankResult>

/** One input for the runner: a query with a document, or either alone. */
interface Input {
  tokens: number[]
  truncated: boolean
}

/** llama.cpp's number for files whose head gives a rank. */
const rankPooling = 4

/** Orders documents by how well they answer a query. */
export function createRerank(services: GenerationServices): Rerank {
  const threads = defaultThreads()
  return async function rerank(request, signal) {
    const startedAt = performance.now()
    const model = await findModel(services, request.model)
    const method = methodOf(model, request.model)
    const options = resolveOptions(request.options, model.parameters)
    await using lease = await acquire(services, model, { placement: options.placement, keepAliveMs: request.keepAliveMs }, signal)
    const settings = embedSettings(lease, model, options.placement, threads)
    const { contextLength } = settings
    const read = method === 'rank-head' ? pairs(lease, model, request, contextLength, signal) : singles(lease, request, contextLength, signal)
    const inputs = await read
    const { embeddings, tokens } = await lease.runner.embed({ ...settings, inputs: inputs.map((input) => input.tokens), truncate: false }, signal)
    const scores = method === 'rank-head' ? embeddings.map((output) => rankOf(output, model)) : likeness(embeddings)
    const documents = inputs.slice(-request.documents.length).map(({ truncated }, index) => ({ index, score: finite(scores[index]), truncated }))
    return {
      method,
      documents: documents.sort((a, b) => b.score - a.score),
      promptTokens: tokens.reduce((sum, count) => sum + count, 0),
      totalMs: performance.now() - startedAt,
      loadMs: lease.loadMs,
    }
  }
}

function methodOf(model: Model, name: string): RerankResult['method'] {
  if (model.header.poolingType === rankPooling) return 'rank-head'
  if (model.capabilities.includes('embedding')) return 'embedding'
  throw new AppError('invalid-request', `"${name}" does not support rerank: it is neither a reranker nor an embedding model`)
}

/** The query with each document, as the model was trained to read them. */
async function pairs(lease: Lease, model: Model, { query, documents }: RerankRequest, limit: number, signal: AbortSignal): Promise<Input[]> {
  const template = model.header.namedTemplates.rerank
  const plain = { addSpecial: false, parseSpecial: template !== undefined }
  if (template === undefined) {
    const [queryTokens = [], ...rest] = await lease.runner.tokenize([query, ...documents], plain, signal)
    return rest.map((document) => joined(lease.runner.info, queryTokens, document, limit))
  }
  const render = (document: string) => template.replace(/\{(query|document)\}/g, (_, part) => (part === 'query' ? query : document))
  const whole = await lease.runner.tokenize(documents.map(render), plain, signal)
  return await Promise.all(
    whole.map(async (all, at) => {
      let tokens = all
      let [kept = []] = tokens.length > limit ? await lease.runner.tokenize([documents[at] as string], plain, signal) : []
      while (tokens.length > limit) {
        // What is left over can cut into other tokens than before, so one cut may not be enough.
        const room = kept.length - (tokens.length - limit)
        if (room < 1) throw noRoom(tokens.length - kept.length, limit)
        kept = kept.slice(0, room)
        ;[tokens = []] = await lease.runner.tokenize([render(await lease.runner.detokenize(kept, signal))], plain, signal)
      }
      return { tokens, truncated: tokens !== all }
    }),
  )
}

/** Query and document in one input, joined as llama.cpp's server does (`format_prompt_rerank`); what does not fit is cut off the document's end. */
export function joined(
  { bosToken, eosToken, sepToken, addsBos, addsEos, addsSep }: Pick<LoadedInfo, 'bosToken' | 'eosToken' | 'sepToken' | 'addsBos' | 'addsEos' | 'addsSep'>,
  query: readonly number[],
  document: readonly number[],
  limit: number,
): Input {
  const end = addsEos ? [eosToken >= 0 ? eosToken : sepToken] : []
  const head = [...(addsBos ? [bosToken] : []), ...query, ...end, ...(addsSep ? [sepToken] : [])]
  const room = limit - head.length - end.length
  if (room < Math.min(1, document.length)) throw noRoom(head.length + end.length, limit)
  return { tokens: [...head, ...document.slice(0, room), ...end], truncated: document.length > room }
}

function noRoom(needed: number, limit: number): AppError {
  return new AppError('context-exceeded', `the query takes ${needed} of the ${limit} tokens that the model reads at once: no room is left for a document`)
}

/** The query and the documents, each as the model embeds it. */
async function singles(lease: Lease, { query, documents }: RerankRequest, limit: number, signal: AbortSignal): Promise<Input[]> {
  const [empty = [], ...inputs] = await lease.runner.tokenize(['', query, ...documents], { addSpecial: true, parseSpecial: true }, signal)
  const queryLength = inputs[0]?.length ?? 0
  if (queryLength > limit) throw new AppError('context-exceeded', `the query has ${queryLength} tokens, the model reads ${limit} at once`)
  return inputs.map((tokens) => {
    if (tokens.length <= limit) return { tokens, truncated: false }
    // The token that closes every input stays.
    const closing = empty.at(-1) === tokens.at(-1) ? tokens.slice(-1) : []
    return { tokens: [...tokens.slice(0, limit - closing.length), ...closing], truncated: true }
  })
}

/** The head's first output; llama.cpp has already made a probability of a Qwen3's two (`build_pooling`), others give a logit. */
function rankOf([output = Number.NaN]: number[], model: Model): number {
  return model.header.architecture.startsWith('qwen3') ? output : 1 / (1 + Math.exp(-output))
}

/** The cosine of the first vector with each of the others. */
function likeness([query = [], ...documents]: number[][]): number[] {
  const length = Math.hypot(...query)
  return documents.map((vector) => {
    const dot = vector.reduce((sum, value, index) => sum + value * (query[index] ?? 0), 0)
    return dot / Math.max(length * Math.hypot(...vector), 1e-12)
  })
}

function finite(score: number | undefined): number {
  if (score === undefined || !Number.isFinite(score)) throw new AppError('invalid-request', 'the model gives no score for this input')
  return score
}
