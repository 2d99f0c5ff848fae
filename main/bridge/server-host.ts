import { AppError, toPlainError } from '../errors.ts'
import { Changes } from '../lib/changes.ts'
import type { Log } from '../lib/log.ts'
import type { LoadedModel, ServerStatus } from './contract.ts'

/** What the window says of a server beside its address. */
export interface ServerFacts {
  device: string
  loaded: LoadedModel[]
}

interface Parts<S> {
  start: () => Promise<S>
  facts: (server: S) => ServerFacts
  /** Calls back whenever the facts may have changed. */
  follow: (server: S, changed: () => void) => void
  version: string
  log: Log
}

/** The server that the window's program runs: started in the background, seen starting, listening or failed, started again on request. */
export class ServerHost<S extends AsyncDisposable & { url: string }> implements AsyncDisposable {
  readonly #parts: Parts<S>
  readonly #changes = new Changes()
  #starting: Promise<S> | null = null
  #server: S | null = null
  #error: unknown = null
  #disposed = false

  constructor(parts: Parts<S>) {
    this.#parts = parts
  }

  /** Starts it unless it runs or is starting. Never throws: `watch` tells how it went. */
  start(): void {
    if (this.#starting !== null || this.#disposed) return
    this.#error = null
    const starting = this.#parts.start()
    this.#starting = starting
    starting.then(
      (server) => {
        this.#server = server
        this.#parts.follow(server, () => this.#changes.announce())
        this.#changes.announce()
      },
      (error: unknown) => {
        if (!(error instanceof AppError)) this.#parts.log.error('the server did not start', error)
        this.#error = error
        this.#starting = null
        this.#changes.announce()
      },
    )
    this.#changes.announce()
  }

  /** The server, once it listens. Throws why it does not. */
  async running(): Promise<S> {
    if (this.#starting !== null) return this.#starting
    throw this.#error ?? new AppError('unavailable', 'the server is not running')
  }

  /** The status now, then whenever it changes. */
  async *watch(signal: AbortSignal): AsyncGenerator<ServerStatus> {
    let seen = ''
    for await (const _ of this.#changes.watch(signal)) {
      const status = this.#status()
      const text = JSON.stringify(status)
      if (text === seen) continue
      seen = text
      yield status
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    // A failed start left nothing behind and has been reported.
    const server = await this.#starting?.catch(() => null)
    await server?.[Symbol.asyncDispose]()
  }

  #status(): ServerStatus {
    if (this.#error !== null) return { state: 'failed', error: toPlainError(this.#error) }
    if (this.#server === null) return { state: 'starting' }
    return { state: 'listening', url: this.#server.url, version: this.#parts.version, ...this.#parts.facts(this.#server) }
  }
}
