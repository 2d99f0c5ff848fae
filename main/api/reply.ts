import type { GenerationEvent, TemplateKind, Truncation } from '../generation/events.ts'
import { Fold, type Reply } from '../generation/fold.ts'
import type { TokenLogprob } from '../runtime/protocol.ts'
import type { RequestTrace } from './trace.ts'
import { type Started, started } from './wire.ts'

export type Rendered = Extract<GenerationEvent, { type: 'rendered' }>

/** Folds the events of a stream, so that both kinds of answer say the same. */
export async function collect(events: AsyncIterable<GenerationEvent>, trace: RequestTrace): Promise<Reply> {
  const fold = new Fold()
  for await (const event of events) {
    trace.see(event)
    if (fold.take(event)) break
  }
  return fold.reply
}

/** Lets events run to their end: the lease behind them is given back there. */
export async function drain(events: AsyncIterable<GenerationEvent>, trace: RequestTrace): Promise<void> {
  for await (const event of events) trace.see(event)
}

/** A reply whose first words are there, and what was cut from its prompt. */
export interface Begun {
  events: Started<GenerationEvent>
  template: TemplateKind
  /** Headers that every dialect adds. */
  headers: Record<string, string>
}

/**
 * Waits for the first event that a client sees: up to there a failure has its own status, and the prompt's cut fits into a header (P1).
 *
 * @param from `prompt` for a dialect whose first words are the size of the prompt
 */
export async function begin(events: AsyncIterable<GenerationEvent>, from: 'prompt' | 'words' = 'words'): Promise<Begun> {
  let truncation: Truncation | undefined
  let template: TemplateKind = 'none'
  const begun = await started(events, (event) => {
    if (event.type === 'prompt') ({ template, truncation } = event)
    return event.type === 'load' || (event.type === 'prompt' && from === 'words')
  })
  return { events: begun, template, headers: truncation ? truncationHeader(truncation) : {} }
}

export function withHeaders(response: Response, headers: Record<string, string>): Response {
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
  return response
}

function truncationHeader({ droppedMessages, droppedTokens }: Truncation): Record<string, string> {
  return { 'x-context-truncated': `messages=${droppedMessages}; tokens=${droppedTokens}` }
}

/** Additive field of every dialect's final object. */
export function truncationField(truncation: Truncation | undefined) {
  if (!truncation) return {}
  const { droppedMessages, droppedTokens, keptTokens, contextLength } = truncation
  return { truncation: { dropped_messages: droppedMessages, dropped_tokens: droppedTokens, kept_tokens: keptTokens, num_ctx: contextLength } }
}

/** Additive field of every dialect: a call that the reply's end cut off, as the model wrote it. */
export function brokenCallField(text: string) {
  return text === '' ? {} : { incomplete_tool_call: text }
}

/** One token, in the shape that the native and the OpenAI dialect share. */
export function logprobEntry({ token, bytes, logprob, top }: TokenLogprob) {
  const one = (entry: { token: string; bytes: number[]; logprob: number }) => ({
    token: entry.token,
    logprob: entry.logprob,
    ...(entry.bytes.length > 0 && { bytes: entry.bytes }),
  })
  return { ...one({ token, bytes, logprob }), ...(top.length > 0 && { top_logprobs: top.map(one) }) }
}
