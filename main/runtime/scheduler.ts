import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { Crashes } from './crashes.ts'
import { type Demand, type ModelSpec, reloadReason } from './demand.ts'
import { chooseVictims } from './eviction.ts'
import type { Hardware } from './hardware.ts'
import type { Lease } from './lease.ts'
import type { ModelShape } from './memory.ts'
import type { MemoryState, Placement, PlacementPolicy, Wish } from './placement.ts'
import { Planner, type Preview } from './planner.ts'
import { type LoadModel, Residency } from './residency.ts'
import type { Resident, RunnerHold, UnloadReason } from './resident.ts'
import { describeResident, type ResidentModel } from './resident-model.ts'
import { type Runner, RunnerCrash } from './runner.ts'
import { type SystemMemory, systemMemory } from './system-memory.ts'
import { defaultThreads } from './threads.ts'
import { type Waiter, Waiting } from './waiting.ts'

/** What the machine's owner decided; a `Config` is one. */
export interface SchedulerSettings extends PlacementPolicy {
  /** Infinity: for ever. */
  keepAliveMs: number
  /** How long a load may stand still; Infinity: for ever. */
  loadTimeoutMs: number
  /** null: three a GPU, three on a machine without. */
  maxLoadedModels: number | null
  /** Requests that may wait for their turn. */
  maxQueue: number
  /** Default context length; null: what fits. */
  contextLength: number | null
}

export type SchedulerEvent =
  | { type: 'load'; key: string; name: string; reason: string; loadMs: number }
  | { type: 'unload'; key: string; name: string; reason: UnloadReason }
  /** A reply has ended that had the model to itself; `devices` hold the layers. */
  | { type: 'reply'; key: string; shape: ModelShape; devices: string[]; tokens: number; ms: number }

export interface SchedulerOptions<R extends RunnerHold> {
  load: LoadModel<R>
  /** What the machine computes with; the first load waits until it is known. A `HardwareProbe` is one. */
  hardware: { current(): Hardware; readonly ready: Promise<unknown> }
  settings: SchedulerSettings
  log: Log
  now?: () => number
  memory?: () => SystemMemory
  threads?: number
}

const modelsPerDevice = 3

/**
 * Decides which models are in memory, and hands out leases on them.
 *
 * Every change (a request, an end, a load, an exit) leads to one pass over those who wait, oldest first; the pass decides, the rest only reports.
 */
export class Scheduler<R extends RunnerHold = Runner> implements AsyncDisposable {
  readonly #settings: SchedulerSettings
  readonly #log: Log
  readonly #now: () => number
  readonly #residency: Residency<R>
  readonly #planner: Planner<R>
  readonly #waiting: Waiting<R>
  readonly #listeners = new Set<(event: SchedulerEvent) => void>()
  readonly #crashes: Crashes
  /** Why the next load of a key happens, when it is not simply asked for. */
  readonly #reasons = new Map<string, string>()
  /** Loads that ran out of memory once: the second try has the machine to itself and asks for less. */
  readonly #secondTries = new Set<string>()
  /** Counts uses, to order models by their last one whatever the clock does. */
  #uses = 0
  #ready = false
  #closed = false

