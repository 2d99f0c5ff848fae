import { AppError, toPlainError } from '../../errors.ts'
import { pooling } from '../llama/abi.ts'
import { Context } from '../llama/context.ts'
import { loadLibrary } from '../llama/library.ts'
import type { BufferSizes } from '../llama/log.ts'
import { Model } from '../llama/model.ts'
import type { ContextOptions, LoadOptions } from '../options.ts'
import type { ContextInfo, FromRunner, GenerateRequest, LoadedInfo, MemoryUse, ToRunner } from '../protocol.ts'
import { Embedder } from './embedder.ts'
import { Engine } from './engine.ts'
import { ContextExceeded } from './prompt.ts'

interface Current {
  engine: Engine
  key: string
  info: ContextInfo
}

/** One model and what runs on it, driven by the server's messages. */
export class RunnerProcess {
  readonly #post: (message: FromRunner) => void
  readonly #jobs = new Map<number, AbortController>()
  #model: Model | null = null
  #embedder: Embedder | null = null
  #current: Current | null = null
  /** Engines of earlier contexts, until their last reply has ended. */
  readonly #retired = new Set<Engine>()
  /** Loads, contexts and embeddings happen one after the other. */
  #line: Promise<unknown> = Promise.resolve()

  constructor(post: (message: FromRunner) => void) {
    this.#post = post
  }

  get running(): number {
    return this.#engines().reduce((sum, engine) => sum + engine.running, 0)
  }

  get queued(): number {
    return this.#engines().reduce((sum, engine) => sum + engine.queued, 0)
  }

  /** To be called each second: says that this process lives, and what it does. */
  heartbeat(): void {
    for (const engine of this.#engines()) engine.glance()
    this.#post({ type: 'heartbeat', running: this.running, queued: this.queued })
  }

  receive(message: ToRunner): void {
    switch (message.type) {
      case 'load':
        this.#inLine(message.id, (signal) => this.#load(message.id, message.options, signal))
        return
      case 'context':
        this.#inLine(message.id, () => this.#makeContext(message.options))
        return
      case 'embed':
        this.#inLine(message.id, (signal) => this.#embed().embed(message.request, signal))
        return
      case 'generate':
        this.#generate(message.id, message.request)
        return
      case 'tokenize':
        this.#answer(message.id, () => message.texts.map((text) => this.#loaded().tokenize(text, message)))
        return
      case 'detokenize':
        this.#answer(message.id, () => this.#loaded().detokenize(message.tokens))
        return
      case 'cancel':
        this.#jobs.get(message.id)?.abort(new AppError('cancelled', 'cancelled'))
        for (const engine of this.#engines()) if (engine.cancel(message.id)) return
        return
      case 'shutdown':
        // The system takes the memory back quicker than we can free it.
        process.exit(0)
        return
      default:
        message satisfies never
    }
  }

  /** Frees what was loaded, for a process that lives on. */
  async close(): Promise<void> {
    await this.#line
    this.#embedder?.free()
    this.#model?.free()
  }

  async #load(id: number, options: LoadOptions, signal: AbortSignal): Promise<LoadedInfo> {
    if (this.#model !== null) throw new Error('this process has loaded its model')
    const begun = performance.now()
    const library = loadLibrary(options.build)
    let percent = -1
    const model = await Model.load(library, options, signal, (fraction) => {
      if (Math.floor(fraction * 100) === percent) return
      percent = Math.floor(fraction * 100)
      this.#post({ type: 'progress', id, fraction })
    })
    this.#model = model
    return {
      trainedContextLength: model.trainedContextLength,
      vocabularySize: model.vocabularySize,
      embeddingLength: model.embeddingLength,
      layers: model.layers,
      parameters: model.parameters,
      sizeBytes: model.sizeBytes,
      bosText: model.tokenText(model.bosToken),
      eosText: model.tokenText(model.eosToken),
      bosToken: model.bosToken,
      eosToken: model.eosToken,
      sepToken: model.sepToken,
      addsBos: model.addsBos,
      addsEos: model.addsEos,
      addsSep: model.addsSep,
      hasEncoder: model.hasEncoder,
      hasDecoder: model.hasDecoder,
      rewindable: model.rewindable,
      pooling: poolingName(model),
      memory: memoryUse(model.buffers),
      devices: model.devices,
      loadMs: performance.now() - begun,
    }
  }

  /** The old context's memory is free for the new one unless replies still need it; it comes back if the new one cannot be had. */
  async #makeContext(options: ContextOptions): Promise<ContextInfo> {
    const before = this.#current
    if (before?.key === JSON.stringify(options)) return before.info
    this.#current = null
    if (before !== null) this.#retire(before.engine)
    try {
      this.#current = await this.#newContext(options)
      return this.#current.info
    } catch (error) {
      if (before !== null) this.#current = this.#retired.delete(before.engine) ? before : await this.#newContext(JSON.parse(before.key))
      throw error
    }
  }

  async #newContext(options: ContextOptions): Promise<Current> {
    const model = this.#loaded()
    if (!model.hasDecoder || model.hasEncoder) throw new AppError('invalid-request', 'this model does not generate text')
    const contextLength = Math.min(options.contextLength, model.trainedContextLength || options.contextLength)
    const context = await Context.forReplies(model, { ...options, contextLength })
    const engine = new Engine(context, Math.min(contextLength, context.sequenceLength), {
      step: (events) => this.#post({ type: 'step', events }),
      fail: (id, error) => this.#fail(id, error),
    })
    const info = { contextLength: engine.contextLength, slots: options.slots, memory: memoryUse(context.buffers, model.buffers) }
    return { engine, key: JSON.stringify(options), info }
  }

