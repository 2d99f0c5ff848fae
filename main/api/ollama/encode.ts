import type { GenerationEvent, TemplateKind } from '../../generation/events.ts'
import type { Done, Reply } from '../../generation/fold.ts'
import type { ToolCall } from '../../prompt/messages.ts'
import type { TokenLogprob } from '../../runtime/protocol.ts'
import { brokenCallField, logprobEntry, type Rendered, truncationField } from '../reply.ts'
import { nanoseconds, timestamp } from '../time.ts'
import type { RequestTrace } from '../trace.ts'
import type { Encoder } from '../wire.ts'

/** `/api/generate` and `/api/chat` differ in where the words stand. */
export type Kind = 'generate' | 'chat'

/** The answer to a request without a prompt: one object even when a stream was asked for. */
export function idleAnswer(kind: Kind, model: string, { reason }: Done) {
  return { model, created_at: timestamp(), ...words(kind, ''), done: true, done_reason: reason }
}

/** The answer to `_debug_render_only`. */
export function renderedAnswer(kind: Kind, model: string, { prompt, imageCount }: Rendered) {
  return {
    model,
    created_at: timestamp(),
    ...(kind === 'chat' ? { message: { role: '', content: '' } } : { response: '' }),
    done: false,
    _debug_info: { rendered_template: prompt, ...(imageCount > 0 && { image_count: imageCount }) },
  }
}

/** The answer that is not streamed. */
export function wholeAnswer(kind: Kind, model: string, { text, thinking, toolCalls, brokenCall, logprobs, done }: Reply) {
  return {
    model,
    created_at: timestamp(),
    ...words(kind, text, thinking, toolCalls),
    ...final(done),
    ...brokenCallField(brokenCall),
    ...logprobsField(logprobs),
  }
}

/**
 * Lines of a stream. Calls of a Jinja model arrive in the last line, those of a Go template in their own (ollama-api §3.4).
 */
export function lines(kind: Kind, model: string, template: TemplateKind, trace: RequestTrace): Encoder<GenerationEvent> {
  // Most lines differ in the time and the words only, and there are thousands of them.
  const head = `{"model":${JSON.stringify(model)},"created_at":"`
  const open = kind === 'chat' ? '","message":{"role":"assistant","content":' : '","response":'
  const close = kind === 'chat' ? '},"done":false}\n' : ',"done":false}\n'
  const line = (object: object) => `${JSON.stringify({ model, created_at: timestamp(), ...object })}\n`
  const calls: ToolCall[] = []
  let brokenCall = ''
  return {
    encode(event) {
      trace.see(event)
      switch (event.type) {
        case 'text':
          if (!event.logprobs) return head + timestamp() + open + JSON.stringify(event.text) + close
          return line({ ...words(kind, event.text), done: false, ...logprobsField(event.logprobs) })
        case 'thinking':
          return line({ ...words(kind, '', event.text), done: false, ...logprobsField(event.logprobs) })
        case 'tool-call':
          if (template !== 'jinja') return line({ ...words(kind, '', '', [event.call]), done: false, ...logprobsField(event.logprobs) })
          calls.push(event.call)
          return event.logprobs ? line({ ...words(kind, ''), done: false, ...logprobsField(event.logprobs) }) : ''
        case 'broken-call':
          brokenCall = event.text
          return ''
        case 'done':
          return line({ ...words(kind, '', '', calls), ...final(event), ...brokenCallField(brokenCall) })
        case 'load':
        case 'prompt':
        case 'rendered':
          return ''
        default:
          return event satisfies never
      }
    },
    fail: ({ message }) => `${JSON.stringify({ error: message })}\n`,
  }
}

function words(kind: Kind, text: string, thinking = '', toolCalls: ToolCall[] = []) {
  const more = { ...(thinking !== '' && { thinking }), ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(toolCall) }) }
  return kind === 'chat' ? { message: { role: 'assistant', content: text, ...more } } : { response: text, ...more }
}

function toolCall({ id, index, name, arguments: given }: ToolCall) {
  return { ...(id !== '' && { id }), function: { index, name, arguments: given } }
}

function final({ reason, usage, tokens, truncation }: Done) {
  return {
    done: true,
    done_reason: reason,
    ...(tokens && { context: tokens }),
    total_duration: nanoseconds(usage.totalMs),
    load_duration: nanoseconds(usage.loadMs),
    prompt_eval_count: usage.promptTokens,
    prompt_eval_cached_count: usage.cachedTokens,
    prompt_eval_duration: nanoseconds(usage.promptMs),
    eval_count: usage.completionTokens,
    eval_duration: nanoseconds(usage.generateMs),
    ...truncationField(truncation),
  }
}

function logprobsField(logprobs: TokenLogprob[] | undefined) {
  return logprobs && logprobs.length > 0 ? { logprobs: logprobs.map(logprobEntry) } : {}
}
