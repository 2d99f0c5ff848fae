import { setTimeout as sleep } from 'node:timers/promises'
import { RegistryError } from './errors.ts'

/** How long a request that fails is repeated. */
export interface RetryRules {
  /** Of tries in a row that bring nothing. */
  maxTries: number
  /** Milliseconds before the n-th of them, from 1. */
  delayMs: (n: number) => number
}

/** The peer's: six tries after the first, 2ⁿ seconds apart; with jitter, so that parts that broke together do not return together. */
export const retryRules: RetryRules = { maxTries: 6, delayMs: (n) => 2 ** (n - 1) * 1000 * (0.5 + Math.random() / 2) }

/**
 * Repeats `attempt` while it fails for a reason that may pass. A failure that brought something on does not count.
 *
 * Throws the last failure, as `max retries exceeded: …` when there were too many.
 */
export async function withRetries<T>(rules: RetryRules, progress: () => number, attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; ) {
    const before = progress()
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof RegistryError && error.isTemporary)) throw error
      failures = progress() > before ? 1 : failures + 1
      if (failures > rules.maxTries) {
        throw new RegistryError(`max retries exceeded: ${error.message}`, { status: error.status, cause: error })
      }
      await sleep(Math.max(error.retryAfterMs ?? 0, rules.delayMs(failures)), undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}
