const named: Record<string, string> = { '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\' }
const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u

/** True for the runes that Go prints as they are. */
export function isPrintable(rune: string): boolean {
  return printable.test(rune)
}

/** A Go string or rune literal of the text (`strconv.Quote`). */
export function quote(text: string, delimiter: '"' | "'" = '"', asciiOnly = false): string {
  let quoted = delimiter
  for (const rune of text) {
    const code = rune.codePointAt(0) as number
    if (rune === delimiter) quoted += `\\${rune}`
    else if (named[rune] !== undefined) quoted += named[rune]
    else if (isPrintable(rune) && !(asciiOnly && code > 0x7e)) quoted += rune
    else if (code < 0x80) quoted += `\\x${hex(code, 2)}`
    else if (code >= 0xd800 && code < 0xe000) quoted += '\\ufffd'
    else if (code < 0x10000) quoted += `\\u${hex(code, 4)}`
    else quoted += `\\U${hex(code, 8)}`
  }
  return quoted + delimiter
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0')
}

const escapes: Record<string, number> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92 }

/** The text of a Go string literal with its quotes, or null when it is not one (`strconv.Unquote`). */
export function unquote(literal: string): string | null {
  const delimiter = literal[0]
  const body = literal.slice(1, -1)
  if (delimiter === '`') return body.replaceAll('\r', '')
  // Octal and \x escapes name bytes, which together may spell a rune.
  const parts: Buffer[] = []
  for (let at = 0; at < body.length; ) {
    const item = unescapeAt(body, at, '"')
    if (item === null) return null
    parts.push(item.isByte ? Buffer.of(item.code) : Buffer.from(String.fromCodePoint(item.code)))
    at = item.end
  }
  return Buffer.concat(parts).toString()
}

/** The rune of a Go character constant with its quotes; throws an Error with the text of Go's parser. */
export function unquoteRune(literal: string): number {
  const item = unescapeAt(literal, 1, "'")
  if (item === null) throw new Error('invalid syntax')
  if (item.end !== literal.length - 1) throw new Error(`malformed character constant: ${literal}`)
  return item.code
}

function unescapeAt(text: string, at: number, delimiter: string): { code: number; end: number; isByte: boolean } | null {
  const code = text.codePointAt(at)
  if (code === undefined || text[at] === delimiter || text[at] === '\n') return null
  if (text[at] !== '\\') return { code, end: at + (code > 0xffff ? 2 : 1), isByte: false }
  const kind = text[at + 1]
  if (kind === undefined) return null
  const simple = escapes[kind] ?? (kind === delimiter ? kind.charCodeAt(0) : undefined)
  if (simple !== undefined) return { code: simple, end: at + 2, isByte: false }
  const digits = { x: 2, u: 4, U: 8 }[kind]
  if (digits !== undefined) {
    const number = text.slice(at + 2, at + 2 + digits)
    if (number.length < digits || !/^[\da-fA-F]+$/.test(number)) return null
    const value = Number.parseInt(number, 16)
    if (value > 0x10ffff || (kind !== 'x' && value >= 0xd800 && value < 0xe000)) return null
    return { code: value, end: at + 2 + digits, isByte: kind === 'x' }
  }
  const octal = /^[0-7]{3}/.exec(text.slice(at + 1, at + 4))?.[0]
  if (octal === undefined || Number.parseInt(octal, 8) > 255) return null
  return { code: Number.parseInt(octal, 8), end: at + 4, isByte: true }
}