  constructor(options: SchedulerOptions<R>) {
    this.#settings = options.settings
    this.#log = options.log
    this.#now = options.now ?? Date.now
    this.#crashes = new Crashes(this.#now)
    this.#residency = new Residency<R>(options.load, options.settings, options.log, {
      progress: (model) => {
        for (const waiter of this.#waiting.of(model.spec.key)) waiter.onProgress?.(model.progress)
      },
      loaded: (model, loadMs) => this.#loaded(model, loadMs),
      loadFailed: (model, error) => this.#loadFailed(model, error),
      contextFailed: (model, error, wish) => this.#waiting.refuse(model.spec.key, error, (waiter) => wish === null || this.#planner.asksAsMuch(waiter, wish)),
      crashed: (model, error) => this.#crashed(model, error),
      unloaded: ({ spec, label }, reason) => this.#emit({ type: 'unload', key: spec.key, name: label.name, reason }),
      changed: () => this.#pass(),
    })
    this.#planner = new Planner<R>({
      hardware: () => options.hardware.current(),
      memory: options.memory ?? systemMemory,
      threads: options.threads ?? defaultThreads(),
      settings: options.settings,
      models: this.#residency.models,
      measurements: this.#residency.measurements,
    })
    this.#waiting = new Waiting<R>(this.#residency.models)
    const open = () => {
      this.#ready = true
      this.#pass()
    }
    options.hardware.ready.then(open, open)
  }

  /** Waits for the model, loading it when it is not there. The signal ends the wait; a load that nobody waits for any more is cancelled. */
  async acquire(spec: ModelSpec, demand: Demand, signal: AbortSignal, onProgress?: (fraction: number) => void): Promise<Lease<R>> {
    signal.throwIfAborted()
    if (this.#closed) throw new AppError('unavailable', 'server is shutting down')
    if (this.#waiting.wouldWait(spec.key) && this.#waiting.queued() >= this.#settings.maxQueue) {
      throw new AppError('queue-full', 'server busy, please try again.  maximum pending requests exceeded')
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease<R>>()
    const waiter: Waiter<R> = { spec, demand, startedMs: performance.now(), resolve, reject, onProgress }
    const abort = () => {
      if (!this.#waiting.remove(waiter)) return
      reject(signal.reason)
      this.#abandon(spec.key)
      this.#pass()
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#waiting.add(waiter)
    this.#pass()
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Every model that has a process, those on their way in and out included. */
  resident(): ResidentModel[] {
    const now = this.#now()
    const gpus = this.#planner.gpuNames()
    // One that nothing uses any more is gone for the caller; its process takes a few milliseconds longer.
    const models = this.#residency.all.filter((model) => model.state !== 'stopping' || model.leases.size > 0)
    return models.map((model) => describeResident(model, { now, gpus, waiting: this.#waiting.of(model.spec.key).length }))
  }

  /** Where this model would go if it were asked for now and all others were let go, or with `longest` with all the context that fits; nothing is loaded. */
  preview(spec: ModelSpec, demand: Demand, { longest = false }: { longest?: boolean } = {}): Preview {
    return this.#planner.preview(spec, demand, { longest })
  }

  /** Lets a model go: at once when nothing uses it, else after the last request. False when it is not in memory. */
  unload(key: string): boolean {
    const model = this.#residency.models.get(key)
    if (model === undefined || model.state === 'stopping') return false
    model.keepAliveMs = 0
    this.#settle(model)
    return true
  }

  /** Tells of each load and unload until the returned handle is disposed. */
  watch(listener: (event: SchedulerEvent) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Takes no more requests, refuses those who wait, stops every runner. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiting.all) this.#waiting.refuse(waiter.spec.key, new AppError('unavailable', 'server is shutting down'))
    await Promise.all(this.#residency.all.map((model) => this.#residency.stop(model, 'shutdown')))
  }

  /** Ends work that was done for those who have left. */
  #abandon(key: string): void {
    const model = this.#residency.models.get(key)
    if (model === undefined || this.#waiting.of(key).length > 0) return
    if (model.state === 'loading') void this.#residency.stop(model, 'cancelled')
    model.preparing?.abort()
  }

  #pass(): void {
    if (this.#closed) return
    for (const model of this.#residency.models.values()) model.draining = false
    // Who needs room goes first come, first served: a small model does not overtake one that waits for memory.
    let blocked = !this.#ready
    for (const waiter of this.#waiting.all) {
      if (!this.#waiting.has(waiter)) continue
      const model = this.#residency.models.get(waiter.spec.key)
      if (model !== undefined) blocked = !this.#serve(waiter, model, blocked) || blocked
      else if (!blocked) blocked = !this.#begin(waiter)
    }
    for (const model of this.#residency.models.values()) this.#settle(model)
  }

  /** Gives the model to the request, or does what is missing for that; false when that has to wait for room. */
  #serve(waiter: Waiter<R>, model: Resident<R>, blocked: boolean): boolean {
    if (model.state !== 'ready' || model.draining) return true
    const wish = this.#planner.wish(waiter)
    const reason = reloadReason(model.layout, wish)
    if (reason !== null) {
      model.draining = true
      if (model.isIdle) {
        this.#reasons.set(waiter.spec.key, `options: ${reason}`)
        void this.#residency.stop(model, 'options')
      }
      return true
    }
    if (model.serves(wish)) {
      if (wish.weightsOnly || !this.#grow(model, wish, blocked)) this.#grant(waiter, model, wish)
    } else if (model.preparing === null && !blocked) return this.#prepare(waiter, model)
    return true
  }

  /**
   * True when a request that finds no free slot waits for more of them.
   *
   * A model begins with one, as zeroing the cache of four can take longer than the load, and gets the others when two requests meet.
   */
  #grow(model: Resident<R>, wish: Wish, blocked: boolean): boolean {
    if (model.context === null || model.leases.size < model.slots) return false
    if (model.preparing !== null || blocked || !model.growable || this.#settings.numParallel !== null) return model.growing
    const { options } = model.context
    const { contextLength, batchSize, threads, slots } = options
    const wider: Wish = { ...wish, contextLength, batchSize, threads, automatic: false, parallel: true }
    const { alone: placement } = this.#planner.context(model, wider, [])
    model.growable = false
    if (!placement.fits || (placement.context?.slots ?? 0) <= slots) return false
    model.growing = true
    void this.#residency.makeContext(model, wider, placement)
    return true
  }

  #grant(waiter: Waiter<R>, model: Resident<R>, wish: Wish): void {
    this.#waiting.remove(waiter)
    const { keepAliveMs } = waiter.demand
    if (keepAliveMs !== null) model.keepAliveMs = keepAliveMs < 0 ? Number.POSITIVE_INFINITY : keepAliveMs
    model.touch(this.#now(), ++this.#uses)
    const hold = {}
    model.leases.add(hold)
    const available = model.context?.info.contextLength ?? wish.contextLength
    waiter.resolve({
      runner: model.runner as R,
      contextLength: wish.automatic ? available : Math.min(wish.contextLength, available),
      loadMs: performance.now() - waiter.startedMs,
      wrote: (tokens, ms) => {
        if (model.leases.size > 1) return
        this.#emit({ type: 'reply', key: model.spec.key, shape: model.spec.shape, devices: this.#planner.devicesOf(model), tokens, ms })
      },
      [Symbol.asyncDispose]: async () => {
        if (!model.leases.delete(hold)) return
        model.touch(this.#now(), ++this.#uses)
        this.#pass()
      },
    })
  }

  /** Lets an idle model go when its time is over. */
  #settle(model: Resident<R>): void {
    if (this.#waiting.of(model.spec.key).length > 0) return
    const remainingMs = model.remainingMs(this.#now())
    if (remainingMs <= 0) void this.#residency.stop(model, model.keepAliveMs <= 0 ? 'request' : 'keep-alive')
    else model.wakeIn(remainingMs, () => this.#settle(model))
  }

  /** Starts the load of a model that is not there; false when it has to wait for room. */
  #begin(waiter: Waiter<R>): boolean {
    const { spec, demand } = waiter
    const refusal = this.#crashes.refusal(spec.key, demand.label.name, spec.file)
    if (refusal !== null) {
      this.#waiting.refuse(spec.key, refusal)
      return true
    }
    const wish = this.#commonWish(waiter)
    const secondTry = this.#secondTries.has(spec.key)
    const others = this.#residency.all
    const plan = this.#planner.load(spec, wish, others, { cautious: secondTry })
    if (plan.problem !== null) {
      this.#waiting.refuse(spec.key, plan.problem)
      return true
    }
    if (!this.#makeRoom(others, (state) => !secondTry && plan.isGoodEnough(state), true)) return false
    this.#start(waiter, plan.place(this.#planner.stateWithout([])))
    return true
  }

  /** One wish for all who wait for this model, so that the first context serves them: the longest of those like the first's, or our own choice if that is longer. */
  #commonWish(first: Waiter<R>): Wish {
    let wish = this.#planner.wish(first)
    for (const other of this.#waiting.of(first.spec.key)) {
      const { contextLength, automatic } = this.#planner.wish(other)
      if ((automatic || automatic === wish.automatic) && contextLength > wish.contextLength) wish = { ...wish, contextLength, automatic }
    }
    const { key } = first.spec
    return { ...wish, parallel: this.#waiting.of(key).length + (this.#residency.models.get(key)?.leases.size ?? 0) > 1 }
  }

  /** True when there is room now; else unloads, or lets run out, what is in the way. */
  #makeRoom(others: Resident<R>[], isEnough: (state: MemoryState) => boolean, oneMore: boolean): boolean {
    const limit = this.#settings.maxLoadedModels ?? modelsPerDevice * Math.max(1, this.#planner.gpuNames().length)
    const countFits = (gone: number) => !oneMore || this.#residency.models.size - gone < limit
    const enough = (gone: readonly Resident<R>[]) => countFits(gone.length) && isEnough(this.#planner.stateWithout(gone))
    if (others.length === 0 || enough([])) return true
    const leaving = others.filter((model) => model.state === 'stopping')
    const candidates = others.filter((model) => model.state === 'ready')
    for (const model of chooseVictims(candidates, (gone) => enough([...leaving, ...gone]))) {
      if (model.isIdle) void this.#residency.stop(model, countFits(leaving.length) ? 'memory' : 'count')
      else model.draining = true
    }
    return false
  }

  #start({ spec, demand }: Waiter<R>, placement: Placement): void {
    this.#residency.start({
      spec,
      label: demand.label,
      options: this.#planner.loadOptions(spec, placement),
      placement,
      reason: this.#reasons.get(spec.key) ?? 'request',
      keepAliveMs: this.#settings.keepAliveMs,
      nowMs: this.#now(),
    })
    this.#reasons.delete(spec.key)
  }

  #loaded(model: Resident<R>, loadMs: number): void {
    const { spec, label, reason } = model
    this.#secondTries.delete(spec.key)
    model.touch(this.#now(), ++this.#uses)
    this.#emit({ type: 'load', key: spec.key, name: label.name, reason, loadMs })
  }

  #loadFailed(model: Resident<R>, error: unknown): void {
    const { spec, label } = model
    const secondTry = this.#secondTries.delete(spec.key)
    if (error instanceof AppError && error.code === 'out-of-memory' && !secondTry && (this.#residency.models.size > 0 || model.layout.gpuLayers > 0)) {
      this.#log.warn('out of memory while loading, trying once more without other models', { model: label.name })
      this.#reasons.set(spec.key, 'out of memory before')
      this.#secondTries.add(spec.key)
      return
    }
    if (error instanceof AppError && error.code === 'runner-crashed') this.#recordCrash(spec.key, error)
    this.#log.error('the model could not be loaded', error instanceof AppError ? error.message : error, { model: label.name, file: spec.file })
    this.#waiting.refuse(spec.key, error)
  }

  /** Starts to make the context that this request needs on loaded weights; false when that has to wait for room. */
  #prepare(waiter: Waiter<R>, model: Resident<R>): boolean {
    const { spec, label } = model
    const wish = this.#commonWish(waiter)
    const asked = waiter.demand.contextLength ?? this.#settings.contextLength
    if (asked !== null && asked > wish.contextLength) {
      this.#log.warn('the context length asked for is cut to what the model was trained for', { model: label.name, asked, trained: wish.contextLength })
    }
    const others = this.#residency.all.filter((other) => other !== model)
    const plan = this.#planner.context(model, wish, others)
    if (plan.problem !== null) {
      this.#waiting.refuse(spec.key, plan.problem, (other) => other === waiter || this.#planner.asksAsMuch(other, wish))
      return true
    }
    if (!this.#makeRoom(others, (state) => !model.wantsToBeAlone && plan.isGoodEnough(state), false)) return false
    void this.#residency.makeContext(model, wish, plan.place(this.#planner.stateWithout([])))
    return true
  }

  #crashed(model: Resident<R>, error: AppError): void {
    const { key } = model.spec
    if (model.leases.size > 0 || model.preparing !== null) this.#recordCrash(key, error)
    if (model.preparing !== null) this.#waiting.refuse(key, error)
    this.#reasons.set(key, 'crash')
  }

  #recordCrash(key: string, error: AppError): void {
    if (!(error instanceof RunnerCrash && error.fromOutside)) this.#crashes.record(key, error.message)
  }

  #emit(event: SchedulerEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
