import { createHash, randomBytes } from 'node:crypto'
import { AppError } from '../../errors.ts'
import type { GenerationEvent, Usage } from '../../generation/events.ts'
import type { Done, Reply } from '../../generation/fold.ts'
import type { ToolCall } from '../../prompt/messages.ts'
import { brokenCallField, truncationField } from '../reply.ts'
import type { Failure, RequestTrace } from '../trace.ts'
import { type Encoder, json } from '../wire.ts'

export const plainJson = 'application/json'

/** What the request asked about how its answer is told. */
interface Asked {
  stopSequences: string[]
  /** Something was marked for the prompt cache. */
  marksCache: boolean
}

/** What names one answer; the same in every event of a stream. */
export interface Envelope extends Asked {
  id: string
  requestId: string
  model: string
}

export function envelope(model: string, requestId: string, asked: Asked): Envelope {
  return { id: newId('msg'), requestId, model, ...asked }
}

export function newId(prefix: 'msg' | 'req'): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`
}

const errorTypes: Record<number, string> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  529: 'overloaded_error',
}

/** The error envelope (openai-anthropic-api §11.1). */
function failureBody({ status, message }: Pick<Failure, 'status' | 'message'>, requestId: string) {
  return { type: 'error', error: { type: errorTypes[status] ?? 'api_error', message }, request_id: requestId }
}

/** An error before the first byte; the charset tells, as in the peer, that the body was not understood. */
export function anthropicFailure(failure: Failure, accepted: boolean, requestId: string, details?: object): Response {
  const { error, ...rest } = failureBody(failure, requestId)
  return json({ ...rest, error: { ...error, ...(details && { details }) } }, failure.status, accepted ? plainJson : undefined)
}

/** Refuses to hold a conversation between requests in the words by which Anthropic's own client goes on without. */
export function threadRefusal(trace: RequestTrace): Response {
  const failure = trace.fail(new AppError('invalid-request', 'message threads are not supported: send the whole conversation without `thread`'))
  return anthropicFailure(failure, true, trace.id, { error_code: 'thread_unsupported_request', unsupported: ['thread'] })
}

/** The answer that is not streamed. */
export function message(of: Envelope, { text, thinking, toolCalls, brokenCall, done }: Reply) {
  const content = [
    ...(thinking === '' ? [] : [{ type: 'thinking', thinking, signature: createHash('sha256').update(thinking).digest('base64') }]),
    ...(text === '' ? [] : [{ type: 'text', text }]),
    ...toolCalls.map((call) => ({ ...toolUse(call), input: call.arguments })),
  ]
  return {
    ...opened(of),
    content,
    ...stopFields(of, done, toolCalls.length > 0, brokenCall),
    usage: usageField(of, done.usage),
    ...brokenCallField(brokenCall),
    ...truncationField(done.truncation),
  }
}

/** Events of a stream: the start with the exact size of the prompt, blocks one after the other, the end (openai-anthropic-api §11.4). */
export function messageEvents(of: Envelope, trace: RequestTrace): Encoder<GenerationEvent> {
  const blocks = new Blocks()
  let begun = false
  let called = false
  let brokenCall = ''
  const begin = (usage: Pick<Usage, 'promptTokens' | 'cachedTokens'>) => {
    begun = true
    const start = { ...opened(of), content: [], stop_reason: null, stop_sequence: null, usage: usageField(of, { ...usage, completionTokens: 0 }) }
    return frame({ type: 'message_start', message: start }) + frame({ type: 'ping' })
  }
  return {
    encode(event) {
      trace.see(event)
      switch (event.type) {
        case 'prompt': // a long prompt is evaluated piece by piece: the pings keep the connection awake
          return begun ? frame({ type: 'ping' }) : begin(event)
        case 'text':
          return blocks.write('text', event.text)
        case 'thinking':
          return blocks.write('thinking', event.text)
        case 'tool-call':
          called = true
          return blocks.call(event.call)
        case 'broken-call':
          brokenCall = event.text
          return ''
        case 'done': {
          const delta = {
            type: 'message_delta',
            delta: stopFields(of, event, called, brokenCall),
            usage: usageField(of, event.usage),
            ...brokenCallField(brokenCall),
            ...truncationField(event.truncation),
          }
          return (begun ? '' : begin(event.usage)) + blocks.close() + frame(delta) + frame({ type: 'message_stop' })
        }
        case 'load':
        case 'rendered':
          return ''
        default:
          return event satisfies never
      }
    },
    fail: (failure) => frame(failureBody(failure, of.requestId)),
  }
}

/** The blocks of one stream: at most one is open, a piece of another kind closes it. */
class Blocks {
  #index = 0
  #open: 'text' | 'thinking' | null = null
  #signature = createHash('sha256')

  write(kind: 'text' | 'thinking', text: string): string {
    if (text === '') return ''
    let frames = ''
    if (this.#open !== kind) {
      frames = this.close() + this.#start(kind === 'text' ? { type: 'text', text: '' } : { type: 'thinking', thinking: '', signature: '' })
      this.#open = kind
      this.#signature = createHash('sha256')
    }
    if (kind === 'text') return frames + this.#delta({ type: 'text_delta', text })
    this.#signature.update(text)
    return frames + this.#delta({ type: 'thinking_delta', thinking: text })
  }

  call(call: ToolCall): string {
    const closed = this.close()
    const input = { type: 'input_json_delta', partial_json: JSON.stringify(call.arguments) }
    return closed + this.#start({ ...toolUse(call), input: {} }) + this.#delta(input) + this.#stop()
  }

  close(): string {
    if (this.#open === null) return ''
    const signed = this.#open === 'thinking' ? this.#delta({ type: 'signature_delta', signature: this.#signature.digest('base64') }) : ''
    this.#open = null
    return signed + this.#stop()
  }

  #start(block: object): string {
    return frame({ type: 'content_block_start', index: this.#index, content_block: block })
  }

  #delta(delta: object): string {
    return frame({ type: 'content_block_delta', index: this.#index, delta })
  }

  #stop(): string {
    return frame({ type: 'content_block_stop', index: this.#index++ })
  }
}

function frame(event: { type: string; [field: string]: unknown }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function opened({ id, model }: Envelope) {
  return { id, type: 'message', role: 'assistant', model }
}

function toolUse({ id, name }: ToolCall) {
  return { type: 'tool_use', id, name }
}

/** A stop string of the model's own ends a turn as any end does; only one that the request named is told. A call that is cut off tells a caller to ask for more room, not to run the others. */
function stopFields({ stopSequences }: Envelope, { reason, stopString }: Done, called: boolean, brokenCall: string) {
  const met = stopString !== null && stopSequences.includes(stopString) ? stopString : null
  if (called && (brokenCall === '' || reason !== 'length')) return { stop_reason: 'tool_use', stop_sequence: null }
  if (reason === 'length') return { stop_reason: 'max_tokens', stop_sequence: null }
  return { stop_reason: met === null ? 'end_turn' : 'stop_sequence', stop_sequence: met }
}

/** Cached tokens stand apart only for callers that mark what to cache, as at Anthropic's: either way the parts add up to the prompt. */
function usageField(
  { marksCache }: Envelope,
  { promptTokens, cachedTokens, completionTokens }: Pick<Usage, 'promptTokens' | 'cachedTokens' | 'completionTokens'>,
) {
  const read = marksCache ? cachedTokens : 0
  return { input_tokens: promptTokens - read, cache_creation_input_tokens: 0, cache_read_input_tokens: read, output_tokens: completionTokens }
}
