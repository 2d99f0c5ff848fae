import type { CallReader, SectionEnd } from './calls.ts'

/** Longer than any text that says which form a section has. */
const longestHead = 256

/** Reads a section by the reader that its first text chooses. */
export class ChosenReader implements CallReader {
  readonly #choose: (text: string) => CallReader | null | undefined
  #head = ''
  #reader: CallReader | null = null

  /** @param choose given the text without the space before it: undefined while it cannot be said, null when it begins no call */
  constructor(choose: (text: string) => CallReader | null | undefined) {
    this.#choose = choose
  }

  push(piece: string): SectionEnd | null {
    if (this.#reader !== null) return this.#reader.push(piece)
    this.#head = (this.#head + piece).trimStart()
    if (this.#head === '') return null
    const reader = this.#choose(this.#head)
    if (reader === undefined && this.#head.length <= longestHead) return null
    if (reader === undefined || reader === null) return { calls: [], rest: '' }
    this.#reader = reader
    return reader.push(this.#head)
  }

  end(): SectionEnd {
    return this.#reader?.end() ?? { calls: [], rest: '' }
  }
}
