import type { AnyFunction, Codec } from './codec.ts'

/**
 * Runs in the page's own world before any of its scripts: receives what the preload script's world exposes.
 *
 * The worlds share the document, not objects: they speak by events on it, named by a secret. Stands alone: its source text is what runs.
 */
export function pageWorld({ encode, decode }: Codec, secret: string): void {
  const callbacks = new Map<number, AnyFunction>()
  let lastCallback = 0
  const keep = (fn: AnyFunction) => {
    callbacks.set(++lastCallback, fn)
    return lastCallback
  }

  /** A function of the preload script. Its answer comes inside the same dispatch. */
  const remote =
    (id: number): AnyFunction =>
    (...args) => {
      let answer = ''
      const receive = (event: Event) => {
        answer = (event as CustomEvent<string>).detail
      }
      document.addEventListener(`${secret}:answer`, receive, { once: true })
      document.dispatchEvent(new CustomEvent(`${secret}:call`, { detail: encode([id, args], keep) }))
      document.removeEventListener(`${secret}:answer`, receive)
      const { error, value } = decode(answer, remote) as { error?: Error; value?: unknown }
      if (error) throw error
      return value
    }

  const freeze = (value: unknown): unknown => {
    if (typeof value === 'object' && value !== null) {
      for (const part of Object.values(value)) freeze(part)
      Object.freeze(value)
    }
    return value
  }

  document.addEventListener(`${secret}:expose`, (event) => {
    const { key, api } = decode((event as CustomEvent<string>).detail, remote) as { key: string; api: unknown }
    Object.defineProperty(window, key, { value: freeze(api), configurable: false, writable: false, enumerable: true })
  })
  document.addEventListener(`${secret}:callback`, (event) => {
    const { id, args } = decode((event as CustomEvent<string>).detail, remote) as { id: number; args: unknown[] }
    callbacks.get(id)?.(...args)
  })
}
