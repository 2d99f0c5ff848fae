import type { GenerationEvent, RawOptions, Usage } from '../../generation/events.ts'
import { type Done, Fold, type Reply } from '../../generation/fold.ts'
import { merged, type Numbered } from '../../lib/streams.ts'
import { begin } from '../reply.ts'
import type { RequestTrace } from '../trace.ts'
import type { Started } from '../wire.ts'

/** An event of one of the replies to a request: `index` is the choice's. */
export type ChoiceEvent = Numbered<GenerationEvent>

/** Replies of one request that run at a time; the others wait, so that a request with many of them leaves room for other callers. */
const atOnce = 16

/** The replies to one request, the words of the first of which are there. */
interface BegunChoices {
  events: Started<ChoiceEvent>
  headers: Record<string, string>
}

/**
 * Begins the replies to one request: the first, and when its words come, the others, which find its prompt in the cache.
 *
 * A failure before the first words has a status of its own; a later one ends them all.
 */
export async function beginChoices(
  count: number,
  start: (index: number, signal: AbortSignal) => AsyncIterable<GenerationEvent>,
  signal: AbortSignal,
): Promise<BegunChoices> {
  const leaving = new AbortController()
  const both = AbortSignal.any([signal, leaving.signal])
  const { events, headers } = await begin(start(0, both))
  const starts = Array.from({ length: count }, (_, index) => () => (index === 0 ? events : start(index, both)))
  const all = count === 1 ? single(events) : merged(starts, atOnce, () => leaving.abort())
  const first = events.first && { index: 0, item: events.first }
  return { events: { first, [Symbol.asyncIterator]: () => all[Symbol.asyncIterator]() }, headers }
}

async function* single(events: AsyncIterable<GenerationEvent>): AsyncGenerator<ChoiceEvent> {
  for await (const item of events) yield { index: 0, item }
}

/** All replies, whole, in the order of the choices. */
export async function collectChoices(events: AsyncIterable<ChoiceEvent>, ends: Ends): Promise<Reply[]> {
  const folds: Fold[] = []
  for await (const { index, item } of events) {
    ends.see(index, item)
    folds[index] ??= new Fold()
    folds[index].take(item)
  }
  return folds.map((fold) => fold.reply)
}

/** How the replies to one request ended, for the request log and the usage that is told: those of one prompt share it. */
export class Ends {
  readonly #count: number
  readonly #perPrompt: number
  readonly #trace: RequestTrace
  readonly #done: Done[] = []
  #ended = 0

  /** @param perPrompt how many choices each prompt has, one prompt after the other */
  constructor(count: number, perPrompt: number, trace: RequestTrace) {
    this.#count = count
    this.#perPrompt = perPrompt
    this.#trace = trace
  }

  /** True when this was the last event of all. */
  see(index: number, event: GenerationEvent): boolean {
    if (event.type !== 'done') {
      this.#trace.see(event)
      return false
    }
    this.#done[index] = event
    if (++this.#ended < this.#count) return false
    this.#trace.see({ ...event, usage: this.usage })
    return true
  }

  /** Prompts once each, replies all together; times are those of the slowest. */
  get usage(): Usage {
    const usages = this.#done.map(({ usage }) => usage)
    const prompts = usages.filter((_, index) => index % this.#perPrompt === 0)
    const sum = (list: readonly Usage[], field: keyof Usage) => list.reduce((total, usage) => total + (usage[field] ?? 0), 0)
    const most = (field: keyof Usage) => Math.max(...usages.map((usage) => usage[field] ?? 0))
    return {
      promptTokens: sum(prompts, 'promptTokens'),
      cachedTokens: sum(prompts, 'cachedTokens'),
      cutTokens: sum(prompts, 'cutTokens'),
      completionTokens: sum(usages, 'completionTokens'),
      thinkingTokens: sum(usages, 'thinkingTokens'),
      shifts: sum(usages, 'shifts'),
      shiftedTokens: sum(usages, 'shiftedTokens'),
      queueMs: most('queueMs'),
      promptMs: most('promptMs'),
      generateMs: most('generateMs'),
      loadMs: most('loadMs'),
      totalMs: most('totalMs'),
    }
  }
}

/** A seed of the request gives each of its choices one of its own, the first its own: else all would be the same. */
export function seeded(options: RawOptions, index: number): RawOptions {
  return typeof options.seed === 'number' && options.seed >= 0 ? { ...options, seed: options.seed + index } : options
}
