import { AppError, isAbort } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { computeBytes, kvCacheBytes, Measurements, parts } from './memory.ts'
import type { LoadOptions } from './options.ts'
import { type Placement, type PlacementPolicy, smallerContext, type Wish } from './placement.ts'
import { Resident, type ResidentFacts, type RunnerHold, type UnloadReason } from './resident.ts'

export type LoadModel<R> = (options: LoadOptions, signal: AbortSignal, onProgress: (fraction: number) => void) => Promise<R>

/** What happens to a model, told to who decides. */
export interface ResidencyEvents<R extends RunnerHold> {
  progress(model: Resident<R>): void
  loaded(model: Resident<R>, loadMs: number): void
  /** It is no longer among the models. */
  loadFailed(model: Resident<R>, error: unknown): void
  /** Requests that asked for as much as `wish` cannot be served, or none at all when it is null. */
  contextFailed(model: Resident<R>, error: unknown, wish: Wish | null): void
  /** It is no longer among the models; its work is lost. */
  crashed(model: Resident<R>, error: AppError): void
  unloaded(model: Resident<R>, reason: UnloadReason): void
  /** Something above, or a context, may let a request go on. */
  changed(): void
}

/** What setTimeout can count, 24 days. */
const longestTimerMs = 2 ** 31 - 1

/** The models that have a process: brings them in, makes their contexts, sees them out. What happens when is decided elsewhere. */
export class Residency<R extends RunnerHold> {
  readonly models = new Map<string, Resident<R>>()
  readonly measurements = new Measurements()
  readonly #load: LoadModel<R>
  readonly #policy: PlacementPolicy & { loadTimeoutMs: number }
  readonly #log: Log
  readonly #events: ResidencyEvents<R>

  constructor(load: LoadModel<R>, policy: PlacementPolicy & { loadTimeoutMs: number }, log: Log, events: ResidencyEvents<R>) {
    this.#load = load
    this.#policy = policy
    this.#log = log
    this.#events = events
  }

  get all(): Resident<R>[] {
    return [...this.models.values()]
  }

