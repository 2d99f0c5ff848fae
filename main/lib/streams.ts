/**
 * The adapter from callbacks to an `AsyncIterable`: one producer, one consumer.
 *
 * Holds at most `limit` undelivered items; past that `push` answers false and the producer decides (drop, pause or fail).
 */
export class Channel<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  readonly #limit: number
  #wake: (() => void) | null = null
  #ended = false
  #error: unknown = null

  constructor(limit = 65_536) {
    this.#limit = limit
  }

  push(item: T): boolean {
    if (this.#ended) return false
    if (this.#items.length >= this.#limit) return false
    this.#items.push(item)
    this.#wake?.()
    return true
  }

  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** What was pushed before is still delivered, then the error is thrown. */
  fail(error: unknown): void {
    if (this.#ended) return
    this.#error = error
    this.end()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    let at = 0
    for (;;) {
      while (at < this.#items.length) yield this.#items[at++] as T
      this.#items.length = at = 0
      if (this.#ended) {
        if (this.#error !== null) throw this.#error
        return
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = null
    }
  }
}

/** One item of one of several streams, by that stream's position. */
export interface Numbered<T> {
  index: number
  item: T
}

/**
 * Several streams as one: items as they come, each stream read no further than its item has been taken.
 *
 * At most `atOnce` are begun; one that ends makes room for the next. When one fails, or the reader leaves, `leave` is called before the others are closed.
 */
export async function* merged<T>(starts: readonly (() => AsyncIterable<T>)[], atOnce: number, leave: () => void): AsyncGenerator<Numbered<T>> {
  type Step = { index: number; result: IteratorResult<T> } | { error: unknown }
  const running = new Map<number, AsyncIterator<T>>()
  const ready: Step[] = []
  let wake: (() => void) | null = null
  let begun = 0
  const tell = (step: Step) => {
    ready.push(step)
    wake?.()
  }
  const advance = (index: number, iterator: AsyncIterator<T>) => {
    iterator.next().then(
      (result) => tell({ index, result }),
      (error: unknown) => tell({ error }),
    )
  }
  const fill = () => {
    for (; running.size < atOnce && begun < starts.length; begun++) {
      const iterator = (starts[begun] as () => AsyncIterable<T>)()[Symbol.asyncIterator]()
      running.set(begun, iterator)
      advance(begun, iterator)
    }
  }
  try {
    fill()
    while (running.size > 0) {
      const step = ready.shift()
      if (step === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      if ('error' in step) throw step.error
      const { index, result } = step
      if (result.done) {
        running.delete(index)
        fill()
        continue
      }
      yield { index, item: result.value }
      advance(index, running.get(index) as AsyncIterator<T>)
    }
  } finally {
    if (running.size > 0) leave()
    await Promise.allSettled(running.values().map((iterator) => iterator.return?.()))
  }
}

/** What a generator returns, its steps left unseen. */
export async function resultOf<T>(steps: AsyncGenerator<unknown, T>): Promise<T> {
  for (;;) {
    const step = await steps.next()
    if (step.done) return step.value
  }
}
