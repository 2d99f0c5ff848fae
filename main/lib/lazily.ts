/** The first answer, for everyone who asks; a failure is asked again. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | null = null
  return () => {
    answer ??= ask().catch((error: unknown) => {
      answer = null
      throw error
    })
    return answer
  }
}

/** A function whose code is loaded when it is first called, so that a start does not wait for it. */
export function lazily<A extends unknown[], T>(load: () => Promise<(...args: A) => Promise<T>>): (...args: A) => Promise<T> {
  return async (...args) => (await load())(...args)
}

/** The same for one that gives a stream. */
export function lazyStream<A extends unknown[], T>(load: () => Promise<(...args: A) => AsyncIterable<T>>): (...args: A) => AsyncGenerator<T, void> {
  return async function* (...args) {
    yield* (await load())(...args)
  }
}