  start(facts: ResidentFacts): void {
    const { spec, label, options, placement, reason } = facts
    const model = new Resident<R>(facts)
    this.models.set(spec.key, model)
    this.#log.info('loading model', {
      model: label.name,
      reason,
      file: spec.file,
      build: options.build,
      gpuLayers: options.gpuLayers,
      useMmap: options.useMmap,
    })
    if (!placement.fits) this.#log.warn('the model may not fit into memory', { model: label.name, need: placement.need })
    model.loading = this.#bring(model)
  }

  async #bring(model: Resident<R>): Promise<void> {
    const { spec, label } = model
    const startedMs = performance.now()
    const { loadTimeoutMs } = this.#policy
    const stall = () =>
      model.abort.abort(new AppError('timed-out', `timed out waiting for model runner to start - no progress for ${loadTimeoutMs / 1000} seconds`))
    let timer: NodeJS.Timeout | undefined
    const progress = (fraction: number) => {
      clearTimeout(timer)
      if (Number.isFinite(loadTimeoutMs)) timer = setTimeout(stall, Math.min(loadTimeoutMs, longestTimerMs))
      model.progress = fraction
      this.#events.progress(model)
    }
    progress(0)
    try {
      const runner = await this.#load(model.options, model.abort.signal, progress)
      model.runner = runner
      void runner.exited.then((error) => this.#exited(model, error))
      // Of mapped weights the file's pages and a repacked copy are both counted.
      if (!model.layout.useMmap) this.measurements.record(spec.key, { weights: spec.shape.weightBytes }, { weights: parts(runner.info.memory).weights })
      if (model.state === 'stopping') return
      model.state = 'ready'
      model.progress = 1
      const loadMs = Math.round(performance.now() - startedMs)
      this.#log.info('model loaded', { model: label.name, loadMs, bytes: model.usedBytes })
      this.#events.loaded(model, loadMs)
      this.#events.changed()
    } catch (error) {
      if (model.state === 'stopping') return
      this.models.delete(spec.key)
      this.#events.loadFailed(model, error)
      this.#events.changed()
    } finally {
      clearTimeout(timer)
    }
  }

  /** Makes the planned context, or a smaller one where the wish allows that; the one before goes on until its replies have ended. */
  async makeContext(model: Resident<R>, wish: Wish, placement: Placement): Promise<void> {
    const { loadTimeoutMs } = this.#policy
    model.preparing = new AbortController()
    const limits = Number.isFinite(loadTimeoutMs) ? [AbortSignal.timeout(Math.min(loadTimeoutMs, longestTimerMs))] : []
    const signal = AbortSignal.any([model.preparing.signal, model.abort.signal, ...limits])
    try {
      await this.#tryContexts(model, wish, placement, signal)
    } catch (error) {
      model.wantsToBeAlone = false
      // The runner lets the one before go first, and may have none now.
      model.context = null
      if (error instanceof AppError && error.code === 'runner-crashed') this.#exited(model, error)
      else if (limits[0]?.aborted) this.#events.contextFailed(model, new AppError('timed-out', 'timed out waiting for a context to be made'), null)
      else if (!isAbort(error)) this.#events.contextFailed(model, error, wish)
    } finally {
      model.preparing = null
      model.growing = false
      this.#events.changed()
    }
  }

  async #tryContexts(model: Resident<R>, wish: Wish, placement: Placement, signal: AbortSignal): Promise<void> {
    const { spec, label } = model
    for (let options = placement.context; options !== null; ) {
      try {
        const info = await (model.runner as R).ensureContext(options, signal)
        const { kvCache, compute } = parts(info.memory)
        this.measurements.record(spec.key, { kvCache: kvCacheBytes(spec.shape, options), compute: computeBytes(spec.shape, options) }, { kvCache, compute })
        model.context = { info, options }
        model.wantsToBeAlone = false
        model.growable = !wish.parallel
        if (wish.automatic) model.automaticLength = options.contextLength
        this.#log.info('context ready', { model: label.name, contextLength: info.contextLength, slots: info.slots, unified: options.unified })
        return
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'out-of-memory') throw error
        const smaller = smallerContext(options, wish, this.#policy, model.wantsToBeAlone)
        if (smaller === null && (model.wantsToBeAlone || this.models.size === 1)) throw error
        this.#log.warn('out of memory while making a context', { model: label.name, contextLength: options.contextLength, slots: options.slots })
        if (smaller === null) {
          model.wantsToBeAlone = true
          model.context = null
        }
        options = smaller
      }
    }
  }

  /** Ends a model's process; resolves when it is gone. */
  stop(model: Resident<R>, reason: UnloadReason): Promise<void> {
    if (model.gone !== null) return model.gone
    model.state = 'stopping'
    model.stopWatching()
    model.abort.abort()
    const end = async () => {
      await model.loading
      await model.runner?.[Symbol.asyncDispose]()
      this.#forget(model, reason)
    }
    model.gone = end()
    return model.gone
  }

  /** The process ended; unless we wanted that, it crashed. */
  #exited(model: Resident<R>, exit: AppError | null): void {
    if (model.state === 'stopping') return
    const error = exit ?? new AppError('runner-crashed', 'the model runner ended')
    model.state = 'stopping'
    model.stopWatching()
    this.#log.error('model runner crashed', error.message, { model: model.label.name, running: model.leases.size })
    this.#events.crashed(model, error)
    this.#forget(model, 'crash')
  }

  #forget(model: Resident<R>, reason: UnloadReason): void {
    const { key } = model.spec
    if (this.models.get(key) === model) this.models.delete(key)
    if (model.runner !== null) {
      this.#log.info('model unloaded', { model: model.label.name, reason })
      this.#events.unloaded(model, reason)
    }
    this.#events.changed()
  }
}
