/**
 * Says that something changed, never what.
 *
 * A watcher looks at the thing itself, so one that was busy meets a single change in place of a queue of them.
 */
export class Changes {
  readonly #waiting = new Set<() => void>()
  #version = 0

  announce(): void {
    this.#version++
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Once at the start and again after each change, until the signal aborts. */
  async *watch(signal: AbortSignal): AsyncGenerator<void, void, undefined> {
    let wake = () => {}
    const aborted = () => wake()
    signal.addEventListener('abort', aborted)
    try {
      for (let seen = -1; !signal.aborted; ) {
        if (seen !== this.#version) {
          seen = this.#version
          yield
          continue
        }
        const changed = Promise.withResolvers<void>()
        wake = changed.resolve
        this.#waiting.add(wake)
        await changed.promise
      }
    } finally {
      signal.removeEventListener('abort', aborted)
      this.#waiting.delete(wake)
    }
  }
}
