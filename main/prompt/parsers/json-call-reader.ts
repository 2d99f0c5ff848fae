import type { Json } from '../../lib/json.ts'
import { type CallReader, parseJson, type RawCall, type SectionEnd } from './calls.ts'
import { JsonScanner } from './json-scanner.ts'

/** How the values of a section are written: JSON, or the literals of a programming language. */
export interface ValueSyntax {
  /** What a value begins with. */
  opens: RegExp
  createScanner(): Pick<JsonScanner, 'scan'>
  /** undefined when the text is no value. */
  parse(text: string): Json | undefined
}

const json: ValueSyntax = { opens: /^[{[]/, createScanner: () => new JsonScanner(), parse: parseJson }

/** Reads values up to a closing marker; white space, commas and semicolons between them are skipped, a missing marker is forgiven. */
export class JsonCallReader implements CallReader {
  readonly #end: string
  readonly #toCalls: (value: Json) => RawCall[] | null
  readonly #syntax: ValueSyntax
  #scanner: Pick<JsonScanner, 'scan'> | null = null
  #value = ''
  #pending = ''
  readonly #calls: RawCall[] = []

  /**
   * @param end '' when a section goes on as long as one value follows another
   * @param toCalls null when the value is no call
   */
  constructor(end: string, toCalls: (value: Json) => RawCall[] | null, syntax: ValueSyntax = json) {
    this.#end = end
    this.#toCalls = toCalls
    this.#syntax = syntax
  }

  push(piece: string): SectionEnd | null {
    let text = this.#pending + piece
    this.#pending = ''
    for (;;) {
      if (this.#scanner !== null) {
        const at = this.#scanner.scan(text)
        if (at < 0) {
          this.#value += text
          return null
        }
        const value = this.#syntax.parse(this.#value + text.slice(0, at))
        const calls = value === undefined ? null : this.#toCalls(value)
        if (calls === null) return { calls: this.#calls, rest: this.#calls.length > 0 ? this.#value + text : text.slice(at) }
        this.#calls.push(...calls)
        this.#scanner = null
        this.#value = ''
        text = text.slice(at)
      }
      text = this.#calls.length > 0 ? text.replace(/^[\s,;]+/, '') : text.trimStart()
      if (text === '') return null
      if (this.#syntax.opens.test(text)) this.#scanner = this.#syntax.createScanner()
      else if (this.#end !== '' && text.startsWith(this.#end)) return { calls: this.#calls, rest: text.slice(this.#end.length) }
      else if (this.#end.startsWith(text)) {
        this.#pending = text
        return null
      } else return { calls: this.#calls, rest: text }
    }
  }

  end(): SectionEnd {
    return { calls: this.#calls, rest: this.#value }
  }
}

/** One call of `callFromObject`'s shapes, or a list of them; null when any is none. */
export function callsFrom(value: Json, toCall: (item: Json) => RawCall | null): RawCall[] | null {
  const calls = (Array.isArray(value) ? value : [value]).map(toCall)
  return calls.length > 0 && calls.every((call) => call !== null) ? calls : null
}
