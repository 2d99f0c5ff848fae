import { AppError } from '../errors.ts'

const memoryMs = 5 * 60_000
const coolDownMs = 30_000
const limit = 2

/** Which models took their process down lately, so that one that always does is not started in a loop. */
export class Crashes {
  readonly #now: () => number
  readonly #times = new Map<string, { at: number[]; reason: string }>()

  constructor(now: () => number) {
    this.#now = now
  }

  record(key: string, reason: string): void {
    const now = this.#now()
    const recent = (this.#times.get(key)?.at ?? []).filter((at) => now - at < memoryMs)
    this.#times.set(key, { at: [...recent, now], reason })
  }

  /** The error for a request that comes too soon after too many; null when the model may be tried. */
  refusal(key: string, name: string, file: string): AppError | null {
    const crashes = this.#times.get(key)
    if (crashes === undefined) return null
    const now = this.#now()
    const recent = crashes.at.filter((at) => now - at < memoryMs)
    const waitMs = coolDownMs - (now - (recent.at(-1) ?? 0))
    if (recent.length < limit || waitMs <= 0) return null
    return new AppError(
      'runner-crashed',
      `model '${name}' (${file}) made its runner crash ${recent.length} times within five minutes and is left alone for ${Math.ceil(waitMs / 1000)} s: ${crashes.reason}`,
    )
  }
}
