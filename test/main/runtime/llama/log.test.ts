import { describe, expect, test } from 'vitest'
import { bufferSizes, failureReason, LogRing } from '../../../../main/runtime/llama/log.ts'

const lines = (...texts: string[]) => texts.map((text) => ({ level: 4, text }))

test('LogRing joins the pieces of a line', () => {
  const log = new LogRing()
  log.write(2, 'one ')
  log.write(5, 'line\n')
  expect(log.lines).toEqual([{ level: 2, text: 'one line' }])
})

test('LogRing leaves out what is for debugging', () => {
  const log = new LogRing()
  log.write(1, 'detail ')
  log.write(5, 'and more\n')
  expect(log.lines).toEqual([])
})

test('LogRing keeps the last two hundred lines', () => {
  const log = new LogRing()
  for (let i = 0; i < 250; i++) log.write(2, `${i}\n`)
  expect([log.lines.length, log.lines[0]?.text, log.lines.at(-1)?.text]).toEqual([200, '50', '249'])
})

test('LogRing records what is written while something runs', async () => {
  const log = new LogRing()
  log.write(2, 'before\n')
  const { result, lines } = await log.record(() => {
    log.write(2, 'meanwhile\n')
    return 7
  })
  log.write(2, 'after\n')
  expect({ result, lines }).toEqual({ result: 7, lines: [{ level: 2, text: 'meanwhile' }] })
})

describe('failureReason()', () => {
  test.each([
    ['the loader’s own words', lines('llama_model_load: error loading model: tensor is corrupted', 'x: failed to load model'), 'tensor is corrupted'],
    ['an allocation that failed', lines('alloc_tensor_range: failed to allocate CPU buffer', 'x: later'), 'failed to allocate CPU buffer'],
    ['the last complaint', lines('a: first', 'b: second'), 'second'],
    ['nothing', [{ level: 2, text: 'fine' }], ''],
  ])('gives %s', (_, recorded, reason) => {
    expect(failureReason(recorded)).toBe(reason)
  })
})

test('bufferSizes() sums what each device holds', () => {
  const mebibyte = 2 ** 20
  const recorded = lines(
    'load_tensors:   CPU_Mapped model buffer size =    90.00 MiB',
    'load_tensors:   CPU_REPACK model buffer size =     4.00 MiB',
    'load_tensors:          AMX model buffer size =     6.00 MiB',
    'load_tensors:        CUDA0 model buffer size =   400.50 MiB',
    'llama_kv_cache:      CUDA0 KV buffer size =    64.00 MiB',
    'llama_context:        CPU  output buffer size =     1.00 MiB',
    'sched_reserve:      CUDA0 compute buffer size =     8.00 MiB',
    'sched_reserve:  CUDA_Host compute buffer size =     2.00 MiB',
    'something else',
  )
  expect(bufferSizes(recorded, ['CPU', 'CUDA0'])).toEqual({
    weights: { CPU: 100 * mebibyte, CUDA0: 400.5 * mebibyte },
    kvCache: { CUDA0: 64 * mebibyte },
    compute: { CPU: 3 * mebibyte, CUDA0: 8 * mebibyte },
  })
})
