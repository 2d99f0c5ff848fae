import { AppError } from '../errors.ts'
import { type ContextSize, type Correction, computeBytes, kvCacheBytes, type ModelShape, type Parts, processBytes } from './memory.ts'
import type { ContextOptions, KvCacheType } from './options.ts'
import type { SystemMemory } from './system-memory.ts'

/** Memory of one GPU; `unified` is a share of the machine's own. */
export interface GpuMemory {
  name: string
  freeBytes: number
  totalBytes: number
  unified: boolean
}

/** What can be allocated now, or would be after an eviction. */
export interface MemoryState {
  build: string
  ram: SystemMemory
  gpus: readonly GpuMemory[]
}

/** What a request asks of a placement; null leaves the choice to us. */
export interface Wish {
  /** Tokens per slot. */
  contextLength: number
  /** The length is our own choice: it may shrink to what fits. */
  automatic: boolean
  gpuLayers: number | null
  mainGpu: number | null
  useMmap: boolean | null
  batchSize: number | null
  threads: number
  /** They were asked for; else any number will do. */
  threadsAsked: boolean
  /** Several requests want it at once: more than one slot is worth its memory. */
  parallel: boolean
  /** No context is made for replies. */
  embeddingOnly: boolean
  /** Nothing is evaluated: any context will do, and none. */
  weightsOnly?: boolean
}

/** What the machine's owner decided for all models. */
export interface PlacementPolicy {
  /** null: by memory. */
  numParallel: number | null
  kvCacheType: KvCacheType
  flashAttention: boolean | null
  /** Over all GPUs even when one would do. */
  schedSpread: boolean
  /** Bytes left alone on each GPU. */
  gpuOverheadBytes: number
}

/** Where a model's layers go. */
export interface Layout {
  /** `layers + 1` is all of them and the output. */
  gpuLayers: number
  /** Index of the only GPU used; null splits over all. */
  mainGpu: number | null
  useMmap: boolean
}

export interface Placement extends Layout {
  /** null for a model that only embeds. */
  context: ContextOptions | null
  /** Bytes by device name, `CPU` for the machine's memory, beyond what is loaded already. */
  need: Record<string, number>
  /** The estimate by part, before what earlier loads taught. */
  estimated: Parts
  fits: boolean
}

/** The default context when memory allows (design §4). */
export const defaultContextLength = 32_768
/** The least that a default context shrinks to while anything else can give. */
export const leastDefaultContext = 4096
const leastContext = 512
/** Slots of a context unless `OLLAMA_NUM_PARALLEL` says otherwise (design §4). */
export const mostAutomaticSlots = 4
const defaultBatchSize = 512
const cellBlock = 256
const mebibyte = 2 ** 20

/** The best layout and context for a model that is to be loaded. */
export function place(shape: ModelShape, wish: Wish, state: MemoryState, policy: PlacementPolicy, correction: Correction): Placement {
  const least = wish.automatic ? Math.min(wish.contextLength, leastDefaultContext) : wish.contextLength
  let last: Placement | null = null
  for (const layout of layouts(shape, wish, state, policy)) {
    last = fitContext(shape, layout, wish, state, policy, correction, true)
    if (last.fits && (last.context === null || last.context.contextLength >= least)) return last
  }
  if (last === null) throw new Error('a model can always be laid on the CPU')
  return last
}

/** The context for a model whose weights are loaded. */
export function placeContext(shape: ModelShape, layout: Layout, wish: Wish, state: MemoryState, policy: PlacementPolicy, correction: Correction): Placement {
  return fitContext(shape, layout, wish, state, policy, correction, false)
}

/** What to try when a context did not fit: one slot, then half a default length; null when there is nothing less. */
export function smallerContext(options: ContextOptions, wish: Wish, policy: PlacementPolicy, alone: boolean): ContextOptions | null {
  const sized = (contextLength: number, slots: number): ContextOptions => ({ ...options, contextLength, slots, unified: slots > 1, cells: contextLength })
  if (policy.numParallel === null && options.slots > 1) return sized(options.contextLength, 1)
  if (options.slots > 1 && options.cells > options.contextLength) return sized(options.contextLength, options.slots)
  const half = Math.floor(options.contextLength / 2 / cellBlock) * cellBlock
  return wish.automatic && half >= (alone ? leastContext : leastDefaultContext) ? sized(half, options.slots) : null
}

/** The same wish, content with the least that a default context may be. */
export function atLeast(wish: Wish): Wish {
  return { ...wish, contextLength: Math.min(wish.contextLength, leastContext) }
}

