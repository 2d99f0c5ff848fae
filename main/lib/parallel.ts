/**
 * Runs `work` on every item, at most `limit` at a time, in their order.
 *
 * The first failure ends the others by their signal; it is thrown once all have ended.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const failing = new AbortController()
  const either = AbortSignal.any([signal, failing.signal])
  const waiting = [...items].values()
  let failure: { error: unknown } | null = null

  async function worker(): Promise<void> {
    for (const item of waiting) {
      if (either.aborted) return
      try {
        await work(item, either)
      } catch (error) {
        failure ??= { error }
        failing.abort()
      }
    }
  }

  await Promise.all(Array.from({ length: limit }, worker))
  signal.throwIfAborted()
  if (failure !== null) throw (failure as { error: unknown }).error
}
