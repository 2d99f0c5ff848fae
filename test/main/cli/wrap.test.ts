import { expect, test } from 'vitest'
import { WordWrap } from '../../../main/cli/wrap.ts'

/** What the screen shows, with the escapes that the wrapping writes carried out. */
function screen(written: string): string {
  const lines = ['']
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is being read.
  for (const [, back, , rest = ''] of written.matchAll(/\x1b\[(\d+)D(\x1b\[K)|([\s\S])/g)) {
    if (back !== undefined) lines[lines.length - 1] = (lines.at(-1) as string).slice(0, -Number(back))
    else if (rest === '\n') lines.push('')
    else lines[lines.length - 1] = (lines.at(-1) as string) + rest
  }
  return lines.join('\n')
}

/** The text as it is shown when it comes in pieces of this length. */
function shown(text: string, columns: number, pieceLength: number): string {
  const wrap = new WordWrap(columns)
  const pieces = text.match(new RegExp(`[\\s\\S]{1,${pieceLength}}`, 'g')) ?? []
  return screen(pieces.map((piece) => wrap.wrap(piece)).join(''))
}

test.each([1, 3, 100])('words stay whole, in pieces of %d', (pieceLength) => {
  expect(shown('the quick brown fox jumps over', 12, pieceLength)).toBe('the quick \nbrown fox \njumps over')
})

test('a word longer than the line is broken', () => {
  expect(shown('abcdefghijklmnop', 6, 2)).toBe('abcde\nfghij\nklmno\np')
})

test('a line break of the text begins anew', () => {
  expect(shown('one two\nthree four', 10, 4)).toBe('one two\nthree \nfour')
})

test('a blank at the end of a line does not begin the next', () => {
  expect(shown('12345 6789 x', 11, 1)).toBe('12345 6789\nx')
})
