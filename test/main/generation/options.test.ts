import { describe, expect, test } from 'vitest'
import { resolveOptions } from '../../../main/generation/options.ts'

describe('resolveOptions()', () => {
  test('gives the protocol’s defaults when nobody says anything', () => {
    const { sampling, stop, maxTokens, keep, placement } = resolveOptions({})
    expect(sampling).toMatchObject({ seed: null, temperature: 0.8, topK: 40, topP: 0.9, minP: 0, repeatPenalty: 1, repeatLastN: 64 })
    expect({ stop, maxTokens, keep }).toEqual({ stop: [], maxTokens: -1, keep: 4 })
    expect(Object.values(placement)).toEqual([null, null, null, null, null, null])
  })

  test('lets the request win over the model, and the model over the dialect', () => {
    const { sampling } = resolveOptions({ temperature: 0.1 }, { temperature: 0.2, top_p: 0.3 }, { temperature: 1, top_p: 1, min_p: 0.05 })
    expect(sampling).toMatchObject({ temperature: 0.1, topP: 0.3, minP: 0.05 })
  })

  test('replaces lists instead of appending', () => {
    expect(resolveOptions({ stop: ['b'] }, { stop: ['a'] }).stop).toEqual(['b'])
  })

  test('ignores null and truncates a fraction for an integer', () => {
    expect(resolveOptions({ temperature: null, num_predict: 3.9 })).toMatchObject({ sampling: { temperature: 0.8 }, maxTokens: 3 })
  })

  test.each([
    [{ temperature: 'hot' }, 'option "temperature" must be of type float32'],
    [{ num_ctx: 'many' }, 'option "num_ctx" must be of type integer'],
    [{ use_mmap: 'no' }, 'option "use_mmap" must be of type boolean'],
    [{ stop: 'x' }, 'option "stop" must be of type array'],
    [{ stop: [1] }, 'option "stop" must be of an array of strings'],
    [{ logit_bias: { a: 1 } }, 'option "logit_bias" must map token ids to numbers'],
    [{ top_p: Number.POSITIVE_INFINITY }, 'option "top_p" must be of type float32'],
    [{ seed: Number.NEGATIVE_INFINITY }, 'option "seed" must be of type integer'],
    [{ logit_bias: { 1: Number.POSITIVE_INFINITY } }, 'option "logit_bias" must map token ids to numbers'],
    [{ mirostat: 3 }, 'option "mirostat" must be 0, 1 or 2, not 3'],
  ])('refuses %j', (options, message) => {
    expect(() => resolveOptions(options)).toThrow(message)
  })

  test('asks for no more threads than the engine can hold', () => {
    expect([8, 1e308].map((threads) => resolveOptions({ num_thread: threads }).placement.threads)).toEqual([8, 512])
  })

  test('names options that nobody knows and keeps quiet about retired ones', () => {
    expect(resolveOptions({ wibble: 1, toString: 2, low_vram: true }).unknown).toEqual(['wibble', 'toString'])
  })
})
