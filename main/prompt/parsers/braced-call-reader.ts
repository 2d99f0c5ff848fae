import { type Json, type JsonObject, setOwn } from '../../lib/json.ts'
import type { CallReader, RawCall, SectionEnd } from './calls.ts'
import { firstMarker, heldTail } from './held-tail.ts'

/** Reads `call:NAME{key:value,…}` up to a closing marker, texts between two quote marks (`<escape>v<escape>`). */
export class BracedCallReader implements CallReader {
  readonly #end: string
  readonly #quote: string
  readonly #marks: readonly string[]
  #inText = false
  #body = ''
  #held = ''

  constructor(end: string, quote: string) {
    this.#end = end
    this.#quote = quote
    this.#marks = [end, quote]
  }

  push(piece: string): SectionEnd | null {
    let text = this.#held + piece
    this.#held = ''
    for (;;) {
      const found = firstMarker(text, this.#inText ? [this.#quote] : this.#marks)
      if (found === null) {
        const settled = text.length - heldTail(text, this.#marks)
        this.#body += text.slice(0, settled)
        this.#held = text.slice(settled)
        return null
      }
      const after = found.at + found.marker.length
      if (found.marker === this.#end) {
        const call = new BracedCall(this.#body + text.slice(0, found.at), this.#quote).whole()
        return { calls: call === null ? [] : [call], rest: text.slice(after) }
      }
      this.#inText = !this.#inText
      this.#body += text.slice(0, after)
      text = text.slice(after)
    }
  }

  /** A call that is whole counts although its marker is missing. */
  end(): SectionEnd {
    const call = this.#inText ? null : new BracedCall(this.#body, this.#quote).whole()
    return { calls: call === null ? [] : [call], rest: '' }
  }
}

/** Thrown inside this file only: the text is no call. */
class NotACall extends Error {}

const constants: Record<string, Json> = { true: true, false: false, null: null, None: null, True: true, False: false, '': null }
const deepest = 200

class BracedCall {
  readonly #text: string
  readonly #quote: string
  #at = 0
  #depth = 0

  constructor(text: string, quote: string) {
    this.#text = text.trim()
    this.#quote = quote
  }

  whole(): RawCall | null {
    const head = /^(?:call:)?\s*([\w.:/-]+)\s*(?=\{)/.exec(this.#text)
    if (head?.[1] === undefined) return null
    this.#at = head[0].length
    try {
      const args = this.#object()
      return this.#at === this.#text.length ? { name: head[1], arguments: args } : null
    } catch (error) {
      if (error instanceof NotACall) return null
      throw error
    }
  }

  #object(): JsonObject {
    const entries: JsonObject = {}
    this.#items('}', () => {
      const key = this.#quoted() ?? this.#bare(/[^:{}[\],]+/y)
      this.#skipSpace()
      if (this.#text[this.#at] !== ':') throw new NotACall()
      this.#at++
      setOwn(entries, key, this.#value())
    })
    return entries
  }

  #value(): Json {
    if (++this.#depth > deepest) throw new NotACall()
    this.#skipSpace()
    const value = this.#valueHere()
    this.#depth--
    return value
  }

  #valueHere(): Json {
    const text = this.#quoted()
    if (text !== null) return text
    if (this.#text[this.#at] === '{') return this.#object()
    if (this.#text[this.#at] === '[') {
      const items: Json[] = []
      this.#items(']', () => items.push(this.#value()))
      return items
    }
    const bare = this.#bare(/[^,{}[\]]*/y)
    const constant = constants[bare]
    if (constant !== undefined) return constant
    return /^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(bare) ? Number(bare) : bare
  }

  /** A text between two marks, or in JSON's quotes; null when none is here. */
  #quoted(): string | null {
    this.#skipSpace()
    if (this.#text.startsWith(this.#quote, this.#at)) {
      const from = this.#at + this.#quote.length
      const to = this.#text.indexOf(this.#quote, from)
      if (to < 0) throw new NotACall()
      this.#at = to + this.#quote.length
      return this.#text.slice(from, to)
    }
    const json = /"(?:[^"\\]|\\.)*"/sy
    json.lastIndex = this.#at
    const found = json.exec(this.#text)
    if (found === null) return null
    this.#at = json.lastIndex
    try {
      return JSON.parse(found[0])
    } catch {
      return found[0].slice(1, -1)
    }
  }

  #bare(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found.trim()
  }

  #items(close: string, take: () => void): void {
    this.#at++
    for (;;) {
      this.#skipSpace()
      if (this.#text[this.#at] === close) break
      take()
      this.#skipSpace()
      if (this.#text[this.#at] === ',') this.#at++
      else if (this.#text[this.#at] !== close) throw new NotACall()
    }
    this.#at++
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++
  }
}
