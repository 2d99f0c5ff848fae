import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { ReplyEvent, ReplyParser, Tool } from '../messages.ts'
import { firstMarker, heldTail, isMarkup } from './held-tail.ts'

/** A call as a family writes it, before it gets its id and its place. */
export interface RawCall {
  name: string
  arguments: JsonObject
  id?: string
}

/** What a reader makes of a section, and the text behind it. */
export interface SectionEnd {
  calls: RawCall[]
  rest: string
}

/** Reads one section of calls, from behind its opening marker. */
export interface CallReader {
  /** null while the section goes on; no calls means that it was none and is given back as text, up to `rest`. */
  push(piece: string): SectionEnd | null
  /**
   * The reply is over although the section is not: calls that are complete, and what follows the last of them.
   *
   * What follows is taken for a call that was cut off, unless `isText` says that nothing shows it for one.
   */
  end(): SectionEnd & { isText?: boolean }
}

/** How a family of models writes tool calls. */
export interface CallFormat {
  /** Texts that begin a section of calls. */
  starts: readonly string[]
  /** Texts that do so only as the first thing of the reply (bare JSON). */
  startsReply?: readonly string[]
  createReader(tools: readonly Tool[], start: string): CallReader
  /** Markers that carry no text and are left out of the prose, tools or none. */
  silent?: readonly string[] | ((tools: readonly Tool[]) => readonly string[])
  /** Those of the silent markers that announce calls: a reply that ends behind one was to call. */
  announces?: readonly string[]
  /** A marker that the prompt may end with: the reply goes on from there. */
  prompted?: string
}

/** Splits prose and tool calls by one family's format. White space between prose and a marker belongs to neither. */
export class CallParser implements ReplyParser {
  readonly #format: CallFormat
  readonly #tools: readonly Tool[]
  readonly #markers: readonly string[]
  readonly #silent: readonly string[]
  readonly #startsReply: readonly string[]
  #reader: CallReader | null = null
  /** What the reader has been given, with the marker: returned as text if it turns out to be no call. */
  #section = ''
  #buffer = ''
  #spaces = ''
  #wrote = false
  #called = 0
  /** The marker that has announced the calls that are to come. */
  #announced = ''
  /** A marker that the prompt has written. */
  #begun: string

  /** Without tools nothing is a call: only the silent markers are taken out. */
  constructor(format: CallFormat, tools: readonly Tool[], prompt = '') {
    this.#format = format
    this.#tools = tools
    this.#silent = typeof format.silent === 'function' ? format.silent(tools) : (format.silent ?? [])
    this.#markers = [...(tools.length > 0 ? format.starts : []), ...this.#silent]
    this.#startsReply = tools.length > 0 ? (format.startsReply ?? []) : []
    this.#begun = format.prompted !== undefined && prompt.trimEnd().endsWith(format.prompted) ? format.prompted : ''
  }

  push(text: string): ReplyEvent[] {
    const events: ReplyEvent[] = []
    this.#advance(this.#begun + text, events, false)
    this.#begun = ''
    return events
  }

