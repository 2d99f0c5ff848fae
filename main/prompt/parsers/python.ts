import { type Json, type JsonObject, setOwn } from '../../lib/json.ts'
import type { Tool } from '../messages.ts'
import { parseJson } from './calls.ts'
import type { ValueSyntax } from './json-call-reader.ts'

/** Calls as Python writes them, `[f(a=1, b="x"), g()]`, or JSON: each call as `{name, arguments}`. */
export function pythonCalls(tools: readonly Tool[]): ValueSyntax {
  return {
    opens: /^[{[A-Za-z_]/,
    createScanner: () => new PythonScanner(),
    parse(text) {
      const json = parseJson(text)
      if (json !== undefined) return json
      const reader = new PythonReader(text, tools)
      return reader.whole()
    },
  }
}

/** The value of a literal as Python writes it; undefined when the text is none. */
export function pythonLiteral(text: string): Json | undefined {
  return new PythonReader(text, []).whole()
}

/**
 * Finds where a bracketed Python expression ends in text that arrives in pieces; looks at each character once.
 *
 * Templates write strings without escaping the quotes inside, so a quote closes its string only in front of what may follow a value.
 */
class PythonScanner {
  #depth = 0
  #quote = ''
  #escaped = false
  #closing = false

  scan(piece: string): number {
    for (let at = 0; at < piece.length; at++) {
      const char = piece[at] as string
      if (this.#closing) {
        if (isSpace(char)) continue
        this.#closing = false
        if (followsValue(char)) this.#quote = ''
      }
      if (this.#quote !== '') {
        if (this.#escaped) this.#escaped = false
        else if (char === '\\') this.#escaped = true
        else if (char === this.#quote) this.#closing = true
      } else if (char === '"' || char === "'") this.#quote = char
      else if ('([{'.includes(char)) this.#depth++
      else if (')]}'.includes(char)) {
        this.#depth--
        if (this.#depth <= 0) return at + 1
      }
    }
    return -1
  }
}

function isSpace(char: string): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r'
}

function followsValue(char: string): boolean {
  return ',)]}:'.includes(char)
}

/** Thrown inside this file only: the text is no literal. */
class NotPython extends Error {}

const constants: Record<string, Json> = { True: true, true: true, False: false, false: false, None: null, null: null }
const escapes: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', a: '\x07', v: '\v', '\n': '' }
const deepest = 200

class PythonReader {
  readonly #text: string
  readonly #tools: readonly Tool[]
  #at = 0
  #depth = 0

  constructor(text: string, tools: readonly Tool[]) {
    this.#text = text
    this.#tools = tools
  }

  whole(): Json | undefined {
    try {
      const value = this.#value()
      this.#skipSpace()
      return this.#at === this.#text.length ? value : undefined
    } catch (error) {
      if (error instanceof NotPython) return undefined
      throw error
    }
  }

  #value(): Json {
    if (++this.#depth > deepest) throw new NotPython()
    this.#skipSpace()
    const char = this.#text[this.#at] ?? ''
    const value = this.#valueAt(char)
    this.#depth--
    return value
  }

  #valueAt(char: string): Json {
    if (char === '[') return this.#list(']')
    if (char === '(') return this.#list(')')
    if (char === '{') return this.#dictionary()
    if (char === '"' || char === "'") return this.#string(char)
    const number = this.#match(/[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y)
    if (number !== null) return Number(number.replaceAll('_', ''))
    const name = this.#match(/[A-Za-z_][\w.-]*/y)
    if (name === null) throw new NotPython()
    this.#skipSpace()
    if (this.#text[this.#at] === '(') return this.#call(name)
    const constant = constants[name]
    if (constant === undefined) throw new NotPython()
    return constant
  }

  #list(close: string): Json[] {
    const items: Json[] = []
    this.#items(close, () => items.push(this.#value()))
    return items
  }

  #dictionary(): JsonObject {
    const entries: JsonObject = {}
    this.#items('}', () => {
      const key = this.#value()
      this.#expect(':')
      setOwn(entries, String(key), this.#value())
    })
    return entries
  }

  /** Arguments without a name take the parameters' in their order; `print(f())` is the call of `f`. */
  #call(name: string): Json {
    const args: JsonObject = {}
    const positional: Json[] = []
    this.#items(')', () => {
      this.#skipSpace()
      const key = this.#match(/[A-Za-z_]\w*(?=\s*=)/y)
      if (key === null) {
        positional.push(this.#value())
        return
      }
      this.#expect('=')
      setOwn(args, key, this.#value())
    })
    const [inner] = positional
    if (name === 'print' && positional.length === 1 && inner !== undefined && !this.#isDeclared(name)) return inner
    const declared = this.#declared(name)
    const names = Object.keys((this.#tools.find((tool) => tool.function.name === declared)?.function.parameters as JsonObject | undefined)?.properties ?? {})
    for (const [index, value] of positional.entries()) {
      const key = names[index]
      if (key === undefined) throw new NotPython()
      setOwn(args, key, value)
    }
    return { name: declared, arguments: args }
  }

  /** `module.f` and `f.call` are the tool `f`. */
  #declared(name: string): string {
    if (this.#isDeclared(name)) return name
    return [name.replace(/\.call$/, ''), name.slice(name.lastIndexOf('.') + 1)].find((candidate) => this.#isDeclared(candidate)) ?? name.replace(/\.call$/, '')
  }

  #isDeclared(name: string): boolean {
    return this.#tools.some((tool) => tool.function.name === name)
  }

  #items(close: string, take: () => void): void {
    this.#at++
    for (;;) {
      this.#skipSpace()
      if (this.#text[this.#at] === close) break
      take()
      this.#skipSpace()
      if (this.#text[this.#at] === ',') this.#at++
      else if (this.#text[this.#at] !== close) throw new NotPython()
    }
    this.#at++
  }

  #string(quote: string): string {
    const triple = this.#text.startsWith(quote.repeat(3), this.#at)
    const width = triple ? 3 : 1
    this.#at += width
    const parts: string[] = []
    for (let from = this.#at; ; ) {
      const char = this.#text[this.#at]
      if (char === undefined) throw new NotPython()
      if (char === '\\') {
        parts.push(this.#text.slice(from, this.#at), this.#escape())
        from = this.#at
      } else if (char === quote && this.#text.startsWith(quote.repeat(width), this.#at) && this.#closesAt(this.#at + width)) {
        parts.push(this.#text.slice(from, this.#at))
        this.#at += width
        return parts.join('')
      } else this.#at++
    }
  }

  #closesAt(at: number): boolean {
    let next = at
    while (isSpace(this.#text[next] ?? '')) next++
    return followsValue(this.#text[next] ?? ')')
  }

  #escape(): string {
    const hex = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8}))/y
    hex.lastIndex = this.#at
    const found = hex.exec(this.#text)
    if (found !== null) {
      const point = Number.parseInt(found[1] ?? found[2] ?? found[3] ?? '', 16)
      if (point > 0x10ffff) throw new NotPython()
      this.#at = hex.lastIndex
      return String.fromCodePoint(point)
    }
    const char = this.#text[this.#at + 1] ?? ''
    this.#at += 2
    return escapes[char] ?? (`"'\\/`.includes(char) ? char : `\\${char}`)
  }

  #expect(char: string): void {
    this.#skipSpace()
    if (this.#text[this.#at] !== char) throw new NotPython()
    this.#at++
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return null
    this.#at = pattern.lastIndex
    return found[0]
  }

  #skipSpace(): void {
    while (isSpace(this.#text[this.#at] ?? '')) this.#at++
  }
}
