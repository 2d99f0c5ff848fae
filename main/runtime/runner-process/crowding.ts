import { type Surroundings, surroundings } from './surroundings.ts'

/** A step is only held against the machine when it takes so many times longer than it should. */
const crowdedFactor = 4
/** Milliseconds lost to missing threads, beyond what one thread alone would lose, after which one thread goes on alone. */
const patienceMs = 200
/** What a step of one token takes at worst when nothing is in its way: weights read at one gigabyte a second. */
const slowestBytesPerMs = 1_000_000
/** Work of one prompt token before the first was seen, and of one more reply, where a step of one reply is 1. */
const promptTokenWork = 0.3
const furtherReplyWork = 0.5
/** A shorter chunk says little of what a prompt's token takes. */
const leastChunk = 16
const firstHoldMs = 1000
/** A shorter pause says too little: the system counts in steps of ten milliseconds. */
const leastPauseMs = 100
const pauseHoldMs = 300
const longestHoldMs = 30_000
/** Forgets the best by so much a step, as clocks and neighbours change. */
const forgetting = 1.002

/**
 * Chooses how many threads a step runs on.
 *
 * ggml's threads spin at hundreds of barriers a step. When another program holds a core, each barrier waits for the system to give
 * the missing thread its turn, and a step takes hundreds of times longer; fewer threads then are far faster. They come back when cores are free again.
 */
export class Crowding {
  readonly #most: number
  readonly #around: Surroundings
  /** Milliseconds when nothing is in the way: of a step of one reply, and of one prompt token. */
  readonly #best: { reply: number; promptToken: number }
  #lostMs = 0
  #threads: number
  #holdMs = firstHoldMs
  #heldUntil = 0
  #endedAt: number
  /** Cores that were free between the last two looks. */
  #free = 0
  #glancedAt = Number.NEGATIVE_INFINITY

  constructor(most: number, weightBytes: number, around: Surroundings = surroundings) {
    this.#most = Math.max(1, most)
    this.#threads = this.#most
    const stepMs = weightBytes / slowestBytesPerMs
    this.#best = { reply: stepMs, promptToken: stepMs * promptTokenWork }
    this.#around = around
    // The first step is measured against the time since this process began, which read the weights.
    this.#endedAt = 0
  }

  /** Threads for the next step. */
  get threads(): number {
    return this.#threads
  }

  /** Looks around, each second while nothing runs: what the machine did before is no sign of what it does now. */
  glance(): void {
    if (this.#most === 1) return
    this.#free = this.#around.freeCores()
    this.#glancedAt = this.#around.nowMs()
  }

  /** Looks around before the first step after a pause: where others were busy lately and are so now, only what they leave is ours. */
  begin(): void {
    const now = this.#around.nowMs()
    if (this.#most === 1 || now - this.#endedAt < leastPauseMs) return
    if (now - this.#glancedAt >= leastPauseMs) this.glance()
    const free = this.#around.rivalsPerCore() >= 1 ? this.#free : this.#most
    this.#threads = free >= this.#most * 0.75 ? this.#most : Math.max(1, Math.floor(free + 0.25))
    this.#heldUntil = now + pauseHoldMs
  }

  /** Learns from a step that has ended. */
  record(stepMs: number, replies: number, promptTokens: number): void {
    if (this.#most === 1) return
    const now = this.#around.nowMs()
    this.#endedAt = now
    if (this.#threads < this.#most) this.#tryAgain(now)
    else if (promptTokens >= leastChunk) this.#judge('promptToken', promptTokens, stepMs, now)
    else if (promptTokens === 0) this.#judge('reply', 1 + (replies - 1) * furtherReplyWork, stepMs, now)
  }

  #judge(kind: 'reply' | 'promptToken', work: number, stepMs: number, now: number): void {
    const shouldMs = this.#best[kind] * work
    const crowded = stepMs > shouldMs * crowdedFactor
    if (!crowded) this.#best[kind] = Math.min(stepMs / work, this.#best[kind] * forgetting)
    // One thread alone takes as many times longer as there are threads: a hiccup that costs less is no reason to go on with one.
    this.#lostMs = Math.max(0, this.#lostMs + (crowded ? stepMs - shouldMs : 0) - shouldMs * (this.#most - 1))
    if (this.#lostMs < patienceMs) {
      if (now > this.#heldUntil + longestHoldMs) this.#holdMs = firstHoldMs
      return
    }
    this.#lostMs = 0
    this.#threads = 1
    this.#heldUntil = now + this.#holdMs
    this.#holdMs = Math.min(longestHoldMs, this.#holdMs * 2)
    this.#around.freeCores()
  }

  #tryAgain(now: number): void {
    if (now < this.#heldUntil) return
    this.#heldUntil = now + firstHoldMs
    if (this.#around.freeCores() >= this.#most * 0.85) this.#threads = this.#most
  }
}
