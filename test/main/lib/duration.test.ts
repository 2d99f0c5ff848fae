import { describe, expect, test } from 'vitest'
import { parseDuration } from '../../../main/lib/duration.ts'

describe('parseDuration()', () => {
  test.each([
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['300ms', 300],
    ['-1m', -60_000],
    ['0', 0],
    ['1.5s', 1500],
    ['.5s', 500],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each([
    ['5', 'time: missing unit in duration "5"'],
    ['soon', 'time: invalid duration "soon"'],
    ['', 'time: invalid duration ""'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
  ])('refuses %j in Go’s words', (text, message) => {
    expect(() => parseDuration(text)).toThrow(message)
  })
})
