import { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Json, JsonObject } from '../lib/json.ts'
import type { Connection } from './connection.ts'
import type {
  UpstreamChat,
  UpstreamClient,
  UpstreamCompletion,
  UpstreamEmbedding,
  UpstreamEvent,
  UpstreamMessage,
  UpstreamModel,
  UpstreamRerank,
} from './engine.ts'
import { lines } from './lines.ts'
import { lineEvents } from './ollama-stream.ts'
import { count, Id, itsOwn, largestListBytes, mostModels, Onward, Vector } from './shapes.ts'

/** What a chat and a prompt have in common. */
type SharedField = 'model' | 'options' | 'format' | 'think' | 'lenientThink' | 'topLogprobs' | 'keepAliveMs' | 'truncate' | 'shift'

const text = z.string().max(200).nullish().catch(null)

const ModelList = z.object({
  models: z
    .array(
      z.object({
        name: Id,
        modified_at: z.string().nullish().catch(null),
        size: z.number().min(0).nullish().catch(null),
        digest: z.string().nullish().catch(null),
        details: z
          .object({ family: text, parameter_size: text, quantization_level: text, context_length: z.int().min(1).nullish().catch(null) })
          .nullish()
          .catch(null),
        capabilities: z.array(z.string().max(50)).max(50).nullish().catch(null),
        upstream: Onward,
      }),
    )
    .max(mostModels)
    .nullable(),
})

const Shown = z.record(z.string(), z.unknown())
const Embeddings = z.object({ embeddings: z.array(Vector), prompt_eval_count: count })
const Tokens = z.object({ tokens: z.array(z.int()) })
const Detokenized = z.object({ text: z.string() })
const Rendered = z.object({ _debug_info: z.object({ rendered_template: z.string() }) })
const Ranks = z.object({
  results: z.array(z.object({ index: z.int().min(0), relevance_score: z.number() })),
  usage: z.object({ prompt_tokens: count }).nullish(),
})

