import { describe, expect, test } from 'vitest'
import { computeBytes, kvCacheBytes, Measurements, type ModelShape } from '../../../main/runtime/memory.ts'

/** SmolLM2-135M, beside what llama.cpp v0.4.0 reports for it on the CPU. */
const smollm2: ModelShape = {
  architecture: 'llama',
  layers: 30,
  embeddingLength: 576,
  feedForwardLength: 1536,
  headCount: 9,
  headCountKv: 3,
  keyLength: 64,
  valueLength: 64,
  vocabularySize: 49_152,
  contextLength: 8192,
  slidingWindow: null,
  weightBytes: 96_573_850,
}

test('kvCacheBytes() equals what llama.cpp allocates', () => {
  expect(kvCacheBytes(smollm2, { cells: 2048, kvCacheType: 'f16' })).toBe(47_185_920)
  expect(kvCacheBytes(smollm2, { cells: 8192, kvCacheType: 'f16' })).toBe(188_743_680)
})

test('kvCacheBytes() counts a quantised cache and whole blocks of cells', () => {
  expect(kvCacheBytes(smollm2, { cells: 200, kvCacheType: 'q8_0' })).toBe(30 * 3 * 128 * 256 * (34 / 32))
})

test('kvCacheBytes() counts only layers with attention', () => {
  const hybrid = { ...smollm2, headCountKv: [3, 0, 3] }
  expect(kvCacheBytes(hybrid, { cells: 256, kvCacheType: 'f16' })).toBe(6 * 128 * 256 * 2)
})

test.each([
  [2048, 1, 512, null, 15.7],
  [2048, 4, 512, null, 16.3],
  [2048, 1, 2048, null, 62.2],
  [8192, 1, 512, null, 21.7],
  [2048, 1, 512, false, 46.6],
  [8192, 1, 512, false, 166.6],
] as const)(
  'computeBytes() of %i tokens, %i slots, batch %i, flash attention %s is within a fifth of %d MiB',
  (contextLength, slots, batchSize, flashAttention, mebibytes) => {
    const size = { contextLength, slots, cells: contextLength * slots, batchSize, kvCacheType: 'f16' as const, flashAttention }
    const ratio = computeBytes(smollm2, size) / 2 ** 20 / mebibytes
    expect(ratio).toBeGreaterThan(0.8)
    expect(ratio).toBeLessThan(1.2)
  },
)

describe('Measurements', () => {
  test('correct each part by what it really took', () => {
    const measurements = new Measurements()
    measurements.record('a', { weights: 100 }, { weights: 135 })
    measurements.record('a', { kvCache: 100, compute: 100 }, { kvCache: 100, compute: 50 })
    expect(measurements.correction('a')).toEqual({ weights: 1.35, kvCache: 1, compute: 0.5 })
    expect(measurements.correction('b')).toEqual({ weights: 1, kvCache: 1, compute: 1 })
  })

  test('a part that was not reported keeps its estimate', () => {
    const measurements = new Measurements()
    measurements.record('a', { weights: 100, kvCache: 100 }, { weights: 0, kvCache: 1e6 })
    expect(measurements.correction('a')).toEqual({ weights: 1, kvCache: 4, compute: 1 })
  })
})