  #retire(engine: Engine): void {
    if (engine.running === 0 && engine.queued === 0) {
      engine.context.free()
      return
    }
    this.#retired.add(engine)
    void engine.whenIdle().then(() => {
      if (this.#retired.delete(engine)) engine.context.free()
    })
  }

  #generate(id: number, request: GenerateRequest): void {
    if (this.#current !== null) {
      void this.#submit(this.#current.engine, id, request)
      return
    }
    // A context is being made: the reply begins when it is there.
    const job = new AbortController()
    this.#jobs.set(id, job)
    void this.#line.then(() => {
      this.#jobs.delete(id)
      if (job.signal.aborted) return
      if (this.#current === null) this.#fail(id, new Error('no context has been made'))
      else void this.#submit(this.#current.engine, id, request)
    })
  }

  async #submit(engine: Engine, id: number, request: GenerateRequest): Promise<void> {
    try {
      await engine.submit(id, request)
    } catch (error) {
      this.#fail(id, error)
    }
  }

  #embed(): Embedder {
    this.#embedder ??= new Embedder(this.#loaded())
    return this.#embedder
  }

  #loaded(): Model {
    if (this.#model === null) throw new Error('no model has been loaded')
    return this.#model
  }

  #engines(): Engine[] {
    return [...(this.#current === null ? [] : [this.#current.engine]), ...this.#retired]
  }

  #inLine(id: number, work: (signal: AbortSignal) => Promise<unknown>): void {
    const job = new AbortController()
    this.#jobs.set(id, job)
    this.#line = this.#line
      .then(() => {
        job.signal.throwIfAborted()
        return work(job.signal)
      })
      .then(
        (value) => this.#post({ type: 'result', id, value }),
        (error: unknown) => this.#fail(id, error),
      )
      .finally(() => this.#jobs.delete(id))
  }

  #answer(id: number, work: () => unknown): void {
    try {
      this.#post({ type: 'result', id, value: work() })
    } catch (error) {
      this.#fail(id, error)
    }
  }

  #fail(id: number, error: unknown): void {
    const details = error instanceof ContextExceeded ? { details: error.details } : {}
    this.#post({ type: 'error', id, error: toPlainError(error), ...details })
  }
}

function memoryUse(...buffers: BufferSizes[]): MemoryUse {
  const use: MemoryUse = { weights: {}, kvCache: {}, compute: {}, residentBytes: process.memoryUsage.rss() }
  for (const sizes of buffers) {
    for (const part of ['weights', 'kvCache', 'compute'] as const) {
      for (const [device, bytes] of Object.entries(sizes[part])) use[part][device] = (use[part][device] ?? 0) + bytes
    }
  }
  return use
}

function poolingName(model: Model): string {
  const value = model.metadata(`${model.metadata('general.architecture')}.pooling_type`)
  return Object.entries(pooling).find(([, number]) => String(number) === value)?.[0] ?? 'none'
}
