import { z } from 'zod'
import { isJsonObject } from '../lib/json.ts'
import type { UpstreamEvent, UpstreamLogprob, UpstreamTruncation } from './engine.ts'

/** Whole and not negative, where there is one. */
export const count = z.int().min(0).nullish()
export const milliseconds = z.number().min(0).nullish()

const Entry = z.object({ token: z.string(), logprob: z.number().nullish(), bytes: z.array(z.int()).nullish() })

/** One token, in the shape that both protocols share. */
export const Logprob = Entry.extend({ top_logprobs: z.array(Entry).nullish() })

export function toLogprob({ top_logprobs: top, ...entry }: z.output<typeof Logprob>): UpstreamLogprob {
  const one = ({ token, logprob, bytes }: z.output<typeof Entry>) => ({ token, logprob: logprob ?? 0, bytes: bytes ?? [...Buffer.from(token)] })
  return { ...one(entry), top: (top ?? []).map(one) }
}

/** They ride on the first event of their text; where no text came, on an empty one. */
export function* withLogprobs(events: UpstreamEvent[], logprobs: UpstreamLogprob[]): Generator<UpstreamEvent> {
  if (logprobs.length === 0) return yield* events
  const [first, ...rest] = events
  if (first === undefined) yield { type: 'text', text: '', logprobs }
  else if (first.type === 'text' || first.type === 'thinking' || first.type === 'tool-call') yield { ...first, logprobs }
  yield* rest
}

/** What a Paddock elsewhere adds to the end of a reply. */
export const Truncation = z.object({ dropped_messages: z.int(), dropped_tokens: z.int(), kept_tokens: z.int(), num_ctx: z.int() })

export function toTruncation({ dropped_messages, dropped_tokens, kept_tokens, num_ctx }: z.output<typeof Truncation>): UpstreamTruncation {
  return { droppedMessages: dropped_messages, droppedTokens: dropped_tokens, keptTokens: kept_tokens, contextLength: num_ctx }
}

/** A model's id, as far as a list may show it. */
export const Id = z
  .string()
  .min(1)
  .max(400)
  .regex(/^[^\p{Cc}]+$/u)

/** What a Paddock says of a model that it has from another engine. */
export const Onward = z.unknown().optional()

/** Models that run on the engine itself: two that list each other's would do so without end. */
export function itsOwn<T extends { upstream?: unknown }>(models: readonly T[] | null): T[] {
  return (models ?? []).filter(({ upstream }) => !isJsonObject(upstream))
}

/** More than any list of models holds. */
export const mostModels = 5000
export const largestListBytes = 8 * 1024 * 1024

/** Vectors as engines give them. */
export const Vector = z.array(z.number()).min(1)
