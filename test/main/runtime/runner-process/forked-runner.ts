import { fork } from 'node:child_process'
import { join } from 'node:path'
import type { ContextOptions } from '../../../../main/runtime/options.ts'
import type { FromRunner, GenerateRequest, RunnerEvent, ToRunner } from '../../../../main/runtime/protocol.ts'
import { criaFile } from '../../../helpers/library.ts'
import { contextOf, loadOptionsOf } from '../../../helpers/runner-requests.ts'

const root = join(import.meta.dirname, '../../../..')
type Call = ToRunner extends infer M ? (M extends { id: number } ? Omit<M, 'id'> : never) : never

/** The real runner process, spoken to as the server does. */
export class ForkedRunner implements AsyncDisposable {
  readonly child = fork(join(root, 'main/runtime/runner-process/main.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  readonly messages: FromRunner[] = []
  readonly #waiting = new Set<() => void>()
  #lastId = 0

  constructor() {
    this.child.on('message', (message) => {
      this.messages.push(message as FromRunner)
      for (const wake of this.#waiting) wake()
    })
    this.child.on('exit', () => {
      for (const wake of this.#waiting) wake()
    })
  }

  send(call: Call): number {
    const id = ++this.#lastId
    this.child.send({ ...call, id })
    return id
  }

  cancel(id: number): void {
    this.child.send({ type: 'cancel', id })
  }

  /** The first message, old or new, of which `pick` makes something. */
  async next<T>(pick: (message: FromRunner) => T | undefined): Promise<T> {
    let seen = 0
    for (;;) {
      for (; seen < this.messages.length; seen++) {
        const picked = pick(this.messages[seen] as FromRunner)
        if (picked !== undefined) return picked
      }
      if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error('the runner has ended')
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      await promise
      this.#waiting.delete(resolve)
    }
  }

  async call<T>(call: Call): Promise<T> {
    const id = this.send(call)
    return await this.next((message) => {
      if (message.type === 'error' && message.id === id) throw Object.assign(new Error(message.error.message), message.error, { details: message.details })
      return message.type === 'result' && message.id === id ? (message.value as T) : undefined
    })
  }

  async start(context: Partial<ContextOptions> = {}, file = criaFile): Promise<this> {
    await this.call({ type: 'load', options: loadOptionsOf(file) })
    await this.call({ type: 'context', options: contextOf(context) })
    return this
  }

  eventsOf(id: number): RunnerEvent[] {
    return this.messages.flatMap((message) => (message.type === 'step' ? message.events.filter(([of]) => of === id).map(([, event]) => event) : []))
  }

  async reply(request: GenerateRequest): Promise<{ text: string; events: RunnerEvent[]; done: Extract<RunnerEvent, { type: 'done' }> }> {
    const id = this.send({ type: 'generate', request })
    return await this.end(id)
  }

  async end(id: number): Promise<{ text: string; events: RunnerEvent[]; done: Extract<RunnerEvent, { type: 'done' }> }> {
    const done = await this.next((message) => {
      if (message.type === 'error' && message.id === id) throw Object.assign(new Error(message.error.message), message.error, { details: message.details })
      if (message.type !== 'step') return undefined
      return message.events.flatMap(([of, event]) => (of === id && event.type === 'done' ? [event] : []))[0]
    })
    const events = this.eventsOf(id)
    return { text: events.map((event) => (event.type === 'text' ? event.text : '')).join(''), events, done }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL')
  }
}
