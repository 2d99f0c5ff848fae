import { type CallReader, callFromObject, parseJson, type RawCall, type SectionEnd } from './calls.ts'
import { JsonScanner } from './json-scanner.ts'

/** Longer than any name with its id. */
const longestHead = 512

/** Reads one call whose name stands before its arguments: `NAME` nameEnd `{…}` end. */
export class NamedCallReader implements CallReader {
  readonly #nameEnd: string
  readonly #end: string
  readonly #named: (head: string) => Pick<RawCall, 'name' | 'id'> | null
  #head = ''
  #call: Pick<RawCall, 'name' | 'id'> | null = null
  #scanner: JsonScanner | null = null
  #value = ''
  #pending = ''
  #done: RawCall | null = null

  /**
   * @param nameEnd `{` when nothing stands between
   * @param end '' when a call ends with its arguments; where it is missing, that is forgiven
   * @param named null when what stands before the arguments names no call
   */
  constructor(nameEnd: string, end: string, named = plainName) {
    this.#nameEnd = nameEnd
    this.#end = end
    this.#named = named
  }

  push(piece: string): SectionEnd | null {
    let text = this.#pending + piece
    this.#pending = ''
    if (this.#call === null) {
      this.#head += text
      const at = this.#head.indexOf(this.#nameEnd)
      if (at < 0) return this.#head.length > longestHead ? { calls: [], rest: '' } : null
      this.#call = this.#named(this.#head.slice(0, at))
      text = this.#head.slice(this.#nameEnd === '{' ? at : at + this.#nameEnd.length)
      if (this.#call === null) return { calls: [], rest: text }
    }
    if (this.#done === null && this.#scanner === null) {
      text = text.trimStart()
      if (text === '' || (text.length < this.#end.length && this.#end.startsWith(text))) return this.#wait(text)
      if (text.startsWith('{')) this.#scanner = new JsonScanner()
      else if (this.#end !== '' && text.startsWith(this.#end)) this.#done = { ...this.#call, arguments: {} }
      else return { calls: [], rest: text }
    }
    if (this.#done === null && this.#scanner !== null) {
      const at = this.#scanner.scan(text)
      if (at < 0) {
        this.#value += text
        return null
      }
      const args = parseJson(this.#value + text.slice(0, at))
      this.#done = args === undefined ? null : callFromObject({ ...this.#call, arguments: args })
      text = text.slice(at)
      if (this.#done === null) return { calls: [], rest: text }
    }
    if (this.#done === null) return null
    if (this.#end === '') return { calls: [this.#done], rest: text }
    const tail = text.trimStart()
    if (tail.startsWith(this.#end)) return { calls: [this.#done], rest: tail.slice(this.#end.length) }
    return this.#end.startsWith(tail) ? this.#wait(tail) : { calls: [this.#done], rest: text }
  }

  end(): SectionEnd {
    return { calls: this.#done === null ? [] : [this.#done], rest: '' }
  }

  #wait(text: string): null {
    this.#pending = text
    return null
  }
}

/** null for what is no name. */
export function plainName(head: string): { name: string } | null {
  const name = head.trim()
  return /^[\w.:/-]+$/.test(name) ? { name } : null
}
