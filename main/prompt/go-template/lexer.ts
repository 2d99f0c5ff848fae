import { isPrintable, quote } from './quote.ts'

export type TokenKind =
  | 'error'
  | 'text'
  | 'left-delim'
  | 'right-delim'
  | 'space'
  | 'bool'
  | 'char'
  | 'char-constant'
  | 'number'
  | 'string'
  | 'raw-string'
  | 'assign'
  | 'declare'
  | 'pipe'
  | 'left-paren'
  | 'right-paren'
  | 'dot'
  | 'field'
  | 'variable'
  | 'identifier'
  | 'nil'
  | 'keyword'
  | 'end-of-file'

export interface Token {
  kind: TokenKind
  /** As written; of an error, its text. */
  text: string
  pos: number
  line: number
}

const keywords = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'range', 'template', 'with'])
const trimEnd = /[ \t\r\n]+$/
const spaces = /[ \t\r\n]*/y
const word = /[\p{L}\p{Nd}_]*/uy
const wordRune = /[\p{L}\p{Nd}_]/u
const number =
  /[+-]?(?:0[xX][\da-fA-F_]*(?:\.[\da-fA-F_]*)?(?:[pP][+-]?[\d_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?[\d_]*)?)i?/y
const quoted = { '"': /"(?:[^"\\\n]|\\[^\n])*"/y, "'": /'(?:[^'\\\n]|\\[^\n])*'/y, '`': /`[^`]*`/y }
const unterminated = { '"': 'unterminated quoted string', "'": 'unterminated character constant', '`': 'unterminated raw quoted string' }

/** Splits a template into tokens (Go's `text/template/parse`). Ends with `end-of-file`, or with one `error`. */
export function tokenize(input: string): Token[] {
  const lexer = new Lexer(input)
  lexer.run()
  return lexer.tokens
}

class Lexer {
  readonly tokens: Token[] = []
  readonly #input: string
  #pos = 0
  #line = 1
  /** Up to where `#line` has counted. */
  #counted = 0
  #parens = 0

  constructor(input: string) {
    this.#input = input
  }

  run(): void {
    for (;;) {
      const open = this.#input.indexOf('{{', this.#pos)
      if (open < 0) {
        if (this.#pos < this.#input.length) this.#emit('text', this.#input.length)
        this.#emit('end-of-file', this.#pos)
        return
      }
      const trimmed = this.#input[open + 2] === '-' && isSpace(this.#input[open + 3])
      const textEnd = trimmed ? this.#pos + this.#input.slice(this.#pos, open).replace(trimEnd, '').length : open
      if (textEnd > this.#pos) this.#emit('text', textEnd)
      this.#pos = open
      const inside = open + 2 + (trimmed ? 2 : 0)
      const ended = this.#input.startsWith('/*', inside) ? this.#comment(inside) : this.#action(inside)
      if (!ended) return
    }
  }

  #comment(start: number): boolean {
    const close = this.#input.indexOf('*/', start + 2)
    if (close < 0) return this.#fail('unclosed comment', start)
    this.#pos = close + 2
    const delim = this.#rightDelim()
    if (delim === 0) return this.#fail('comment ends before closing delimiter', start)
    this.#skipDelim(delim)
    return true
  }

  #action(inside: number): boolean {
    this.#emit('left-delim', this.#pos + 2)
    this.#pos = inside
    this.#parens = 0
    for (;;) {
      const delim = this.#rightDelim()
      if (delim > 0) {
        if (this.#parens > 0) return this.#fail('unclosed left paren', this.#pos)
        this.#push('right-delim', '}}', this.#pos + delim - 2)
        this.#skipDelim(delim)
        return true
      }
      if (!this.#token()) return false
    }
  }

  /** 2 at `}}`, 4 at ` -}}`, else 0. */
  #rightDelim(): number {
    if (this.#input.startsWith('}}', this.#pos)) return 2
    return isSpace(this.#input[this.#pos]) && this.#input.startsWith('-}}', this.#pos + 1) ? 4 : 0
  }

  #skipDelim(length: number): void {
    this.#pos += length
    if (length === 4) this.#pos = this.#match(spaces)
  }

  #token(): boolean {
    const c = this.#input[this.#pos]
    if (c === undefined) return this.#fail('unclosed action', this.#pos)
    if (isSpace(c)) return this.#space()
    switch (c) {
      case '=':
        return this.#emit('assign', this.#pos + 1)
      case ':':
        if (this.#input[this.#pos + 1] !== '=') return this.#fail('expected :=', this.#pos)
        return this.#emit('declare', this.#pos + 2)
      case '|':
        return this.#emit('pipe', this.#pos + 1)
      case '"':
        return this.#quoted(c, 'string')
      case "'":
        return this.#quoted(c, 'char-constant')
      case '`':
        return this.#quoted(c, 'raw-string')
      case '$':
        return this.#name('variable', 'variable')
      case '(':
        this.#parens++
        return this.#emit('left-paren', this.#pos + 1)
      case ')':
        if (--this.#parens < 0) return this.#fail('unexpected right paren', this.#pos)
        return this.#emit('right-paren', this.#pos + 1)
    }
    const next = this.#input[this.#pos + 1]
    if (c === '.' && next !== undefined && !isDigit(next)) return this.#name('field', 'dot')
    if (c === '.' || c === '+' || c === '-' || isDigit(c)) return this.#number()
    const rune = String.fromCodePoint(this.#input.codePointAt(this.#pos) as number)
    if (wordRune.test(rune)) return this.#word()
    if (rune < '\x7f' && isPrintable(rune)) return this.#emit('char', this.#pos + 1)
    return this.#fail(`unrecognized character in action: ${codePoint(rune)}`, this.#pos)
  }

  #space(): boolean {
    let end = this.#match(spaces)
    // The last blank may belong to a trim marker.
    if (this.#input.startsWith('-}}', end)) end--
    return end > this.#pos ? this.#emit('space', end) : true
  }

  #quoted(delimiter: '"' | "'" | '`', kind: TokenKind): boolean {
    const end = this.#match(quoted[delimiter])
    return end < 0 ? this.#fail(unterminated[delimiter], this.#pos) : this.#emit(kind, end)
  }

  #name(kind: TokenKind, alone: TokenKind): boolean {
    const end = this.#match(word, this.#pos + 1)
    if (!this.#terminates(end)) return this.#fail(`bad character ${this.#codePointAt(end)}`, this.#pos)
    return this.#emit(end === this.#pos + 1 ? alone : kind, end)
  }

  #number(): boolean {
    const end = this.#match(number)
    const next = this.#input.codePointAt(end)
    const sign = this.#input[end] === '+' || this.#input[end] === '-'
    const joined = next !== undefined && wordRune.test(String.fromCodePoint(next))
    // A sign here would make it complex, which nothing in a chat template can be.
    if (sign || joined) return this.#fail(`bad number syntax: ${quote(this.#input.slice(this.#pos, end + 1))}`, this.#pos)
    return this.#emit('number', end)
  }

  #word(): boolean {
    const end = this.#match(word)
    if (!this.#terminates(end)) return this.#fail(`bad character ${this.#codePointAt(end)}`, this.#pos)
    const text = this.#input.slice(this.#pos, end)
    if (keywords.has(text)) return this.#emit('keyword', end)
    if (text === 'nil') return this.#emit('nil', end)
    return this.#emit(text === 'true' || text === 'false' ? 'bool' : 'identifier', end)
  }

  #terminates(at: number): boolean {
    const c = this.#input[at]
    return c === undefined || isSpace(c) || '.,|:)('.includes(c) || this.#input.startsWith('}}', at)
  }

  #codePointAt(at: number): string {
    return codePoint(String.fromCodePoint(this.#input.codePointAt(at) as number))
  }

  /** Where the match at `from` ends; -1 without one. */
  #match(pattern: RegExp, from = this.#pos): number {
    pattern.lastIndex = from
    return pattern.test(this.#input) ? pattern.lastIndex : -1
  }

  #emit(kind: TokenKind, end: number): true {
    this.#push(kind, this.#input.slice(this.#pos, end), this.#pos)
    this.#pos = end
    return true
  }

  #fail(message: string, at: number): false {
    this.#push('error', message, at)
    return false
  }

  #push(kind: TokenKind, text: string, pos: number): void {
    for (; this.#counted < pos; this.#counted++) if (this.#input[this.#counted] === '\n') this.#line++
    this.tokens.push({ kind, text, pos, line: this.#line })
  }
}

function isSpace(c: string | undefined): boolean {
  return c === ' ' || c === '\t' || c === '\r' || c === '\n'
}

function isDigit(c: string | undefined): boolean {
  return c !== undefined && c >= '0' && c <= '9'
}

/** Go's `%#U`. */
function codePoint(rune: string): string {
  const code = (rune.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0')
  return isPrintable(rune) ? `U+${code} '${rune}'` : `U+${code}`
}