/** Ollama's protocol, and the routes that a Paddock adds to it. */
export class OllamaClient implements UpstreamClient {
  readonly #connection: Connection
  /** What the models can do, as last listed. */
  #capabilities = new Map<string, string[]>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async models(signal: AbortSignal): Promise<UpstreamModel[]> {
    const { models } = await this.#connection.json(ModelList, 'GET', '/api/tags', null, signal, largestListBytes)
    const listed = itsOwn(models).map(({ name, modified_at: modified, size, digest, details, capabilities }) => ({
      id: name,
      modifiedAt: dateOf(modified),
      sizeBytes: size ?? 0,
      digest: /^[0-9a-f]{64}$/.test(digest ?? '') ? (digest ?? '') : '',
      family: details?.family ?? '',
      parameterSize: details?.parameter_size ?? '',
      quantizationLevel: details?.quantization_level ?? '',
      contextLength: details?.context_length ?? null,
      capabilities: capabilities ?? ['completion'],
    }))
    this.#capabilities = new Map(listed.map(({ id, capabilities }) => [id.toLowerCase(), capabilities]))
    return listed
  }

  async show(model: string, signal: AbortSignal): Promise<JsonObject> {
    return (await this.#connection.json(Shown, 'POST', '/api/show', { model }, signal, largestListBytes)) as JsonObject
  }

  async *chat(request: UpstreamChat, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    yield* this.#stream('/api/chat', this.#chatBody(request), signal)
  }

  async *complete(request: UpstreamCompletion, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    const { prompt, promptTokens, suffix, system, template, context, images, raw } = request
    if (promptTokens !== null) throw new AppError('invalid-request', "an engine that speaks Ollama's protocol takes no token ids: send the prompt's text")
    const body = {
      ...this.#shared(request),
      prompt,
      raw,
      ...(suffix !== '' && { suffix }),
      ...(system !== null && { system }),
      ...(template !== null && { template }),
      ...(context !== null && { context }),
      ...(images.length > 0 && { images: images.map(base64) }),
    }
    yield* this.#stream('/api/generate', body, signal)
  }

  async embed(request: UpstreamEmbedding, signal: AbortSignal): Promise<{ embeddings: number[][]; promptTokens: number }> {
    const { model, input, truncate, dimensions, options, keepAliveMs } = request
    if (input.some((item) => typeof item !== 'string'))
      throw new AppError('invalid-request', "an engine that speaks Ollama's protocol embeds texts, not tokens")
    const body: JsonObject = { model, input, truncate, options, ...(dimensions > 0 && { dimensions }), ...keepAlive(keepAliveMs) }
    const { embeddings, prompt_eval_count: read } = await this.#connection.json(Embeddings, 'POST', '/api/embed', body, signal)
    if (embeddings.length !== input.length) throw this.#connection.failure(`gives ${embeddings.length} vectors for ${input.length} texts`)
    return { embeddings, promptTokens: read ?? 0 }
  }

  async count(request: UpstreamChat, signal: AbortSignal): Promise<number> {
    const body = { ...this.#chatBody(request), stream: false, _debug_render_only: true }
    const { _debug_info: rendered } = await this.#ofPaddock(() => this.#connection.json(Rendered, 'POST', '/api/chat', body, signal))
    return (await this.tokenize(request.model, rendered.rendered_template, { addSpecial: true, parseSpecial: true }, signal)).length
  }

  async tokenize(model: string, given: string, how: { addSpecial: boolean; parseSpecial: boolean }, signal: AbortSignal): Promise<number[]> {
    const body = { model, text: given, add_special: how.addSpecial, parse_special: how.parseSpecial }
    return (await this.#ofPaddock(() => this.#connection.json(Tokens, 'POST', '/api/tokenize', body, signal))).tokens
  }

  async detokenize(model: string, tokens: number[], signal: AbortSignal): Promise<string> {
    return (await this.#ofPaddock(() => this.#connection.json(Detokenized, 'POST', '/api/detokenize', { model, tokens }, signal))).text
  }

  async rerank(
    { model, query, documents }: UpstreamRerank,
    signal: AbortSignal,
  ): Promise<{ scores: { index: number; score: number }[]; promptTokens: number }> {
    const { results, usage } = await this.#ofPaddock(() => this.#connection.json(Ranks, 'POST', '/api/rerank', { model, query, documents }, signal))
    return { scores: results.map(({ index, relevance_score: score }) => ({ index, score })), promptTokens: usage?.prompt_tokens ?? 0 }
  }

  #chatBody(request: UpstreamChat): JsonObject {
    const { messages, tools, toolChoice } = request
    if (toolChoice === 'required' || typeof toolChoice === 'object')
      throw new AppError(
        'invalid-request',
        "an engine that speaks Ollama's protocol cannot be made to call a tool: add it with --protocol openai for tool_choice",
      )
    return { ...this.#shared(request), messages: messages.map(messageBody), ...(tools.length > 0 && toolChoice === 'auto' && { tools }) }
  }

  #shared({ model, options, format, think, lenientThink, topLogprobs, keepAliveMs, truncate, shift }: Pick<UpstreamChat, SharedField>) {
    const lacksThinking = this.#capabilities.get(model.toLowerCase())?.includes('thinking') === false
    const asked = think === null || (lenientThink && lacksThinking) ? {} : { think }
    return {
      model,
      stream: true,
      options: { ...options, ...(format?.type === 'grammar' && { grammar: format.gbnf }) },
      ...(format !== null && format.type !== 'grammar' && { format: format.type === 'json' ? 'json' : format.schema }),
      ...asked,
      ...(topLogprobs !== null && { logprobs: true, top_logprobs: topLogprobs }),
      ...(!truncate && { truncate }),
      ...(!shift && { shift }),
      ...keepAlive(keepAliveMs),
    } satisfies JsonObject
  }

  async *#stream(path: string, body: JsonObject, signal: AbortSignal): AsyncGenerator<UpstreamEvent, void, undefined> {
    const chunks = await this.#connection.stream(path, body, 'application/x-ndjson', signal)
    yield { type: 'accepted' }
    yield* lineEvents(
      lines(chunks, (what) => this.#connection.failure(what)),
      this.#connection,
    )
  }

  /** A route that Ollama itself does not have, or answers otherwise. */
  async #ofPaddock<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (cause) {
      if (!(cause instanceof AppError)) throw cause
      const missing = /404 page not found$/.test(cause.message) || cause.code === 'upstream-failed'
      throw missing ? new AppError('not-implemented', `the engine that runs this model cannot do this (${cause.message})`, { cause }) : cause
    }
  }
}

function messageBody({ role, content, thinking, images, toolCalls, toolName, toolCallId }: UpstreamMessage): JsonObject {
  return {
    role,
    content,
    ...(thinking !== undefined && { thinking }),
    ...(images !== undefined && { images: images.map(base64) }),
    ...(toolCalls !== undefined && {
      tool_calls: toolCalls.map(({ id, index, name, arguments: given }) => ({ ...(id !== '' && { id }), function: { index, name, arguments: given } })),
    }),
    ...(toolName !== undefined && { tool_name: toolName }),
    ...(toolCallId !== undefined && { tool_call_id: toolCallId }),
  }
}

function keepAlive(ms: number | null): Record<string, Json> {
  if (ms === null) return {}
  return { keep_alive: Number.isFinite(ms) ? `${Math.max(0, Math.round(ms))}ms` : -1 }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function dateOf(given: string | null | undefined): Date | null {
  const date = new Date(given ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? null : date
}
