import { z } from 'zod'
import { isJsonObject, type Json } from '../lib/json.ts'
import { type Connection, messageOf } from './connection.ts'
import type { UpstreamEvent, UpstreamLogprob, UpstreamTruncation, UpstreamUsage } from './engine.ts'
import { count, Logprob, milliseconds, Truncation, toLogprob, toTruncation, withLogprobs } from './shapes.ts'

const longestArguments = 16 * 1024 * 1024
const mostCalls = 256

const ToolCallDelta = z.object({
  index: z.int().nullish(),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish() }).nullish(),
})

const Delta = z.object({
  content: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  reasoning: z.string().nullish(),
  tool_calls: z.array(ToolCallDelta).nullish(),
})

/** Of `/v1/completions` as OpenAI had them at first. */
const OldLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
})

const Chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: Delta.nullish(),
        text: z.string().nullish(),
        finish_reason: z.string().nullish(),
        /** vLLM's and SGLang's: the stop string that was met. */
        stop_reason: z.unknown().optional(),
        matched_stop: z.unknown().optional(),
        /** Of a Paddock: what was written of a call when the reply ended. */
        incomplete_tool_call: z.string().nullish(),
        logprobs: z.union([z.object({ content: z.array(Logprob).nullish() }), OldLogprobs]).nullish(),
      }),
    )
    .nullish(),
  usage: z
    .object({
      prompt_tokens: count,
      completion_tokens: count,
      prompt_tokens_details: z.object({ cached_tokens: count }).nullish(),
      completion_tokens_details: z.object({ reasoning_tokens: count }).nullish(),
    })
    .nullish(),
  /** Of llama.cpp's server. */
  timings: z.object({ cache_n: count, prompt_ms: milliseconds, predicted_ms: milliseconds }).nullish(),
  truncation: Truncation.nullish(),
  error: z.unknown().optional(),
})
type Chunk = z.output<typeof Chunk>
type Choice = NonNullable<Chunk['choices']>[number]

/** One call while its pieces come. */
interface OpenCall {
  index: number | null
  id: string
  name: string
  arguments: string
}

/** Events of a stream of chunks, of chats and of bare completions alike. Throws when it ends before it is finished. */
export async function* chunkEvents(data: AsyncIterable<string>, connection: Connection): AsyncGenerator<UpstreamEvent, void, undefined> {
  const calls = new Calls(connection)
  let reason: string | null = null
  let stopString: string | null = null
  let usage: Partial<UpstreamUsage> = {}
  let truncation: UpstreamTruncation | undefined
  let pieces = 0
  for await (const text of data) {
    if (text === '[DONE]') {
      if (reason === null) break
      yield* calls.end()
      yield { type: 'done', reason: reason === 'length' ? 'length' : 'stop', stopString, usage: complete(usage, pieces), ...(truncation && { truncation }) }
      return
    }
    const chunk = connection.parse(Chunk, text)
    if (chunk.error !== undefined && chunk.error !== null) throw connection.refusal(statusOf(chunk.error), messageOf(chunk.error))
    usage = { ...usage, ...usageOf(chunk) }
    if (chunk.truncation) truncation = toTruncation(chunk.truncation)
    const [choice] = chunk.choices ?? []
    if (choice === undefined) continue
    const events = [...words(choice), ...calls.take(choice.delta?.tool_calls ?? [])]
    if (events.length > 0) pieces++
    yield* withLogprobs(events, logprobsOf(choice))
    if (choice.incomplete_tool_call) yield { type: 'broken-call', text: choice.incomplete_tool_call }
    if (choice.finish_reason) reason = choice.finish_reason
    const met = choice.stop_reason ?? choice.matched_stop
    if (typeof met === 'string') stopString = met
  }
  // Some engines leave the last line out; what counts is that they said why the reply ended.
  if (reason === null) throw connection.failure('ended its answer before it was finished')
  yield* calls.end()
  yield { type: 'done', reason: reason === 'length' ? 'length' : 'stop', stopString, usage: complete(usage, pieces), ...(truncation && { truncation }) }
}

function* words({ delta, text }: Choice): Generator<UpstreamEvent> {
  // Engines that renamed the field send both for a while, with the same words.
  const thinking = delta?.reasoning_content || delta?.reasoning
  if (thinking) yield { type: 'thinking', text: thinking }
  const content = delta?.content || text
  if (content) yield { type: 'text', text: content }
}

function logprobsOf({ logprobs }: Choice): UpstreamLogprob[] {
  if (!logprobs) return []
  if (!('tokens' in logprobs)) return (logprobs.content ?? []).map(toLogprob)
  const one = (token: string, logprob: number) => ({ token, logprob, bytes: [...Buffer.from(token)] })
  return logprobs.tokens.map((token, at) => ({
    ...one(token, logprobs.token_logprobs[at] ?? 0),
    top: Object.entries(logprobs.top_logprobs?.[at] ?? {}).map(([other, logprob]) => one(other, logprob)),
  }))
}

function usageOf({ usage, timings }: Chunk): Partial<UpstreamUsage> {
  return Object.fromEntries(
    Object.entries({
      promptTokens: usage?.prompt_tokens,
      completionTokens: usage?.completion_tokens,
      cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? timings?.cache_n,
      thinkingTokens: usage?.completion_tokens_details?.reasoning_tokens,
      promptMs: timings?.prompt_ms,
      generateMs: timings?.predicted_ms,
    }).filter(([, value]) => value !== undefined && value !== null),
  )
}

/** @param pieces of the reply as they came: about its tokens, where the engine does not count */
function complete(usage: Partial<UpstreamUsage>, pieces: number): UpstreamUsage {
  const unknown = { promptTokens: null, cachedTokens: null, completionTokens: pieces, thinkingTokens: null, loadMs: null, promptMs: null, generateMs: null }
  return { ...unknown, ...usage }
}

function statusOf(error: unknown): number {
  const code = isJsonObject(error) ? error.code : null
  return typeof code === 'number' && code >= 400 && code < 600 ? code : 500
}

/** Joins the pieces of tool calls; each is given whole. */
class Calls {
  readonly #connection: Connection
  #current: OpenCall | null = null
  #given = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  *take(deltas: z.output<typeof ToolCallDelta>[]): Generator<UpstreamEvent> {
    for (const { index = null, id, function: piece } of deltas) {
      const current = this.#current
      // Some engines number every call 0, so a new id with a new name begins another one too.
      const another = current === null || index !== current.index || (!!id && id !== current.id && !!piece?.name)
      if (another) {
        yield* this.end()
        this.#current = { index, id: id ?? '', name: '', arguments: '' }
      }
      const open = this.#current as OpenCall
      open.id ||= id ?? ''
      open.name += piece?.name ?? ''
      const given = piece?.arguments ?? ''
      open.arguments += typeof given === 'string' ? given : JSON.stringify(given)
      if (open.arguments.length + open.name.length > longestArguments) throw this.#connection.failure('writes a tool call without an end')
    }
  }

  /** The call that was being written; one that was cut off is told as such. */
  *end(): Generator<UpstreamEvent> {
    const call = this.#current
    this.#current = null
    if (call === null) return
    if (this.#given === mostCalls) throw this.#connection.failure(`writes more than ${mostCalls} tool calls`)
    const given = argumentsOf(call.arguments)
    if (given === null) yield { type: 'broken-call', text: `${call.name}${call.arguments}` }
    else yield { type: 'tool-call', call: { id: call.id, index: this.#given++, name: call.name, arguments: given } }
  }
}

function argumentsOf(text: string): Record<string, Json> | null {
  if (text.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