/** From the fastest to the one that always works: one GPU, all GPUs, some layers, none. */
function* layouts(shape: ModelShape, wish: Wish, { gpus, build }: MemoryState, policy: PlacementPolicy): Generator<Layout> {
  const all = shape.layers + 1
  const layout = (gpuLayers: number, mainGpu: number | null, useMmap = wish.useMmap ?? mmapByDefault(gpuLayers, all, build)): Layout => ({
    gpuLayers,
    mainGpu,
    useMmap,
  })
  const onCpu = wish.useMmap === null ? [layout(0, null, false), layout(0, null, true)] : [layout(0, null)]
  if (gpus.length === 0 || wish.gpuLayers === 0) {
    yield* onCpu
    return
  }
  if (wish.gpuLayers !== null) {
    yield layout(Math.min(wish.gpuLayers, all), wish.mainGpu)
    return
  }
  const single = wish.mainGpu !== null || gpus.length === 1 || !policy.schedSpread
  if (single) {
    const order = gpus.map((gpu, index) => ({ gpu, index })).sort((a, b) => Number(a.gpu.unified) - Number(b.gpu.unified) || b.gpu.freeBytes - a.gpu.freeBytes)
    for (const { index } of order) if (wish.mainGpu === null || wish.mainGpu === index) yield layout(all, index)
  }
  for (let gpuLayers = wish.mainGpu === null && gpus.length > 1 ? all : all - 1; gpuLayers > 0; gpuLayers--) yield layout(gpuLayers, wish.mainGpu)
  yield* onCpu
}

/** The peer's rule (ollama-api §8, "Placement") for weights that are not on the CPU alone; there they are read into memory if they fit, as a repacked copy is made anyway. */
function mmapByDefault(gpuLayers: number, all: number, build: string): boolean {
  if (build.startsWith('win') && build.includes('cuda')) return false
  return !(build.includes('metal') && gpuLayers < all)
}

function fitContext(
  shape: ModelShape,
  layout: Layout,
  wish: Wish,
  state: MemoryState,
  policy: PlacementPolicy,
  correction: Correction,
  withWeights: boolean,
): Placement {
  const size = (contextLength: number, slots: number, cells = slots * contextLength): ContextSize => ({
    contextLength,
    slots,
    cells,
    batchSize: Math.min(wish.batchSize ?? defaultBatchSize, cells),
    kvCacheType: policy.kvCacheType,
    flashAttention: policy.flashAttention,
  })
  const needed = (context: ContextSize) => need(shape, layout, context, wish.embeddingOnly, state, correction, withWeights)
  const can = (context: ContextSize) => fits(needed(context), state, policy)
  const placed = (context: ContextSize, unified: boolean): Placement => ({
    ...layout,
    context: wish.embeddingOnly ? null : { ...context, unified, threads: wish.threads },
    need: needed(context),
    estimated: { weights: shape.weightBytes, kvCache: wish.embeddingOnly ? 0 : kvCacheBytes(shape, context), compute: computeBytes(shape, context) },
    fits: can(context),
  })
  if (wish.embeddingOnly) return placed(size(wish.contextLength, 1), false)

  const slots = policy.numParallel ?? 1
  const length = wish.automatic ? longest(wish.contextLength, (n) => can(size(n, slots, n))) : wish.contextLength
  if (policy.numParallel === null && wish.parallel) {
    const freeBytes = freeForContext(shape, layout, state, withWeights, correction)
    for (let more = mostAutomaticSlots; more > 1; more--) {
      const several = size(length, more)
      if (kvCacheBytes(shape, several) * correction.kvCache <= freeBytes / 4 && can(several)) return placed(several, false)
    }
    return placed(size(length, 1), false)
  }
  if (slots === 1 || can(size(length, slots))) return placed(size(length, slots), false)
  const cells = longest(slots * length, (n) => n >= length && can(size(length, slots, n)))
  return placed(size(length, slots, Math.max(cells, length)), true)
}

/** The largest whole block of cells up to `most` that works; if none does, the least that is worth having. */
function longest(most: number, works: (n: number) => boolean): number {
  if (most <= leastContext || works(most)) return most
  let [low, high] = [leastContext / cellBlock, Math.floor(most / cellBlock)]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (works(middle * cellBlock)) low = middle
    else high = middle - 1
  }
  return low * cellBlock
}

/** Free memory of the device that holds most of the KV cache, once the weights are there. */
function freeForContext(shape: ModelShape, layout: Layout, state: MemoryState, withWeights: boolean, correction: Correction): number {
  const weights = withWeights ? weightsByDevice(shape, layout, state, correction) : {}
  const gpus = layout.gpuLayers * 2 > shape.layers ? usedGpus(layout, state) : []
  if (gpus.length === 0) return Math.max(0, state.ram.freeBytes - (weights.CPU ?? 0))
  return gpus.reduce((sum, gpu) => sum + Math.max(0, gpu.freeBytes - (weights[gpu.name] ?? 0)), 0)
}

