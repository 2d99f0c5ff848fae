import { describe, expect, test } from 'vitest'
import { type GpuMemory, isGoodEnough, type MemoryState, type PlacementPolicy, place, type Wish } from '../../../main/runtime/placement.ts'
import { gibibyte, shape } from './stand-ins.ts'

const asEstimated = { weights: 1, kvCache: 1, compute: 1 }
const policy: PlacementPolicy = { numParallel: null, kvCacheType: 'f16', flashAttention: null, schedSpread: false, gpuOverheadBytes: 0 }
const wish: Wish = {
  contextLength: 32_768,
  automatic: true,
  gpuLayers: null,
  mainGpu: null,
  useMmap: null,
  batchSize: null,
  threads: 4,
  threadsAsked: false,
  parallel: false,
  embeddingOnly: false,
}

function machine(ramGib: number, ...gpus: GpuMemory[]): MemoryState {
  return { build: 'linux-x64-cuda', ram: { freeBytes: ramGib * gibibyte, totalBytes: ramGib * gibibyte }, gpus }
}

function gpu(gib: number, changes: Partial<GpuMemory> = {}): GpuMemory {
  return { name: 'CUDA0', freeBytes: gib * gibibyte, totalBytes: gib * gibibyte, unified: false, ...changes }
}

function placed(state: MemoryState, changes: Partial<Wish> = {}, rules: Partial<PlacementPolicy> = {}) {
  return place(shape, { ...wish, ...changes }, state, { ...policy, ...rules }, asEstimated)
}

describe('place()', () => {
  test('puts a model that fits on one GPU', () => {
    expect(placed(machine(16, gpu(4), gpu(8, { name: 'CUDA1' })))).toMatchObject({ gpuLayers: 17, mainGpu: 1, fits: true })
  })

  test('OLLAMA_SCHED_SPREAD uses every GPU', () => {
    const { gpuLayers, mainGpu, need } = placed(machine(16, gpu(8), gpu(8, { name: 'CUDA1' })), {}, { schedSpread: true })
    expect({ gpuLayers, mainGpu }).toEqual({ gpuLayers: 17, mainGpu: null })
    expect(need.CUDA0).toBeCloseTo(need.CUDA1 ?? 0, -3)
  })

  test('prefers a GPU with memory of its own to a larger share of the machine', () => {
    const state = machine(32, gpu(16, { name: 'Vulkan0', unified: true }), gpu(4, { name: 'Vulkan1' }))
    expect(placed(state).mainGpu).toBe(1)
  })

  test('counts what lies on an integrated GPU as the memory of the machine', () => {
    const { need } = placed(machine(16, gpu(8, { name: 'Metal', unified: true })))
    expect(need.CPU).toBeGreaterThan(need.Metal ?? 0)
  })

  test('OLLAMA_GPU_OVERHEAD stays free', () => {
    expect(placed(machine(16, gpu(4)), {}, { gpuOverheadBytes: 3 * gibibyte }).gpuLayers).toBeLessThan(17)
  })

  test('a smaller cache type leaves room for more tokens', () => {
    const tokens = (kvCacheType: 'f16' | 'q8_0') => placed(machine(1.8), {}, { kvCacheType }).context?.contextLength ?? 0
    expect(tokens('q8_0') / tokens('f16')).toBeCloseTo(32 / 17, 0)
  })

  test('maps weights that do not fit into memory', () => {
    expect(placed(machine(1))).toMatchObject({ useMmap: true, gpuLayers: 0, fits: true })
  })

  test('says so when even that does not fit', () => {
    expect(placed(machine(0.1)).fits).toBe(false)
  })

  test('takes a number of layers as it was asked for', () => {
    expect(placed(machine(16, gpu(8)), { gpuLayers: 3 })).toMatchObject({ gpuLayers: 3 })
  })
})

describe('isGoodEnough()', () => {
  const alone = placed(machine(16))

  test('lets a default context shrink to a quarter of what it could be alone, no further', () => {
    expect(isGoodEnough(placed(machine(1.8)), alone, wish)).toBe(true)
    expect(placed(machine(1.4)).context?.contextLength).toBeLessThan(8192)
    expect(isGoodEnough(placed(machine(1.4)), alone, wish)).toBe(false)
  })

  test('does not let a model leave the GPU that it could have', () => {
    const withGpu = placed(machine(16, gpu(8)))
    expect(isGoodEnough(placed(machine(16, gpu(1))), withGpu, wish)).toBe(false)
  })

  test('does not let weights be mapped that could be read', () => {
    expect(isGoodEnough(placed(machine(1)), alone, wish)).toBe(false)
  })
})
