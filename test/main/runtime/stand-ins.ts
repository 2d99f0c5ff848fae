import { AppError } from '../../../main/errors.ts'
import { Log } from '../../../main/lib/log.ts'
import type { Demand, ModelSpec } from '../../../main/runtime/demand.ts'
import type { Device } from '../../../main/runtime/device.ts'
import type { Hardware } from '../../../main/runtime/hardware.ts'
import type { ModelShape } from '../../../main/runtime/memory.ts'
import type { ContextOptions, LoadOptions } from '../../../main/runtime/options.ts'
import type { ContextInfo, LoadedInfo } from '../../../main/runtime/protocol.ts'
import type { RunnerHold } from '../../../main/runtime/resident.ts'
import { Scheduler, type SchedulerEvent, type SchedulerSettings } from '../../../main/runtime/scheduler.ts'

export const gibibyte = 2 ** 30

/** Weights of 1 GiB; 32,768 tokens take 1 GiB of KV cache. */
export const shape: ModelShape = {
  architecture: 'llama',
  layers: 16,
  embeddingLength: 1024,
  headCount: 8,
  headCountKv: 4,
  keyLength: 128,
  valueLength: 128,
  vocabularySize: 32_000,
  contextLength: 131_072,
  slidingWindow: null,
  weightBytes: gibibyte,
}

export function spec(key: string, changes: Partial<ModelShape> = {}): ModelSpec {
  return { key, file: `/models/${key}.gguf`, shape: { ...shape, ...changes }, embeddingOnly: false, sizeBytes: gibibyte }
}

export function demand(changes: Partial<Demand> = {}): Demand {
  return {
    contextLength: null,
    batchSize: null,
    gpuLayers: null,
    mainGpu: null,
    useMmap: null,
    threads: null,
    keepAliveMs: null,
    label: { name: 'model:latest', digest: 'd', details: null },
    ...changes,
  }
}

export const defaults: SchedulerSettings = {
  keepAliveMs: 300_000,
  loadTimeoutMs: 300_000,
  maxLoadedModels: null,
  numParallel: null,
  maxQueue: 512,
  contextLength: null,
  kvCacheType: 'f16',
  flashAttention: null,
  schedSpread: false,
  gpuOverheadBytes: 0,
}

/** A runner without a process: what a test decides happens. */
export class StandIn implements RunnerHold {
  readonly options: LoadOptions
  readonly contexts: ContextOptions[] = []
  readonly info: LoadedInfo
  readonly #exited = Promise.withResolvers<AppError | null>()
  /** Contexts with more cells than this run out of memory. */
  mostCells = Number.POSITIVE_INFINITY
  alive = true

  constructor(options: LoadOptions, weights: Record<string, number>) {
    this.options = options
    this.info = { memory: { weights, kvCache: {}, compute: {}, residentBytes: 0 } } as LoadedInfo
  }

  get exited(): Promise<AppError | null> {
    return this.#exited.promise
  }

  async ensureContext(options: ContextOptions): Promise<ContextInfo> {
    this.contexts.push(options)
    if (options.cells > this.mostCells) throw new AppError('out-of-memory', 'failed to allocate the KV cache')
    const kvCache = { CPU: (options.cells * gibibyte) / 32_768 }
    return { contextLength: options.contextLength, slots: options.slots, memory: { weights: {}, kvCache, compute: { CPU: 1 }, residentBytes: 0 } }
  }

  crash(): void {
    this.alive = false
    this.#exited.resolve(new AppError('runner-crashed', 'model runner has unexpectedly stopped'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.alive = false
    this.#exited.resolve(null)
  }
}

export interface World {
  scheduler: Scheduler<StandIn>
  /** Every load that was asked for, the oldest first. */
  loads: { options: LoadOptions; runner: StandIn; signal: AbortSignal; progress: (fraction: number) => void }[]
  events: SchedulerEvent[]
  /** Keys of the runners that are alive. */
  alive: () => string[]
}

export interface WorldOptions {
  settings?: Partial<SchedulerSettings>
  /** RAM of the machine, and what of it other programs hold. */
  totalBytes?: number
  othersBytes?: number
  gpus?: Device[]
  now?: () => number
  ready?: Promise<unknown>
  /** Runs instead of an immediate success. */
  onLoad?: (load: World['loads'][number], count: number) => Promise<void>
}

/** A machine whose memory is what the runners on it leave free. */
export function world({ settings, totalBytes = 16 * gibibyte, othersBytes = 0, gpus = [], now, ready, onLoad }: WorldOptions = {}): World {
  const loads: World['loads'] = []
  const used = () =>
    loads
      .filter(({ runner }) => runner.alive)
      .reduce((sum, { runner }) => {
        const kv = ((runner.contexts.at(-1)?.cells ?? 0) * gibibyte) / 32_768
        return sum + (runner.options.gpuLayers > 0 ? 0 : gibibyte + kv)
      }, othersBytes)
  const hardware: Hardware = {
    cpu: { model: 'test', physicalCores: 4, totalBytes },
    builds: [],
    build: gpus.length > 0 ? 'linux-x64-cuda' : 'linux-x64',
    devices: [...gpus, { name: 'CPU', description: 'test', kind: 'cpu', freeBytes: totalBytes, totalBytes }],
  }
  const scheduler = new Scheduler<StandIn>({
    async load(options, signal, progress) {
      const onGpu = Math.min(1, options.gpuLayers / (shape.layers + 1)) * gibibyte
      const weights: Record<string, number> = { CPU: gibibyte - onGpu }
      const device = gpus[options.mainGpu ?? 0]
      if (device !== undefined && onGpu > 0) weights[device.name] = onGpu
      const load = { options, runner: new StandIn(options, weights), signal, progress }
      loads.push(load)
      try {
        await onLoad?.(load, loads.length)
        signal.throwIfAborted()
      } catch (error) {
        load.runner.alive = false
        throw error
      }
      return load.runner
    },
    hardware: { current: () => hardware, ready: ready ?? Promise.resolve() },
    settings: { ...defaults, ...settings },
    log: new Log('error'),
    memory: () => ({ totalBytes, freeBytes: Math.max(0, totalBytes - used()) }),
    threads: 4,
    ...(now === undefined ? {} : { now }),
  })
  const events: SchedulerEvent[] = []
  scheduler.watch((event) => events.push(event))
  return {
    scheduler,
    loads,
    events,
    alive: () => loads.filter(({ runner }) => runner.alive).map(({ options }) => options.file.replace(/^.*\/|\.gguf$/g, '')),
  }
}

export const never = new AbortController().signal

/** Long enough for everything that needs no clock to have happened. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
