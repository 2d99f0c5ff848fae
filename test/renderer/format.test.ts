import { expect, test } from 'vitest'
import { en } from '../../renderer/i18n/en.ts'
import { formatsOf } from '../../renderer/i18n/format.ts'

test('bytes() counts in thousands, one digit behind the point from gigabytes on', () => {
  const { bytes } = formatsOf('en')
  expect([0, 999, 3_528_000, 98_304_000, 4_700_000_000, 42_520_000_000].map(bytes)).toEqual(['0 byte', '999 byte', '4 MB', '98 MB', '4.7 GB', '43 GB'])
})

test('a speed has one digit behind the point below ten', () => {
  expect([en.chat.stats(50, 10_000), en.chat.stats(1200, 10_000), en.chat.stats(3, 0)]).toEqual([
    '5.0 tokens/s · 50 tokens',
    '120 tokens/s · 1,200 tokens',
    '3 tokens',
  ])
})

test('what was cut says how much and why', () => {
  expect(en.chat.truncated(1, 80, 4096)).toBe('1 older message did not fit into 4,096 tokens of context and was left out.')
  expect(en.chat.truncated(6, 900, 8192)).toBe('6 older messages did not fit into 8,192 tokens of context and were left out.')
  expect(en.chat.truncated(0, 713, 2048)).toBe('The middle of the text (713 tokens) did not fit into 2,048 tokens of context and was left out.')
})
