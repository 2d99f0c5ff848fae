import type { Context } from '../llama/context.ts'
import type { Reply } from './reply.ts'

/** Room for one reply: a sequence of the context, with the tokens that its cells hold. */
export interface Slot {
  readonly sequence: number
  tokens: number[]
  /** The adapters that the cells were made with. */
  adapterKey: string
  reply: Reply | null
  /** When its last reply ended; the oldest is reused first. */
  usedAt: number
}

/** A prefix must be this much longer in another slot before it is copied. */
const copyGain = 64

/** The sequences of one context, and what they remember. */
export class Slots {
  readonly all: readonly Slot[]
  readonly #context: Context
  readonly #slidingWindow: number
  /** Whether a copy of a slot's cells is worth more than evaluating so many tokens. */
  readonly #worthCopying: (tokens: number) => boolean

  constructor(context: Context, worthCopying: (tokens: number) => boolean) {
    this.#context = context
    this.#worthCopying = worthCopying
    // With whole caches for sliding layers nothing is forgotten; the check stays for models that llama.cpp gives smaller ones nevertheless.
    this.#slidingWindow = context.model.slidingWindow
    this.all = Array.from({ length: context.sequences }, (_, sequence) => ({ sequence, tokens: [], adapterKey: '', reply: null, usedAt: 0 }))
  }

  get hasIdle(): boolean {
    return this.all.some(({ reply }) => reply === null)
  }

  /** Gives the reply an idle slot and says how many of its prompt's tokens that slot holds already. */
  place(reply: Reply): { slot: Slot; cached: number } {
    const { tokens } = reply.prompt
    const idle = this.all.filter((slot) => slot.reply === null)
    const oldest = idle.reduce((a, b) => (b.usedAt < a.usedAt ? b : a))
    if (!reply.request.cachePrompt) return this.#occupy(oldest, reply, 0)

    const shared = (slot: Slot) => (slot.adapterKey === reply.adapterKey ? commonPrefix(slot.tokens, tokens) : 0)
    const longest = (slots: readonly Slot[]) => slots.reduce((a, b) => (shared(b) > shared(a) ? b : a))
    const best = longest(idle)
    const cached = shared(best)
    const donor = longest(this.all)
    const gain = shared(donor) - cached
    if (donor !== best && gain > copyGain && this.#worthCopying(gain) && this.#canCut(donor, shared(donor))) {
      return this.#copy(donor, this.#leastMissed(idle, best, cached), reply, shared(donor))
    }
    const tail = best.tokens.length - cached
    if (cached > copyGain && tail > cached && oldest !== best && this.#worthCopying(cached) && this.#canCut(best, cached)) {
      return this.#copy(best, oldest, reply, cached) // another chat that began alike keeps what follows
    }
    return this.#occupy(cached > 0 ? best : oldest, reply, cached)
  }

  /** Brings a slot back to its first `length` tokens, or to none where its state cannot go back; says how many are left. */
  cut(slot: Slot, length: number): number {
    if (length === slot.tokens.length) return length
    const kept = length > 0 && this.#canCut(slot, length) && this.#context.remove(slot.sequence, length)
    if (!kept) this.#context.remove(slot.sequence, -1)
    slot.tokens.length = kept ? length : 0
    return slot.tokens.length
  }

  /** After a decode that failed: cells beyond what the slot knows go. */
  restore(slot: Slot): void {
    if (this.#context.remove(slot.sequence, slot.tokens.length)) return
    this.#context.remove(slot.sequence, -1)
    slot.tokens.length = 0
  }

  /** Drops half of what need not be kept; false where this model's state cannot be shifted. */
  shift(slot: Slot, keep: number): number {
    const length = slot.tokens.length
    const front = Math.max(0, Math.min(keep, length - 4))
    const drop = (length - front) >> 1
    if (drop < 1 || !this.#context.shift(slot.sequence, front, front + drop, length)) return 0
    slot.tokens.splice(front, drop)
    return drop
  }

  /** Frees the cells of the slot that has been idle for longest; false when all that are idle are empty. */
  evict(): boolean {
    const idle = this.all.filter((slot) => slot.reply === null && slot.tokens.length > 0)
    if (idle.length === 0) return false
    this.cut(
      idle.reduce((a, b) => (b.usedAt < a.usedAt ? b : a)),
      0,
    )
    return true
  }

  /** Where a copied prefix goes: over its own shorter version if that is all the slot holds, else over the oldest. */
  #leastMissed(idle: readonly Slot[], best: Slot, cached: number): Slot {
    if (cached > 0 && best.tokens.length <= 2 * cached) return best
    return idle.reduce((a, b) => (b.usedAt < a.usedAt ? b : a))
  }

  #occupy(slot: Slot, reply: Reply, cached: number): { slot: Slot; cached: number } {
    const kept = this.cut(slot, cached)
    slot.adapterKey = reply.adapterKey
    slot.reply = reply
    return { slot, cached: kept }
  }

  #copy(source: Slot, target: Slot, reply: Reply, length: number): { slot: Slot; cached: number } {
    target.tokens = this.#context.copy(source.sequence, target.sequence, length) ? source.tokens.slice(0, length) : []
    if (target.tokens.length === 0) this.#context.remove(target.sequence, -1)
    target.adapterKey = reply.adapterKey
    target.reply = reply
    return { slot: target, cached: target.tokens.length }
  }

  /** Recurrent states cannot go back, and sliding windows forget old cells. */
  #canCut(slot: Slot, length: number): boolean {
    if (length === slot.tokens.length) return true
    if (!this.#context.model.rewindable) return false
    return this.#slidingWindow === 0 || this.#context.firstPosition(slot.sequence) <= Math.max(0, length - this.#slidingWindow)
  }
}

/** Tokens at the front that both have; the last of a prompt is never counted, as it must be evaluated for what follows it. */
export function commonPrefix(cells: readonly number[], prompt: readonly number[]): number {
  const most = Math.min(cells.length, prompt.length - 1)
  let length = 0
  while (length < most && cells[length] === prompt[length]) length++
  return length
}
