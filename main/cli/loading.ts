import type { Context } from './command.ts'
import { Progress } from './progress.ts'
import type { PsAnswer } from './protocol.ts'

const pollMs = 500

/** Shows that a model is being loaded, and how far, until it is disposed of: at the first word of a reply. */
export class LoadingIndicator implements Disposable {
  readonly #progress: Progress
  readonly #timer: NodeJS.Timeout
  #ended = false

  constructor({ client, terminal }: Pick<Context, 'client' | 'terminal'>, model: string) {
    this.#progress = new Progress(terminal.errors, { delayMs: terminal.errors.isTTY ? 200 : 1000 })
    this.#progress.status(`waiting for ${model}`)
    this.#timer = setInterval(async () => {
      // Only an ornament: whoever waits for the reply hears of a server that is gone.
      const answer = await client.call<PsAnswer>('GET', '/api/ps').catch(() => null)
      const loading = answer?.models.find(({ runner }) => runner?.state === 'loading')
      if (this.#ended) return
      // Plain lines do not count up.
      const percent = loading?.runner && terminal.errors.isTTY ? ` ${Math.floor(loading.runner.progress * 100)}%` : ''
      this.#progress.status(loading ? `loading ${loading.name}${percent}` : `waiting for ${model}`)
    }, pollMs).unref()
  }

  [Symbol.dispose](): void {
    this.#ended = true
    clearInterval(this.#timer)
    this.#progress.stop()
  }
}
