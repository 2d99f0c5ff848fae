import type { CallReader, RawCall, SectionEnd } from './calls.ts'
import { firstMarker, heldTail } from './held-tail.ts'

interface Marks {
  /** What ends the section. */
  end: string
  /** A stretch in which that is text. */
  quotation?: { open: string; close: string }
  /** A mark that may follow, and goes with it. */
  tail?: string
  /** What a call ends with that is whole although the section's end is missing. */
  whole?: string
}

/** Reads a section up to its closing marker, for calls that stand in tags throughout. */
export class MarkedCallReader implements CallReader {
  readonly #marks: Marks
  readonly #parse: (body: string) => RawCall[] | null
  #isQuoted = false
  #body = ''
  #held = ''
  /** As far as whole calls go. */
  #wholeTo = 0
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
      const { end, quotation, whole } = this.#marks
      const markers = this.#isQuoted && quotation !== undefined ? [quotation.close] : [end, quotation?.open, whole].filter((mark) => mark !== undefined)
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
        this.#body += text.slice(0, after)
        if (found.marker === whole && !this.#isQuoted) this.#wholeTo = this.#body.length
        else this.#isQuoted = !this.#isQuoted
      }
      text = text.slice(after)
    }
  }

  /** A quotation that was never closed may have hidden the end. */
  end(): SectionEnd {
    if (this.#calls !== null) return { calls: this.#calls, rest: '' }
    const { end } = this.#marks
    const body = this.#body + this.#held
    const at = body.indexOf(end)
    const to = at < 0 ? this.#wholeTo : at
    if (to === 0) return { calls: [], rest: '' }
    const rest = body.slice(at < 0 ? to : to + end.length)
    return { calls: this.#parse(body.slice(0, to)) ?? [], rest: at < 0 && end.startsWith(rest.trim()) ? '' : rest }
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
