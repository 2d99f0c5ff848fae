// Preloaded into a child of the double, so that it looks like a utility process: early messages wait for the first listener.
import { EventEmitter } from 'node:events'

class ParentPort extends EventEmitter {
  readonly #early: unknown[] = []
  #listening = false

  constructor() {
    super()
    this.on('newListener', (name) => {
      if (name !== 'message' || this.#listening) return
      this.#listening = true
      setImmediate(() => {
        for (const data of this.#early.splice(0)) this.emit('message', { data, ports: [] })
      })
    })
  }
  postMessage(message: unknown): void {
    process.send?.(message)
  }
  deliver(data: unknown): void {
    if (this.#listening && this.#early.length === 0) this.emit('message', { data, ports: [] })
    else this.#early.push(data)
  }
}

const parentPort = new ParentPort()
process.on('message', (message) => parentPort.deliver(message))
process.on('disconnect', () => process.exit(0))
Object.defineProperty(process, 'parentPort', { value: parentPort, enumerable: true })
