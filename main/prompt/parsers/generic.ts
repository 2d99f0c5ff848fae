import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { ReplyEvent, ReplyParser, Tool } from '../messages.ts'
import { looksLikeCall } from './bare-call-reader.ts'
import { newCallId, parseJson } from './calls.ts'
import { heldTail, isMarkup } from './held-tail.ts'
import { JsonScanner } from './json-scanner.ts'

/** Objects inside one that is no call itself. */
const mostTries = 50

/**
 * Finds calls behind a tag by the names of the declared tools, however the model wraps them (ollama-api §7.7).
 *
 * For Go templates, whose tag is the first text inside `if .ToolCalls`; `{` and `[` are tags only as the first thing of a reply.
 */
export class GenericCallParser implements ReplyParser {
  readonly #tag: string
  readonly #names: string[]
  readonly #longestName: number
  #state: 'prose' | 'calls' | 'closed'
  /** Of a tag that may be beginning. */
  #held = ''
  #spaces = ''
  /** What stands before the next object: a name may be in it. */
  #before = ''
  /** Of that, what a name may still end behind. */
  #tail = ''
  /** Where each name stands first since the last call. */
  readonly #firstAt = new Map<string, number>()
  /** Nothing but white space has come since the last call. */
  #isBehindCall = false
  #object = ''
  #scanner: JsonScanner | null = null
  #called = 0
  #wrote = false

  constructor(tag: string, tools: readonly Tool[]) {
    this.#tag = tag
    this.#names = tools.map((tool) => tool.function.name)
    this.#longestName = Math.max(0, ...this.#names.map(({ length }) => length))
    this.#state = this.#names.length === 0 ? 'closed' : 'prose'
  }

