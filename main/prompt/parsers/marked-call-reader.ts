import type { CallReader, RawCall, SectionEnd } from './calls.ts'
import { firstMarker, heldTail } from './held-tail.ts'

interface Marks {
  /** What ends the section. */
  end: string
  /** A stretch in which that is text. */
  quotation?: { open: string; close: string }
  /** A mark that may follow, and goes with it. */
  tail?: string
  /** What a section ends with that is whole although its end is missing. */
  whole?: string
}

/** Reads a section up to its closing marker, for calls that stand in tags throughout. */
export class MarkedCallReader implements CallReader {
  readonly #marks: Marks
  readonly #parse: (body: string) => RawCall[] | null
  #isQuoted = false
  #body = ''
  #held = ''
  /** What was read, while the tail may be coming. */
  #calls: RawCall[] | null = null

  /** @param parse null when the text is no call, or not all of one */
  constructor(marks: Marks, parse: (body: string) => RawCall[] | null) {
    this.#marks = marks
    this.#parse = parse
  }

  push(piece: string): SectionEnd | null {
    let text = this.#held + piece
    this.#held = ''
    for (;;) {
      if (this.#calls !== null) return this.#finish(this.#calls, text)
      const { end, quotation } = this.#marks
      const markers = quotation === undefined ? [end] : this.#isQuoted ? [quotation.close] : [end, quotation.open]
      const found = firstMarker(text, markers)
      if (found === null) {
        const settled = text.length - heldTail(text, markers)
        this.#body += text.slice(0, settled)
        this.#held = text.slice(settled)
        return null
      }
      const after = found.at + found.marker.length
      if (found.marker === end && !this.#isQuoted) {
        const calls = this.#parse(this.#body + text.slice(0, found.at))
        if (calls === null) return { calls: [], rest: text.slice(after) }
        this.#calls = calls
      } else {
        this.#isQuoted = !this.#isQuoted
        this.#body += text.slice(0, after)
      }
      text = text.slice(after)
    }
  }

  /** A quotation that was never closed may have hidden the end. */
  end(): SectionEnd {
    if (this.#calls !== null) return { calls: this.#calls, rest: '' }
    const { end, whole } = this.#marks
    const body = this.#body + this.#held
    const at = body.indexOf(end)
    if (at < 0 && (whole === undefined || !body.trimEnd().endsWith(whole))) return { calls: [], rest: '' }
    const calls = this.#parse(at < 0 ? body : body.slice(0, at)) ?? []
    return { calls, rest: at < 0 ? '' : body.slice(at + end.length) }
  }

  #finish(calls: RawCall[], text: string): SectionEnd | null {
    const { tail = '' } = this.#marks
    const rest = text.trimStart()
    if (tail === '' || !(rest.startsWith(tail) || tail.startsWith(rest))) return { calls, rest: text }
    if (rest.length >= tail.length) return { calls, rest: rest.slice(tail.length) }
    this.#held = text
    return null
  }
}
