import type { Context as ContextType } from '../../../../main/runtime/llama/context.ts'
import { Context } from '../../../../main/runtime/llama/context.ts'
import { loadLibrary, platformBuild } from '../../../../main/runtime/llama/library.ts'
import { Model } from '../../../../main/runtime/llama/model.ts'
import type { ContextOptions } from '../../../../main/runtime/options.ts'
import type { GenerateRequest, RunnerEvent } from '../../../../main/runtime/protocol.ts'
import { Engine } from '../../../../main/runtime/runner-process/engine.ts'
import { criaFile } from '../../../helpers/library.ts'
import { contextOf, loadOptionsOf, requestOf } from '../../../helpers/runner-requests.ts'

export interface Written {
  text: string
  events: RunnerEvent[]
  done: Extract<RunnerEvent, { type: 'done' }>
}

const models = new Map<string, Promise<Model>>()

/** A model of this test file, read once. */
export function loadedModel(file = criaFile): Promise<Model> {
  const model = models.get(file) ?? Model.load(loadLibrary(platformBuild()), loadOptionsOf(file), new AbortController().signal)
  models.set(file, model)
  return model
}

/** An engine in this process, with what it says kept in order. */
export class RunningEngine implements Disposable {
  readonly engine: Engine
  readonly context: ContextType
  /** All events in the order of the steps. */
  readonly log: [id: number, event: RunnerEvent][] = []
  readonly #errors = new Map<number, unknown>()
  readonly #waiting = new Set<() => void>()
  #lastId = 0

  static async start(options: Partial<ContextOptions> = {}, file = criaFile): Promise<RunningEngine> {
    const complete = contextOf(options)
    return new RunningEngine(await Context.forReplies(await loadedModel(file), complete), complete.contextLength)
  }

  private constructor(context: ContextType, contextLength: number) {
    this.context = context
    const wake = () => {
      for (const listener of this.#waiting) listener()
    }
    this.engine = new Engine(context, contextLength, {
      step: (events) => {
        this.log.push(...events)
        wake()
      },
      fail: (id, error) => {
        this.#errors.set(id, error)
        wake()
      },
    })
  }

  async submit(request: GenerateRequest): Promise<number> {
    const id = ++this.#lastId
    await this.engine.submit(id, request)
    return id
  }

  eventsOf(id: number): RunnerEvent[] {
    return this.log.filter(([of]) => of === id).map(([, event]) => event)
  }

  /** The first event of a reply that `pick` wants. */
  async next(id: number, pick: (event: RunnerEvent) => boolean): Promise<RunnerEvent> {
    for (;;) {
      if (this.#errors.has(id)) throw this.#errors.get(id)
      const event = this.eventsOf(id).find(pick)
      if (event !== undefined) return event
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      await promise
      this.#waiting.delete(resolve)
    }
  }

  async end(id: number): Promise<Written> {
    const done = (await this.next(id, ({ type }) => type === 'done')) as Written['done']
    const events = this.eventsOf(id)
    return { done, events, text: events.map((event) => (event.type === 'text' ? event.text : '')).join('') }
  }

  async write(prompt: string | number[], more: Partial<GenerateRequest> = {}): Promise<Written> {
    return await this.end(await this.submit(requestOf(prompt, more)))
  }

  [Symbol.dispose](): void {
    this.context.free()
  }
}