  push(text: string): ReplyEvent[] {
    const events: ReplyEvent[] = []
    if (this.#state === 'prose') this.#seek(this.#held + text, events)
    else if (this.#state === 'calls') this.#read(text, events)
    else this.#emit(text, events)
    return events
  }

  end(isCut = false): ReplyEvent[] {
    const events: ReplyEvent[] = []
    const left = this.#before + this.#object
    if (this.#state === 'prose') {
      if (isCut && isMarkup(this.#held)) events.push({ type: 'broken-call', text: this.#held })
      else this.#emit(this.#spaces + this.#held, events)
    } else if (this.#state === 'calls' && this.#called === 0) {
      // What began with a mere bracket may be anything.
      if (this.#bare && !(isCut && looksLikeCall(left, this.#names) !== false)) this.#emit(this.#spaces + left, events)
      else events.push({ type: 'broken-call', text: left })
    } else if (this.#scanner !== null) events.push({ type: 'broken-call', text: this.#object })
    // Behind a complete call only closing brackets and tags remain.
    this.#held = this.#spaces = this.#before = this.#object = ''
    this.#scanner = null
    return events
  }

  get #bare(): boolean {
    return this.#tag === '{' || this.#tag === '['
  }

  /** White space before a tag is not prose, and all of it is held until it is known what follows. */
  #seek(text: string, events: ReplyEvent[]): void {
    const at = text.indexOf(this.#tag)
    const settled = at < 0 ? text.length - heldTail(text, [this.#tag]) : at
    const kept = text.slice(0, settled).trimEnd()
    if (this.#bare && kept !== '') {
      this.#state = 'closed'
      this.#emit(this.#spaces + text, events)
      return
    }
    if (kept !== '') {
      this.#emit(this.#spaces + kept, events)
      this.#spaces = ''
    }
    this.#spaces += text.slice(kept.length, settled)
    this.#held = at < 0 ? text.slice(settled) : ''
    if (at < 0) return
    this.#state = 'calls'
    this.#read(text.slice(at), events)
  }

  /** Looks at each character once: objects that are no call are passed over. */
  #read(piece: string, events: ReplyEvent[]): void {
    let text = piece
    while (text !== '') {
      if (this.#scanner === null) {
        if (this.#bare && this.#isBehindCall && this.#close(text, events)) return
        const open = text.indexOf('{')
        this.#pass(open < 0 ? text : text.slice(0, open))
        if (open < 0) return
        this.#scanner = new JsonScanner()
        text = text.slice(open)
      }
      const length = this.#scanner.scan(text)
      this.#object += length < 0 ? text : text.slice(0, length)
      if (length < 0) return
      this.#scanner = null
      text = this.#take(events) + text.slice(length)
    }
    if (this.#scanner === null && this.#tag === '{' && this.#called > 0) this.#state = 'closed'
  }

  /** The object is whole: its call, if it holds one. What follows a call inside of it is returned, to be read again. */
  #take(events: ReplyEvent[]): string {
    const object = this.#object
    const start = this.#before.length
    this.#object = ''
    this.#pass(object)
    const found = this.#callIn(object, start)
    if (found === null) return ''
    this.#before = this.#tail = ''
    this.#firstAt.clear()
    this.#isBehindCall = true
    events.push({ type: 'tool-call', call: { id: newCallId(), index: this.#called++, name: found.name, arguments: found.args } })
    return object.slice(found.end)
  }

  /** Goes on behind a text, and remembers the names in it. */
  #pass(text: string): void {
    const window = this.#tail + text
    const start = this.#before.length - this.#tail.length
    for (const name of this.#names) {
      const at = this.#firstAt.has(name) ? -1 : window.indexOf(name)
      if (at >= 0) this.#firstAt.set(name, start + at)
    }
    this.#before += text
    this.#tail = window.slice(-this.#longestName)
    this.#isBehindCall &&= text.trim() === ''
  }

  /** @param start where the object stands */
  #callIn(object: string, start: number): { name: string; args: JsonObject; end: number } | null {
    const [first] = [...this.#firstAt].sort(([one, at], [other, otherAt]) => at - otherAt || other.length - one.length)
    if (first === undefined) return null
    const [name, nameAt] = first
    let tries = 0
    for (let open = 0; open >= 0 && tries < mostTries; open = object.indexOf('{', open + 1), tries++) {
      const length = new JsonScanner().scan(object.slice(open))
      if (length < 0) continue
      const value = parseJson(object.slice(open, open + length))
      const args = isJsonObject(value) ? argumentsIn(value, name) : null
      if (args !== null && start + open + length > nameAt) return { name, args, end: open + length }
    }
    return null
  }

  /** After a call without a tag of its own the outer bracket ends the calls. */
  #close(text: string, events: ReplyEvent[]): boolean {
    const rest = text.trimStart()
    if (this.#tag === '[' && !rest.startsWith(']')) return false
    this.#state = 'closed'
    this.#emit(this.#tag === '[' ? rest.slice(1) : rest, events)
    return true
  }

  #emit(text: string, events: ReplyEvent[]): void {
    const kept = this.#called > 0 && !this.#wrote ? text.trimStart() : text
    if (kept === '') return
    events.push({ type: 'text', text: kept })
    this.#wrote = true
  }
}

/** The arguments for `name` in a JSON object: beside its name, under its name, deeper, or the object itself. */
function argumentsIn(value: JsonObject, name: string): JsonObject | null {
  if (typeof value.name === 'string') {
    const given = value.arguments ?? value.parameters
    const args = typeof given === 'string' ? parseJson(given) : given
    return isJsonObject(args) ? args : null
  }
  return besideName(value, name) ?? nested(value, name) ?? value
}

/** `{"tool": NAME, "with": {…}}`: a template's own keys for both. */
function besideName(value: JsonObject, name: string): JsonObject | null {
  const [first, second, ...others] = Object.values(value)
  if (others.length > 0) return null
  if (first === name && isJsonObject(second)) return second
  return second === name && isJsonObject(first) ? first : null
}

function nested(value: Json | undefined, name: string): JsonObject | null {
  if (Array.isArray(value)) {
    for (const item of value) {
      const found = nested(item, name)
      if (found !== null) return found
    }
    return null
  }
  if (!isJsonObject(value)) return null
  if (value.name === name) return argumentsIn(value, name)
  const direct = value[name]
  if (isJsonObject(direct)) return direct
  for (const item of Object.values(value)) {
    const found = nested(item, name)
    if (found !== null) return found
  }
  return null
}
