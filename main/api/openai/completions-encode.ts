import type { Usage } from '../../generation/events.ts'
import type { Reply } from '../../generation/fold.ts'
import type { TokenLogprob } from '../../runtime/protocol.ts'
import { truncationField } from '../reply.ts'
import type { Encoder } from '../wire.ts'
import type { ChoiceEvent, Ends } from './choices.ts'
import { data, type Envelope, failureBody, finished, named, noUsage, unixSeconds, usageField } from './encode.ts'

/** What stands before each choice's own text: its prompt, where the request asks for an echo. */
export type Echo = (index: number) => string

/** The text answer that is not streamed. */
export function textCompletion(of: Envelope, replies: readonly Reply[], usage: Usage, echo: Echo) {
  return {
    ...named(of, 'text_completion'),
    choices: replies.map(({ text, logprobs, done }, index) => {
      const before = echo(index)
      return { text: before + text, index, finish_reason: done.reason, ...logprobsField(logprobs, before.length) }
    }),
    usage: usageField(usage),
    ...truncationField(replies[0]?.done.truncation),
  }
}

/** Chunks of a text stream; where usage is wanted, all but the last carry zeros. Thinking is left out. */
export function textChunks(of: Envelope, includeUsage: boolean, ends: Ends, echo: Echo): Encoder<ChoiceEvent> {
  /** Characters of each choice that have been given; absent where it has not begun. */
  const given: number[] = []
  const chunk = (index: number, text: string, reason: string | null, more: { choice?: object; truncation?: object } = {}) =>
    data({
      ...named({ ...of, created: unixSeconds() }, 'text_completion'),
      choices: [{ text, index, finish_reason: reason, ...more.choice }],
      ...(includeUsage && { usage: noUsage }),
      ...more.truncation,
    })
  const opening = (index: number) => {
    if (given[index] !== undefined) return ''
    const before = echo(index)
    given[index] = before.length
    return before === '' ? '' : chunk(index, before, null)
  }
  return {
    encode({ index, item: event }) {
      const last = ends.see(index, event)
      switch (event.type) {
        case 'text': {
          const { text, logprobs = [] } = event
          if (text === '' && logprobs.length === 0) return ''
          const before = opening(index)
          const words = chunk(index, text, null, { choice: logprobsField(logprobs, given[index] ?? 0) })
          given[index] = (given[index] ?? 0) + text.length
          return before + words
        }
        case 'done': {
          const end = opening(index) + chunk(index, '', event.reason, { truncation: truncationField(event.truncation) })
          if (!last) return end
          return end + (includeUsage ? data({ ...named(of, 'text_completion'), choices: [], usage: usageField(ends.usage) }) : '') + finished
        }
        case 'thinking':
        case 'tool-call':
        case 'broken-call':
        case 'load':
        case 'prompt':
        case 'rendered':
          return ''
        default:
          return event satisfies never
      }
    },
    fail: (failure) => data(failureBody(failure)),
  }
}

/** The older shape of log-probabilities: a list for each of their parts. @param offset of the first token in the choice's text, in characters */
function logprobsField(logprobs: readonly TokenLogprob[], offset: number) {
  if (logprobs.length === 0) return {}
  let at = offset
  const offsets = logprobs.map(({ token }) => {
    at += token.length
    return at - token.length
  })
  return {
    logprobs: {
      tokens: logprobs.map(({ token }) => token),
      token_logprobs: logprobs.map(({ logprob }) => logprob),
      top_logprobs: logprobs.map(({ top }) => Object.fromEntries(top.map(({ token, logprob }) => [token, logprob]))),
      text_offset: offsets,
    },
  }
}
