const windowMs = 10_000

/** How fast something grows, over the last ten seconds. */
export class Speed {
  readonly #samples: { at: number; bytes: number }[] = []

  /** Tells it how far the thing is; times in milliseconds. */
  add(bytes: number, now = performance.now()): void {
    const last = this.#samples.at(-1)
    if (last !== undefined && now - last.at < 100) return
    this.#samples.push({ at: now, bytes })
    while (this.#samples.length > 2 && now - (this.#samples[1]?.at ?? now) > windowMs) this.#samples.shift()
  }

  /** null until there is enough to tell. */
  get bytesPerSecond(): number | null {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (first === undefined || last === undefined || last.at - first.at < 250) return null
    return Math.round(((last.bytes - first.bytes) * 1000) / (last.at - first.at))
  }

  /** Seconds for so many bytes at this speed; null when that cannot be told. */
  secondsFor(bytes: number): number | null {
    const speed = this.bytesPerSecond
    return speed === null || speed <= 0 ? null : Math.ceil(bytes / speed)
  }
}
