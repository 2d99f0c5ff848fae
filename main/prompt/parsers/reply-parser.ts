import type { ReplyEvent, ReplyParser } from '../messages.ts'
import type { Split, ThinkingSplitter } from './thinking.ts'

/** Thinking first, then prose and calls; the white space before a structured reply is not part of it. */
export class ThinkingAndCalls implements ReplyParser {
  readonly #thinking: ThinkingSplitter | null
  readonly #calls: ReplyParser | null
  readonly #trimStart: boolean
  #opening: ReplyEvent[]
  #lead: string
  #wrote = false

  /**
   * @param prefill events of what the prompt has already begun of the reply, given first
   * @param lead text behind the prompt's closed thinking block: the reply's beginning, once the reply says something
   */
  constructor({
    thinking,
    calls,
    prefill = [],
    lead = '',
    trimStart = false,
  }: {
    thinking: ThinkingSplitter | null
    calls: ReplyParser | null
    prefill?: ReplyEvent[]
    lead?: string
    trimStart?: boolean
  }) {
    this.#thinking = thinking
    this.#calls = calls
    this.#opening = prefill
    this.#lead = lead
    this.#trimStart = trimStart
  }

  push(text: string): ReplyEvent[] {
    const splits: Split[] = this.#thinking?.push(text) ?? [{ type: 'text', text }]
    return this.#withOpening(splits.flatMap((split) => this.#route(split)))
  }

  end(isCut = false): ReplyEvent[] {
    const splits: Split[] = this.#thinking?.end(isCut) ?? []
    return this.#withOpening([...splits.flatMap((split) => this.#route(split)), ...(this.#calls?.end(isCut) ?? [])])
  }

  #route({ type, text }: Split): ReplyEvent[] {
    if (type === 'thinking') return [{ type, text }]
    const whole = this.#lead + text
    const prose = this.#trimStart && !this.#wrote ? whole.trimStart() : whole
    if (prose === '') return []
    this.#lead = ''
    this.#wrote = true
    return this.#calls?.push(prose) ?? [{ type: 'text', text: prose }]
  }

  #withOpening(events: ReplyEvent[]): ReplyEvent[] {
    const all = [...this.#opening, ...events]
    this.#opening = []
    return all
  }
}
