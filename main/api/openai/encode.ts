import { randomBytes } from 'node:crypto'
import type { GenerationEvent, Usage } from '../../generation/events.ts'
import type { Done, Reply } from '../../generation/fold.ts'
import type { ToolCall } from '../../prompt/messages.ts'
import type { TokenLogprob } from '../../runtime/protocol.ts'
import { brokenCallField, logprobEntry, type Rendered, truncationField } from '../reply.ts'
import type { Failure } from '../trace.ts'
import { type Encoder, json } from '../wire.ts'
import type { ChoiceEvent, Ends } from './choices.ts'

const fingerprint = 'fp_ollama'
/** The end of every stream. */
export const finished = 'data: [DONE]\n\n'

/** What names one answer; the same in every chunk of a stream. */
export interface Envelope {
  id: string
  created: number
  model: string
  system_fingerprint: string
}

export function envelope(prefix: 'chatcmpl' | 'cmpl', model: string): Envelope {
  return { id: `${prefix}-${randomBytes(12).toString('hex')}`, created: unixSeconds(), model, system_fingerprint: fingerprint }
}

export function unixSeconds(date = new Date()): number {
  return Math.floor(date.getTime() / 1000)
}

/** The error envelope (openai-anthropic-api §10.1). `type` is what the peer gives, with words for what only we have. */
export function failureBody({ status, message }: Pick<Failure, 'status' | 'message'>) {
  const types: Record<number, string> = { 400: 'invalid_request_error', 401: 'authentication_error', 403: 'permission_error', 404: 'not_found_error' }
  return { error: { message, type: types[status] ?? 'api_error', param: null, code: null } }
}

/** Before the body was understood the peer's own layer answers, afterwards the one below: they differ in the charset. */
export function openaiFailure(failure: Failure, accepted: boolean): Response {
  return json(failureBody(failure), failure.status, accepted ? plainJson : undefined)
}

export const plainJson = 'application/json'

export function usageField({ promptTokens, cachedTokens, completionTokens }: Usage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  }
}

export const noUsage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

/** The chat answer that is not streamed. */
export function chatCompletion(of: Envelope, replies: readonly Reply[], usage: Usage) {
  return {
    ...named(of, 'chat.completion'),
    choices: replies.map(chatChoice),
    usage: usageField(usage),
    ...truncationField(replies[0]?.done.truncation),
  }
}

function chatChoice({ text, thinking, toolCalls, brokenCall, logprobs, done }: Reply, index: number) {
  const message = {
    role: 'assistant',
    content: text,
    ...(thinking !== '' && { reasoning: thinking }),
    ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(toolCall) }),
  }
  return { index, message, finish_reason: finishReason(done, toolCalls.length > 0), ...brokenCallField(brokenCall), ...logprobsField(logprobs) }
}

/** The answer to `_debug_render_only`. */
export function renderedCompletion(of: Envelope, { prompt, imageCount }: Rendered) {
  return {
    ...named(of, 'chat.completion'),
    choices: [{ index: 0, message: { role: 'assistant', content: '' }, finish_reason: null }],
    usage: noUsage,
    _debug_info: { rendered_template: prompt, ...(imageCount > 0 && { image_count: imageCount }) },
  }
}

/** Chunks of a chat stream (openai-anthropic-api §10.2): for each choice a role once, then words, then an end with an empty delta. */
export function chatChunks(of: Envelope, includeUsage: boolean, ends: Ends): Encoder<ChoiceEvent> {
  const name = named(of, 'chat.completion.chunk')
  const choices: ChatChoice[] = []
  return {
    encode({ index, item: event }) {
      choices[index] ??= new ChatChoice(name, index)
      const frames = choices[index].encode(event)
      if (!ends.see(index, event)) return frames
      return frames + (includeUsage ? data({ ...name, choices: [], usage: usageField(ends.usage) }) : '') + finished
    },
    fail: (failure) => data(failureBody(failure)),
  }
}

/** The chunks of one choice. */
class ChatChoice {
  readonly #name: object
  readonly #index: number
  readonly #head: string
  #begun = false
  #called = false
  #brokenCall = ''

  constructor(name: object, index: number) {
    this.#name = name
    this.#index = index
    this.#head = `data: ${JSON.stringify(name).slice(0, -1)},"choices":[{"index":${index},"delta":`
  }

  encode(event: GenerationEvent): string {
    switch (event.type) {
      case 'text':
        return this.#chunk({ content: event.text }, event.logprobs)
      case 'thinking':
        return this.#chunk({ content: '', reasoning: event.text }, event.logprobs)
      case 'tool-call':
        this.#called = true
        return this.#chunk({ content: '', tool_calls: [toolCall(event.call)] }, event.logprobs)
      case 'broken-call':
        this.#brokenCall = event.text
        return ''
      case 'done': {
        const opening = this.#begun ? '' : this.#chunk({ content: '' })
        const end = { index: this.#index, delta: {}, finish_reason: finishReason(event, this.#called), ...brokenCallField(this.#brokenCall) }
        return opening + data({ ...this.#name, choices: [end], ...truncationField(event.truncation) })
      }
      case 'load':
      case 'prompt':
      case 'rendered':
        return ''
      default:
        return event satisfies never
    }
  }

  #chunk(delta: object, logprobs?: TokenLogprob[]): string {
    const whole = this.#begun ? delta : { role: 'assistant', ...delta }
    this.#begun = true
    const more = logprobs ? `,"logprobs":${JSON.stringify(logprobsField(logprobs).logprobs)}` : ''
    return `${this.#head}${JSON.stringify(whole)},"finish_reason":null${more}}]}\n\n`
  }
}

export function named({ id, created, model, system_fingerprint }: Envelope, object: string) {
  return { id, object, created, model, system_fingerprint }
}

export function data(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

function toolCall({ id, index, name, arguments: given }: ToolCall) {
  return { id, index, type: 'function', function: { name, arguments: JSON.stringify(given) } }
}

function finishReason({ reason }: Done, called: boolean): string {
  return reason === 'stop' && called ? 'tool_calls' : reason
}

function logprobsField(logprobs: TokenLogprob[]) {
  return logprobs.length > 0 ? { logprobs: { content: logprobs.map(logprobEntry) } } : {}
}
