import { describe, expect, test } from 'vitest'
import { formatBytes, formatDuration, formatTable, formatTime } from '../../../main/cli/format.ts'
import { processor, until } from '../../../main/cli/ps.ts'
import { metricsText, truncationText } from '../../../main/cli/reply-writer.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1 KB'],
  [1234, '1.2 KB'],
  [98_765_432, '98 MB'],
  [2_019_393_189, '2.0 GB'],
  [4_700_000_000_000, '4.7 TB'],
])('formatBytes() writes %d as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test.each([
  [0, 'Less than a second ago'],
  [1, '1 second ago'],
  [59, '59 seconds ago'],
  [60, 'About a minute ago'],
  [300, '5 minutes ago'],
  [3600, 'About an hour ago'],
  [40 * 3600, '40 hours ago'],
  [5 * 86_400, '5 days ago'],
  [21 * 86_400, '3 weeks ago'],
  [90 * 86_400, '3 months ago'],
  [800 * 86_400, '2 years ago'],
  [-299, '4 minutes from now'],
  [-100 * 365 * 86_400, 'Forever'],
])('formatTime() writes what was %d seconds ago as %s', (seconds, text) => {
  const now = new Date('2026-01-01T00:00:00Z')
  expect(formatTime(new Date(now.getTime() - seconds * 1000), now)).toBe(text)
})

test.each([
  [0, '0s'],
  [750, '750ns'],
  [285_300, '285.3µs'],
  [389_723_775, '389.723775ms'],
  [1_500_000_000, '1.5s'],
  [62_500_000_000, '1m2.5s'],
  [3_600_000_000_000, '1h0m0s'],
])('formatDuration() writes %d ns as Go does: %s', (nanoseconds, text) => {
  expect(formatDuration(nanoseconds)).toBe(text)
})

test('formatTable() aligns columns by what is seen, not by length', () => {
  const rows = [
    ['NAME', 'SIZE'],
    ['模型', '1 B'],
    ['tiny', '2 B'],
  ]
  expect(formatTable(rows)).toBe('NAME    SIZE\n模型    1 B\ntiny    2 B\n')
})

describe('the columns of ps', () => {
  test.each([
    [100, 0, '100% CPU'],
    [100, 100, '100% GPU'],
    [100, 101, 'Unknown'],
    [100, 75, '25%/75% CPU/GPU'],
  ])('%d bytes with %d on the GPU are %s', (size, onGpu, text) => {
    expect(processor(size, onGpu)).toBe(text)
  })

  test('a model whose time has come is stopping', () => {
    expect(until(new Date(1000), new Date(2000))).toBe('Stopping...')
    expect(until(new Date(62_000), new Date(2000))).toBe('About a minute from now')
  })
})

describe('what stands below a reply', () => {
  test('metrics have the lines that scripts read', () => {
    const metrics = { total_duration: 2e9, load_duration: 1e6, prompt_eval_count: 20, prompt_eval_duration: 5e8, eval_count: 50, eval_duration: 1e9 }
    expect(metricsText(metrics).split('\n')).toEqual([
      'total duration:       2s',
      'load duration:        1ms',
      'prompt eval count:    20 token(s)',
      'prompt eval duration: 500ms',
      'prompt eval rate:     40.00 tokens/s',
      'eval count:           50 token(s)',
      'eval duration:        1s',
      'eval rate:            50.00 tokens/s',
      '',
    ])
  })

  test('the rate of the prompt counts what was evaluated, not what was cached', () => {
    expect(metricsText({ prompt_eval_count: 100, prompt_eval_cached_count: 90, prompt_eval_duration: 1e9 })).toContain('prompt eval rate:     10.00 tokens/s')
  })

  test('what did not fit is said', () => {
    const truncation = { dropped_messages: 2, dropped_tokens: 713, kept_tokens: 4000, num_ctx: 4096 }
    expect(truncationText({ truncation })).toBe('Note: 2 messages (713 tokens) did not fit into the context of 4096 tokens and were left out\n')
    expect(truncationText({})).toBe('')
  })
})
