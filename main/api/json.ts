import { AppError } from '../errors.ts'
import type { Json } from '../lib/json.ts'

/** Levels of nesting, and lists and objects in one body: more is an attack, not a request. */
const deepest = 500
const mostContainers = 2_000_000

/** Reads the first JSON value of a text and ignores what follows it, as the peer's decoder does (ollama-api §1.4). */
export function parseFirst(text: string): Json {
  const value = text.slice(0, endOfFirst(text))
  try {
    return JSON.parse(value) as Json
  } catch (cause) {
    throw new AppError('invalid-request', new Syntax(text).complaint(), { cause })
  }
}

/** Reads a JSON text that stands inside a body, such as the arguments of a call. Throws a SyntaxError, or `invalid-request` for one that nests too deeply. */
export function parseInner(text: string): Json {
  endOfFirst(text)
  return JSON.parse(text) as Json
}

/** Where the first list or object ends; the text's length when it is something else or never ends. */
function endOfFirst(text: string): number {
  let depth = 0
  let containers = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at)
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > deepest) throw new AppError('invalid-request', `the JSON of the request is nested deeper than ${deepest} levels`)
        if (++containers > mostContainers) throw new AppError('too-large', `the request body has more than ${mostContainers} lists and objects`)
        break
      case 0x5d: // ]
      case 0x7d: // }
        if (--depth <= 0) return at + 1
        break
      default:
    }
  }
  return text.length
}

/** Index of the closing quote; pictures are long strings, so the search is left to `indexOf`. */
function endOfString(text: string, open: number): number {
  for (let at = text.indexOf('"', open + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}

const blanks = new Set([' ', '\t', '\r', '\n'])
const escapes = new Set(['"', '\\', '/', 'b', 'f', 'n', 'r', 't'])

/** Says what is wrong with a text that is no JSON, in the words of Go's decoder that clients know. */
class Syntax {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  complaint(): string {
    try {
      this.#value()
    } catch (error) {
      if (error instanceof Complaint) return error.message
      throw error
    }
    return 'the request body is no valid JSON'
  }

  #value(): void {
    const char = this.#blank()
    if (char === '{') this.#object()
    else if (char === '[') this.#list()
    else if (char === '"') this.#string()
    else if (char === '-' || isDigit(char)) this.#number()
    else this.#literal(char)
  }

  #literal(first: string): void {
    const literal = ['true', 'false', 'null'].find((word) => word.startsWith(first))
    if (literal === undefined) throw invalid(first, 'looking for beginning of value')
    for (const expected of literal) {
      const next = this.#next()
      if (next !== expected) throw invalid(next, `in literal ${literal} (expecting '${expected}')`)
    }
  }

  #object(): void {
    this.#next()
    let char = this.#blank()
    if (char === '}') {
      this.#next()
      return
    }
    for (;;) {
      if (char !== '"') throw invalid(char, 'looking for beginning of object key string')
      this.#string()
      char = this.#blank()
      if (char !== ':') throw invalid(char, 'after object key')
      this.#next()
      this.#value()
      char = this.#blank()
      this.#next()
      if (char === '}') return
      if (char !== ',') throw invalid(char, 'after object key:value pair')
      char = this.#blank()
    }
  }

  #list(): void {
    this.#next()
    if (this.#blank() === ']') {
      this.#next()
      return
    }
    for (;;) {
      this.#value()
      const char = this.#blank()
      this.#next()
      if (char === ']') return
      if (char !== ',') throw invalid(char, 'after array element')
    }
  }

  #string(): void {
    this.#next()
    for (;;) {
      const char = this.#next()
      if (char === '"') return
      if (char < ' ') throw invalid(char, 'in string literal')
      if (char !== '\\') continue
      const code = this.#next()
      if (code === 'u') {
        for (let digit = 0; digit < 4; digit++) {
          const hex = this.#next()
          if (!/[\da-f]/i.test(hex)) throw invalid(hex, 'in \\u hexadecimal character escape')
        }
      } else if (!escapes.has(code)) throw invalid(code, 'in string escape code')
    }
  }

  #number(): void {
    let char = this.#next()
    if (char === '-') {
      char = this.#next()
      if (!isDigit(char)) throw invalid(char, 'in numeric literal')
    }
    if (char !== '0') this.#digits()
    if (this.#text[this.#at] === '.') this.#fraction('after decimal point in numeric literal')
    if (/^[eE]$/.test(this.#text[this.#at] ?? '')) {
      if (/^[+-]$/.test(this.#text[this.#at + 1] ?? '')) this.#at++
      this.#fraction('in exponent of numeric literal')
    }
  }

  #fraction(where: string): void {
    this.#next()
    const char = this.#next()
    if (!isDigit(char)) throw invalid(char, where)
    this.#digits()
  }

  #digits(): void {
    while (isDigit(this.#text[this.#at] ?? '')) this.#at++
  }

  /** Skips blanks and looks at the next character without taking it. */
  #blank(): string {
    while (blanks.has(this.#text[this.#at] ?? '')) this.#at++
    const char = this.#text[this.#at]
    if (char === undefined) throw ended()
    return char
  }

  #next(): string {
    const char = this.#text[this.#at++]
    if (char === undefined) throw ended()
    return char
  }
}

class Complaint extends Error {}

function ended(): Complaint {
  return new Complaint('unexpected end of the request body: the JSON is not complete')
}

function invalid(char: string, where: string): Complaint {
  const shown = char === "'" ? "\\'" : char === '"' ? '"' : JSON.stringify(char).slice(1, -1)
  return new Complaint(`invalid character '${shown}' ${where}`)
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9'
}
