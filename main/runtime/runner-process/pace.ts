/** How long a step may take while replies are running. */
const targetMs = 300
/** How long a step of prompts alone may take: the time a newcomer waits. */
const aloneMs = 1000
/** Steps shorter than this run on the main thread; nothing is heard meanwhile. */
const syncMs = 25

/** Learns how fast this model evaluates, and sizes the steps by it. */
export class Pace {
  readonly #batchSize: number
  readonly #leastChunk: number
  /** Milliseconds per prompt token and per step of running replies; null until one has been seen. */
  #promptTokenMs: number | null = null
  #replyStepMs: number | null = null

  constructor(batchSize: number) {
    this.#batchSize = batchSize
    this.#leastChunk = Math.min(16, batchSize)
  }

  /** Prompt tokens of the next step, which also carries `replies` tokens of running replies. */
  chunk(replies: number): number {
    if (replies === 0) return this.#promptTokenMs === null ? this.#batchSize : this.#fit(aloneMs, 128)
    if (this.#promptTokenMs === null) return Math.min(64, this.#batchSize)
    return this.#fit(targetMs - (this.#replyStepMs ?? 0), this.#leastChunk)
  }

  #fit(ms: number, least: number): number {
    const tokens = Math.floor(ms / (this.#promptTokenMs as number))
    return Math.min(this.#batchSize, Math.max(Math.min(least, this.#batchSize), tokens))
  }

  /** True when a step of running replies alone is short enough to wait for. */
  get quick(): boolean {
    return this.#replyStepMs !== null && this.#replyStepMs < syncMs
  }

  /** Milliseconds that so many prompt tokens take. */
  promptMs(tokens: number): number {
    return tokens * (this.#promptTokenMs ?? 1)
  }

  record(stepMs: number, replies: number, promptTokens: number): void {
    if (promptTokens === 0) this.#replyStepMs = smooth(this.#replyStepMs, stepMs)
    // A short chunk says more of the step than of its tokens.
    else if (promptTokens >= this.#leastChunk) {
      const ownMs = Math.max(stepMs * 0.1, stepMs - (replies > 0 ? (this.#replyStepMs ?? 0) : 0))
      this.#promptTokenMs = smooth(this.#promptTokenMs, ownMs / promptTokens)
    }
  }
}

function smooth(before: number | null, now: number): number {
  return before === null ? now : before * 0.7 + now * 0.3
}
