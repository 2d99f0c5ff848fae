import { expect, test } from 'vitest'
import { cutMiddle } from '../../../../main/runtime/runner-process/prompt.ts'
import { commonPrefix } from '../../../../main/runtime/runner-process/slots.ts'

test.each<[string, number[], number, number, number[]]>([
  ['keeps the front that is asked for and the end', [1, 2, 3, 4, 5, 6], 2, 4, [1, 2, 5, 6]],
  ['keeps the end alone', [1, 2, 3, 4, 5, 6], 0, 3, [4, 5, 6]],
  ['leaves room for one token of the end', [1, 2, 3, 4, 5, 6], 6, 3, [1, 2, 6]],
])('cutMiddle() %s', (_, tokens, keep, room, left) => {
  expect(cutMiddle(tokens, keep, room)).toEqual(left)
})

test.each<[string, number[], number[], number]>([
  ['counts what both begin with', [1, 2, 3], [1, 2, 4], 2],
  ['never counts the last token of a prompt', [1, 2, 3], [1, 2, 3], 2],
  ['is 0 for other prompts', [1, 2], [2, 1], 0],
])('commonPrefix() %s', (_, cells, prompt, length) => {
  expect(commonPrefix(cells, prompt)).toBe(length)
})
