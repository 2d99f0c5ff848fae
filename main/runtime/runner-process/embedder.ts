import { AppError } from '../../errors.ts'
import { Context } from '../llama/context.ts'
import { Batch } from '../llama/memory.ts'
import type { Model } from '../llama/model.ts'
import type { EmbedRequest, EmbedResult } from '../protocol.ts'
import { ContextExceeded } from './prompt.ts'

/** Inputs of one decode at most. */
const sequences = 64
/** Tokens of the smallest batch; larger ones are powers of two. */
const leastBatch = 512
/**
 * Tokens of one decode on a processor, unless one input is longer: each token is scored against all of the decode, other inputs' too, so the work grows with
 * the square. 704 tokens of 32 sentences: 95 ms at once, 89 ms in pieces of 192 to 256, 157 ms in pieces of 48.
 */
const processorTokens = 256

/** Turns texts into vectors, many in one decode. */
export class Embedder {
  readonly #model: Model
  #context: Context | null = null
  #batch: Batch | null = null
  #threads = 0
  readonly #decodeTokens: number

  constructor(model: Model) {
    this.#model = model
    this.#decodeTokens = model.devices.every((device) => device === 'CPU') ? processorTokens : Number.POSITIVE_INFINITY
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedResult> {
    const inputs = request.inputs.map((input) => this.#tokens(input, request))
    const longest = inputs.reduce((most, { length }) => Math.max(most, length), 0)
    const context = await this.#contextFor(longest, request)
    const adapters = await Promise.all(request.adapters.map(async ({ file, scale }) => ({ adapter: await this.#model.adapter(file), scale })))
    context.setAdapters(adapters)
    const embeddings: number[][] = []
    while (embeddings.length < inputs.length) {
      signal.throwIfAborted()
      embeddings.push(...(await this.#decode(context, inputs.slice(embeddings.length))))
    }
    return { embeddings, tokens: inputs.map(({ length }) => length) }
  }

  free(): void {
    this.#context?.free()
    this.#context = null
  }

  /** Evaluates as many of the inputs as fit into one batch. */
  async #decode(context: Context, inputs: readonly number[][]): Promise<number[][]> {
    const batch = this.#batch as Batch
    batch.clear()
    const lastRows: number[] = []
    for (const tokens of inputs) {
      if (lastRows.length === context.sequences || tokens.length > batch.room) break
      if (lastRows.length > 0 && batch.size + tokens.length > this.#decodeTokens) break
      const sequence = lastRows.length
      let row = -1
      tokens.forEach((token, position) => {
        row = batch.add(token, position, sequence, true)
      })
      lastRows.push(row)
    }
    context.clear()
    const code = await context.decode(batch)
    if (code !== 0) throw new AppError('internal', `llama.cpp could not evaluate the input (llama_decode: ${code})`)
    return lastRows.map((row, sequence) => Array.from(context.embedding(sequence, row)))
  }

  /** Special tokens stay at the end when the text before them is cut. */
  #tokens(input: string | number[], { contextLength, truncate }: EmbedRequest): number[] {
    const model = this.#model
    const limit = Math.min(contextLength, model.trainedContextLength || contextLength)
    if (typeof input !== 'string') model.checkTokens(input)
    const tokens = typeof input === 'string' ? model.tokenize(input, { addSpecial: true, parseSpecial: true }) : input
    if (tokens.length === 0) return [emptyToken(model)]
    if (tokens.length <= limit) return tokens
    if (!truncate || limit < 1) throw new ContextExceeded(tokens.length, limit)
    const last = tokens.at(-1) as number
    const closes = typeof input === 'string' && model.tokenize('', { addSpecial: true, parseSpecial: true }).at(-1) === last
    return closes ? [...tokens.slice(0, limit - 1), last] : tokens.slice(0, limit)
  }

  async #contextFor(longest: number, { batchSize, threads }: EmbedRequest): Promise<Context> {
    const known = this.#context
    if (known !== null && this.#threads === threads && known.batchSize >= longest) return known
    const room = Math.max(leastBatch, batchSize, longest)
    this.free()
    const context = await Context.forEmbeddings(this.#model, { batchSize: 2 ** Math.ceil(Math.log2(room)), sequences, threads })
    this.#context = context
    this.#batch = new Batch(context.batchSize)
    this.#threads = threads
    return context
  }
}

/** What an empty text is when the vocabulary adds nothing to it. */
function emptyToken({ bosToken, eosToken }: Model): number {
  return bosToken >= 0 ? bosToken : eosToken >= 0 ? eosToken : 0
}
