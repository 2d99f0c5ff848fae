import { EventEmitter } from 'node:events'

/** One end of a channel, with `MessagePortMain`'s habits: nothing is delivered before `start()`. */
export class Port extends EventEmitter {
  readonly #post: (data: unknown) => void
  readonly #close: () => void
  readonly #early: unknown[] = []
  #started = false
  #closed = false

  constructor(post: (data: unknown) => void, close: () => void) {
    super()
    this.#post = post
    this.#close = close
  }

  start(): void {
    this.#started = true
    for (const data of this.#early.splice(0)) this.emit('message', { data, ports: [] })
  }

  postMessage(data: unknown): void {
    if (!this.#closed) this.#post(structuredClone(data))
  }

  close(): void {
    if (this.#closed) return
    this.#close()
    this.closed()
  }

  /** From the other end. */
  deliver(data: unknown): void {
    if (this.#started) this.emit('message', { data, ports: [] })
    else this.#early.push(data)
  }

  /** The other end is gone. */
  closed(): void {
    if (this.#closed) return
    this.#closed = true
    this.emit('close')
  }
}