  end(isCut = false): ReplyEvent[] {
    const events: ReplyEvent[] = []
    const mark = isCut && isMarkup(this.#buffer) ? this.#buffer : ''
    if (mark !== '') this.#buffer = ''
    this.#advance('', events, true)
    if (this.#reader !== null) this.#breakOff(this.#reader, isCut, events)
    else if (this.#announced !== '' || (mark !== '' && this.#beginsCall(mark))) this.#reportBroken(this.#announced + mark, events)
    if (this.#called === 0 && this.#spaces !== '') events.push({ type: 'text', text: this.#spaces })
    this.#reader = null
    this.#section = this.#spaces = ''
    return events
  }

  #beginsCall(mark: string): boolean {
    const { starts, announces = [] } = this.#format
    return this.#tools.length > 0 && [...starts, ...announces].some((start) => start.startsWith(mark))
  }

  #advance(text: string, events: ReplyEvent[], isLast: boolean): void {
    let left: string | null = text
    while (left !== null) {
      if (this.#reader !== null) left = left === '' ? null : this.#read(this.#reader, left, events)
      else left = this.#buffer + left === '' ? null : this.#seek(left, events, isLast)
    }
  }

  /** Prose up to the next marker; what follows the marker, or null when there is none yet. */
  #seek(piece: string, events: ReplyEvent[], isLast: boolean): string | null {
    const text = this.#buffer + piece
    this.#buffer = ''
    const found = this.#firstOfReply(text) ?? firstMarker(text, this.#markers)
    // A longer marker may still be coming where a shorter one already stands.
    const settled = isLast ? text.length : text.length - heldTail(text, this.#markers)
    if (found === null || settled <= found.at) {
      this.#prose(text.slice(0, settled), events)
      this.#buffer = text.slice(settled)
      return null
    }
    this.#prose(text.slice(0, found.at), events)
    if (this.#silent.includes(found.marker)) {
      this.#spaces = ''
      this.#announced = this.#tools.length > 0 && this.#format.announces?.includes(found.marker) ? found.marker : ''
    } else {
      this.#announced = ''
      this.#reader = this.#format.createReader(this.#tools, found.marker)
      this.#section = found.marker
    }
    return text.slice(found.at + found.marker.length)
  }

  #firstOfReply(text: string): { at: number; marker: string } | null {
    if (this.#wrote || this.#called > 0) return null
    const at = text.length - text.trimStart().length
    const marker = this.#startsReply.find((start) => text.startsWith(start, at))
    return marker === undefined ? null : { at, marker }
  }

  #read(reader: CallReader, piece: string, events: ReplyEvent[]): string {
    const outcome = reader.push(piece)
    if (outcome === null) {
      this.#section += piece
      return ''
    }
    this.#reader = null
    if (outcome.calls.length > 0) this.#emitCalls(outcome.calls, events)
    else {
      const whole = this.#section + piece
      this.#prose(whole.slice(0, whole.length - outcome.rest.length), events)
    }
    this.#section = ''
    return outcome.rest
  }

  /** The reply has ended inside a section. */
  #breakOff(reader: CallReader, isCut: boolean, events: ReplyEvent[]): void {
    const { calls, rest, isText = false } = reader.end()
    this.#emitCalls(calls, events)
    const left = calls.length > 0 ? rest : this.#section
    if (left.trim() === '') return
    if (isText && !isCut) this.#prose(left, events)
    else this.#reportBroken(left, events)
  }

  #reportBroken(text: string, events: ReplyEvent[]): void {
    this.#spaces = ''
    events.push({ type: 'broken-call', text })
  }

  #emitCalls(calls: RawCall[], events: ReplyEvent[]): void {
    if (calls.length > 0) this.#spaces = ''
    for (const { id, name, arguments: args } of calls) {
      events.push({ type: 'tool-call', call: { id: id ?? newCallId(), index: this.#called++, name, arguments: args } })
    }
  }

  #prose(text: string, events: ReplyEvent[]): void {
    if (text === '') return
    const kept = text.trimEnd()
    if (kept === '') {
      this.#spaces += text
      return
    }
    const leading = this.#called > 0 && !this.#wrote ? '' : this.#spaces
    const body = this.#called > 0 && !this.#wrote ? kept.trimStart() : kept
    events.push({ type: 'text', text: leading + body })
    this.#wrote = true
    this.#spaces = text.slice(kept.length)
  }
}

/** An id in the native API's form. */
export function newCallId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'
  return `call_${Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => alphabet[byte % alphabet.length]).join('')}`
}

/** A call from an object that names it; null when it is none. Arguments may be an object or its JSON text. */
export function callFromObject(value: Json | undefined, nameKeys = ['name'], argumentKeys = ['arguments', 'parameters']): RawCall | null {
  if (!isJsonObject(value)) return null
  const inner = isJsonObject(value.function) && typeof value.name !== 'string' ? value.function : value
  const name = nameKeys.map((key) => inner[key]).find((item) => typeof item === 'string' && item !== '')
  if (typeof name !== 'string') return null
  const given = argumentKeys.map((key) => inner[key]).find((item) => item !== undefined)
  const args = typeof given === 'string' ? parseJson(given) : given
  if (args === undefined || args === null) return given === undefined || given === null || given === '' ? { name, arguments: {} } : null
  if (!isJsonObject(args)) return null
  const id = value.id ?? value.tool_call_id
  return { name, arguments: args, ...(typeof id === 'string' && id !== '' && { id }) }
}

/** undefined when the text is no JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
