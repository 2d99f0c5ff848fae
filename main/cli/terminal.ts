import type { Readable, Writable } from 'node:stream'

/** A stream that may lead to a person's terminal. */
export interface TerminalOutput extends Writable {
  isTTY?: boolean
  columns?: number
}

/** Keys of a person, or what a pipe brings. */
export interface TerminalInput extends Readable {
  isTTY?: boolean
  setRawMode?(on: boolean): unknown
}

/** The three streams of a program; passed in, so that tests can be a terminal. */
export interface Terminal {
  input: TerminalInput
  output: TerminalOutput
  errors: TerminalOutput
}

/** Escape sequences, only ever written to a terminal. */
export const style = {
  dim: '\x1b[2m',
  bold: '\x1b[1m',
  reset: '\x1b[0m',
  clearToLineEnd: '\x1b[K',
  clearBelow: '\x1b[0J',
  up: (lines: number) => `\x1b[${lines}A`,
  left: (columns: number) => `\x1b[${columns}D`,
} as const

/** Columns that the text takes: wide letters and most emoji two, marks that combine none. */
export function displayWidth(text: string): number {
  let width = 0
  for (const rune of text) {
    if (/^[\p{M}\u200b-\u200f]$/u.test(rune)) continue
    width += isWide(rune.codePointAt(0) as number) ? 2 : 1
  }
  return width
}

/** East Asian Wide by Unicode's UAX #11, in its large blocks. */
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  )
}
