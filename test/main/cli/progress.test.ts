import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Progress } from '../../../main/cli/progress.ts'
import { FakeOutput } from './fake-terminal.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('without a terminal each state is one line', () => {
  const output = new FakeOutput()
  using progress = new Progress(output)
  progress.status('parsing GGUF')
  progress.status('parsing GGUF')
  progress.status('writing manifest')
  expect(output.text).toBe('parsing GGUF\nwriting manifest\n')
})

test('what is done before the delay leaves no trace', () => {
  const output = new FakeOutput()
  using progress = new Progress(output, { delayMs: 1000 })
  progress.status('loading')
  vi.advanceTimersByTime(900)
  progress.stop()
  vi.advanceTimersByTime(900)
  expect(output.text).toBe('')
})

test('what takes longer than the delay is said', () => {
  const output = new FakeOutput()
  using progress = new Progress(output, { delayMs: 1000 })
  progress.status('loading')
  vi.advanceTimersByTime(1100)
  expect(output.text).toBe('loading\n')
})

test('without a terminal a slow bar is a line for each tenth', () => {
  const output = new FakeOutput()
  using progress = new Progress(output)
  progress.bar('a', 'copying', 0, 1000)
  vi.advanceTimersByTime(2000)
  for (let done = 0; done <= 1000; done += 10) progress.bar('a', 'copying', done, 1000)
  const lines = output.text.trim().split('\n')
  expect(lines.length).toBeLessThanOrEqual(11)
  expect(lines.at(-1)).toBe('copying: 100% of 1 KB')
})

test('on a terminal a bar fits into the line', () => {
  const output = new FakeOutput(40)
  using progress = new Progress(output)
  progress.bar('a', 'copying a-file-with-a-name.gguf', 500, 1000)
  progress.status('copying')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences take no room.
  const lines = output.text.replace(/\x1b\[\d*[A-Z]|\r/g, '').split('\n')
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(40)
})

test('on a terminal nothing is left when it ends', () => {
  const output = new FakeOutput(80)
  using progress = new Progress(output)
  progress.status('loading')
  progress.stop()
  expect(output.text.endsWith('\x1b[1A\r\x1b[0J')).toBe(true)
})

test('on a terminal a bar says how fast it is and how long it will take, not counting what was there', () => {
  const output = new FakeOutput(120)
  using progress = new Progress(output)
  progress.bar('a', 'pulling 0123456789ab', 900_000_000, 2_000_000_000)
  vi.advanceTimersByTime(10_000)
  progress.bar('a', 'pulling 0123456789ab', 1_000_000_000, 2_000_000_000)
  progress.status('')
  expect(output.text).toContain(' 1 GB/2 GB  10 MB/s  1m40s')
})
