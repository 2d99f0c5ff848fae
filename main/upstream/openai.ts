import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { Connection } from './connection.ts'
import type { UpstreamChat, UpstreamClient, UpstreamCompletion, UpstreamEmbedding, UpstreamEvent, UpstreamModel, UpstreamRerank } from './engine.ts'
import { eventData, lines } from './lines.ts'
import { chatBody, completionBody, messagesBody } from './openai-request.ts'
import { chunkEvents } from './openai-stream.ts'
import { count, Id, itsOwn, largestListBytes, mostModels, Onward, Vector } from './shapes.ts'

const positive = z.int().min(1).nullish().catch(null)

const ModelList = z.object({
  data: z
    .array(
      z.object({
        id: Id,
        created: z.number().min(0).max(8e9).nullish().catch(null),
        /** The length of the context by the names that vLLM and SGLang, LM Studio and Ray Serve, and llama.cpp's server give it. */
        max_model_len: positive,
        max_context_length: positive,
        meta: z.object({ n_ctx: positive, n_ctx_train: positive }).nullish().catch(null),
        upstream: Onward,
      }),
    )
    .max(mostModels)
    .nullable(),
})

const Embeddings = z.object({
  data: z.array(z.object({ index: z.int().min(0).nullish(), embedding: Vector })),
  usage: z.object({ prompt_tokens: count }).nullish(),
})

const Tokens = z.object({ tokens: z.array(z.int()).nullish(), count: z.int().min(0).nullish() })
const Text = z.object({ prompt: z.string().nullish(), content: z.string().nullish() })
const Ranks = z.object({
  results: z.array(z.object({ index: z.int().min(0), relevance_score: z.number() })),
  usage: z.object({ prompt_tokens: count, total_tokens: count }).nullish(),
})

/** OpenAI's protocol, with what vLLM, SGLang, llama.cpp's server and LM Studio add to it. */
export class OpenAIClient implements UpstreamClient {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async models(signal: AbortSignal): Promise<UpstreamModel[]> {
    const { data } = await this.#connection.json(ModelList, 'GET', '/v1/models', null, signal, largestListBytes)
    return itsOwn(data).map(({ id, created, max_model_len: served, max_context_length: largest, meta }) => ({
      id,
      modifiedAt: created ? new Date(created * 1000) : null,
      sizeBytes: 0,
      digest: '',
      family: '',
      parameterSize: '',
      quantizationLevel: '',
      contextLength: served ?? meta?.n_ctx ?? largest ?? meta?.n_ctx_train ?? null,
      capabilities: capabilitiesOf(id),
    }))
  }

  async show(): Promise<null> {
    return null
  }

  async *chat(request: UpstreamChat, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    yield* this.#stream('/v1/chat/completions', chatBody(request), signal)
  }

  async *complete(request: UpstreamCompletion, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    if (request.template !== null || request.context !== null)
      throw new AppError('invalid-request', "an engine that speaks OpenAI's protocol takes neither template nor context")
    if (request.raw || request.bare || request.promptTokens !== null || request.suffix !== '')
      yield* this.#stream('/v1/completions', completionBody(request), signal)
    else yield* this.chat(oneTurn(request), signal)
  }

  async embed({ model, input, dimensions }: UpstreamEmbedding, signal: AbortSignal): Promise<{ embeddings: number[][]; promptTokens: number }> {
    const body: JsonObject = { model, input, encoding_format: 'float', ...(dimensions > 0 && { dimensions }) }
    const { data, usage } = await this.#connection.json(Embeddings, 'POST', '/v1/embeddings', body, signal)
    if (data.length !== input.length) throw this.#connection.failure(`gives ${data.length} vectors for ${input.length} texts`)
    const embeddings = data.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0)).map(({ embedding }) => embedding)
    return { embeddings, promptTokens: usage?.prompt_tokens ?? 0 }
  }

  /** By vLLM's route, which takes a chat; else by llama.cpp's two. */
  async count({ model, messages, tools, toolChoice }: UpstreamChat, signal: AbortSignal): Promise<number> {
    const body: JsonObject = { model, messages: messagesBody(messages), ...(tools.length > 0 && toolChoice !== 'none' && { tools }) }
    return await this.#optional(async () => {
      const { count: counted } = await this.#connection.json(Tokens, 'POST', '/tokenize', body, signal)
      if (typeof counted === 'number') return counted
      const { prompt } = await this.#connection.json(Text, 'POST', '/apply-template', body, signal)
      return (await this.tokenize(model, prompt ?? '', { addSpecial: true, parseSpecial: true }, signal)).length
    })
  }

  /** Both engines that have the route find their own fields. */
  async tokenize(model: string, text: string, how: { addSpecial: boolean; parseSpecial: boolean }, signal: AbortSignal): Promise<number[]> {
    const forVllm = { model, prompt: text, add_special_tokens: how.addSpecial }
    const body = { ...forVllm, content: text, add_special: how.addSpecial, parse_special: how.parseSpecial }
    const { tokens } = await this.#optional(() => this.#connection.json(Tokens, 'POST', '/tokenize', body, signal))
    if (!tokens) throw this.#connection.failure('gives no tokens')
    return tokens
  }

  async detokenize(model: string, tokens: number[], signal: AbortSignal): Promise<string> {
    const { prompt, content } = await this.#optional(() => this.#connection.json(Text, 'POST', '/detokenize', { model, tokens }, signal))
    return prompt ?? content ?? ''
  }

  async rerank(
    { model, query, documents }: UpstreamRerank,
    signal: AbortSignal,
  ): Promise<{ scores: { index: number; score: number }[]; promptTokens: number }> {
    const { results, usage } = await this.#optional(() => this.#connection.json(Ranks, 'POST', '/v1/rerank', { model, query, documents }, signal))
    return {
      scores: results.map(({ index, relevance_score: score }) => ({ index, score })),
      promptTokens: usage?.prompt_tokens ?? usage?.total_tokens ?? 0,
    }
  }

  async *#stream(path: string, body: JsonObject, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    const fail = (what: string) => this.#connection.failure(what)
    const chunks = await this.#connection.stream(path, body, 'text/event-stream', signal)
    yield { type: 'accepted' }
    yield* chunkEvents(eventData(lines(chunks, fail), fail), this.#connection)
  }

  /** A route that not every engine has: where it is not there, that is said. */
  async #optional<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (cause) {
      if (cause instanceof AppError && cause.code === 'model-not-found')
        throw new AppError('not-implemented', `the engine that runs this model cannot do this (${cause.message})`, { cause })
      throw cause
    }
  }
}

/** The protocol does not say what a model can do: all that it can carry, but for those that are made for vectors. */
function capabilitiesOf(id: string): string[] {
  return /embed|minilm|(^|[/_-])(bge|gte|e5)[_-]|rerank/i.test(id) ? ['embedding'] : ['tools', 'thinking', 'completion']
}

function oneTurn(request: UpstreamCompletion): UpstreamChat {
  const { prompt, images, system } = request
  return {
    ...request,
    messages: [...(system ? [{ role: 'system', content: system }] : []), { role: 'user', content: prompt, ...(images.length > 0 && { images }) }],
    tools: [],
    toolChoice: 'auto',
    parallelCalls: true,
    templateVariables: {},
  }
}