function usedGpus({ gpuLayers, mainGpu }: Layout, { gpus }: Pick<MemoryState, 'gpus'>): GpuMemory[] {
  if (gpuLayers === 0) return []
  return mainGpu === null ? [...gpus] : gpus.filter((_, index) => index === mainGpu)
}

/** Names of the devices that hold layers, the processor last. */
export function layerDevices(layout: Layout, { layers }: Pick<ModelShape, 'layers'>, state: Pick<MemoryState, 'gpus'>): string[] {
  const names = usedGpus(layout, state).map(({ name }) => name)
  return layout.gpuLayers >= layers && names.length > 0 ? names : [...names, 'CPU']
}

/** llama.cpp lays layers on the GPUs in proportion to their free memory. */
function shares(used: readonly GpuMemory[]): [GpuMemory, number][] {
  const free = used.reduce((sum, gpu) => sum + Math.max(0, gpu.freeBytes), 0)
  return used.map((gpu) => [gpu, free > 0 ? Math.max(0, gpu.freeBytes) / free : 1 / used.length])
}

function weightsByDevice(shape: ModelShape, layout: Layout, state: MemoryState, correction: Correction): Record<string, number> {
  const weights = shape.weightBytes * correction.weights
  const onGpu = weights * Math.min(1, layout.gpuLayers / (shape.layers + 1))
  // Mapped weights are page cache, which gives way, at the price of reading them again.
  const bytes: Record<string, number> = { CPU: layout.useMmap && layout.gpuLayers === 0 ? 0 : weights - onGpu }
  for (const [gpu, share] of shares(usedGpus(layout, state))) bytes[gpu.name] = onGpu * share
  return bytes
}

function need(
  shape: ModelShape,
  layout: Layout,
  context: ContextSize,
  embeddingOnly: boolean,
  state: MemoryState,
  correction: Correction,
  withWeights: boolean,
): Record<string, number> {
  const bytes = withWeights ? weightsByDevice(shape, layout, state, correction) : {}
  const add = (device: string, n: number) => {
    bytes[device] = (bytes[device] ?? 0) + n
  }
  const kv = embeddingOnly ? 0 : kvCacheBytes(shape, context) * correction.kvCache
  const compute = computeBytes(shape, context) * correction.compute
  const gpuShare = Math.min(1, layout.gpuLayers / shape.layers)
  add('CPU', kv * (1 - gpuShare) + compute + (withWeights ? processBytes(shape) : 0))
  for (const [gpu, share] of shares(usedGpus(layout, state))) {
    add(gpu.name, kv * gpuShare * share + compute)
    if (gpu.unified) add('CPU', bytes[gpu.name] ?? 0)
  }
  return bytes
}

/** Room for what cannot be foreseen: on a GPU the driver's own context. */
const gpuReserveBytes = 512 * mebibyte

function fits(needed: Record<string, number>, { ram, gpus }: MemoryState, policy: PlacementPolicy): boolean {
  const ramReserve = Math.min(1024 * mebibyte, ram.totalBytes / 16)
  if ((needed.CPU ?? 0) > ram.freeBytes - ramReserve) return false
  return gpus.every((gpu) => (needed[gpu.name] ?? 0) === 0 || (needed[gpu.name] ?? 0) <= gpu.freeBytes - gpuReserveBytes - policy.gpuOverheadBytes)
}

/**
 * Whether a placement that can be had now is good enough to leave the other models alone, measured by the one that could be had without them.
 *
 * Layers count in full, a default context by a quarter: 8,192 tokens beside another model are better than a reload at every change of model.
 */
export function isGoodEnough(now: Placement, alone: Placement, wish: Wish): boolean {
  if (!now.fits || now.gpuLayers < alone.gpuLayers || (now.useMmap && !alone.useMmap)) return false
  if (now.context === null || alone.context === null || !wish.automatic) return true
  const comfortable = Math.max(leastDefaultContext, wish.contextLength / 4)
  return now.context.contextLength >= Math.min(alone.context.contextLength, comfortable)
}

/** The refusal of what exceeds the whole machine, whatever else ends; null when it may be tried. */
export function tooLarge(placement: Placement, shape: ModelShape, wish: Wish, totalBytes: number): AppError | null {
  const mapped = placement.useMmap && placement.gpuLayers === 0 && wish.useMmap !== true ? shape.weightBytes : 0
  const neededBytes = Object.values(placement.need).reduce((sum, bytes) => sum + bytes, mapped)
  if (neededBytes <= totalBytes) return null
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`
  const help = wish.automatic ? 'a smaller model or quantisation would fit' : 'a smaller num_ctx, model or quantisation would fit'
  return new AppError('out-of-memory', `model requires more system memory (${gib(neededBytes)}) than is available (${gib(totalBytes)}); ${help}`)
}
