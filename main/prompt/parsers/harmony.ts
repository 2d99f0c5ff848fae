import { isJsonObject } from '../../lib/json.ts'
import type { ReplyEvent, ReplyParser, Tool } from '../messages.ts'
import { newCallId, parseJson } from './calls.ts'
import { harmonyName } from './harmony-calls.ts'
import { firstMarker, heldTail } from './held-tail.ts'

const channelMark = '<|channel|>'
const messageMark = '<|message|>'
const ends = ['<|end|>', '<|call|>', '<|return|>', '<|start|>', channelMark] as const
const marks = [channelMark, messageMark, ...ends]

/** How a reply that is continued is written into the prompt. */
export const harmonyMarkup = { open: '<|channel|>analysis<|message|>', close: '<|end|><|start|>assistant<|channel|>final<|message|>' }

/** True for the templates of gpt-oss. */
export function isHarmony(template: string): boolean {
  return template.includes('<|start|>') && template.includes('<|channel|>') && template.includes('<|message|>')
}

/**
 * The Harmony format of gpt-oss: messages of a header (`<|channel|>NAME to=functions.F <|constrain|>json<|message|>`) and a body.
 *
 * `analysis` is thinking, `final` and a preamble on `commentary` are text, a header with a recipient is a call.
 */
export class HarmonyParser implements ReplyParser {
  readonly #names: readonly string[]
  #inHeader = true
  #header = ''
  #body = ''
  #buffer = ''
  #called = 0

  /** @param channel the one that the prompt has opened, '' when the reply writes its own header */
  constructor(tools: readonly Tool[], channel: '' | 'analysis' | 'final' = '') {
    this.#names = tools.map((tool) => tool.function.name)
    this.#header = channel
    this.#inHeader = channel === ''
  }

  push(text: string): ReplyEvent[] {
    const events: ReplyEvent[] = []
    this.#buffer += text
    for (;;) {
      const found = firstMarker(this.#buffer, marks)
      const length = found?.at ?? this.#buffer.length - heldTail(this.#buffer, marks)
      this.#take(this.#buffer.slice(0, length), events)
      this.#buffer = this.#buffer.slice(length)
      if (found === null) return events
      this.#buffer = this.#buffer.slice(found.marker.length)
      this.#cross(found.marker, events)
    }
  }

  end(isCut = false): ReplyEvent[] {
    const events: ReplyEvent[] = []
    if (!isCut || this.#recipient !== null) this.#take(this.#buffer, events)
    this.#buffer = ''
    // A call that ended without its mark counts if it is whole; a header without a message is prose of a model that left the format.
    if (this.#inHeader && this.#header.trim() !== '' && !/^(start)?assistant|^(analysis|commentary|final|to=)/.test(this.#header.trim()))
      events.push({ type: 'text', text: this.#header })
    if (this.#recipient !== null && !isJsonObject(parseJson(this.#body)))
      events.push({ type: 'broken-call', text: channelMark + this.#header + (this.#inHeader ? '' : messageMark + this.#body) })
    else this.#closeCall(events)
    return events
  }

  get #recipient(): string | null {
    return /to=(?:functions\.)?([\w.-]+)/.exec(this.#header)?.[1] ?? null
  }

  #take(text: string, events: ReplyEvent[]): void {
    if (text === '') return
    if (this.#inHeader) this.#header += text
    else if (this.#recipient !== null) this.#body += text
    else events.push({ type: /^\W*analysis/.test(this.#header.replace(/^.*?assistant/, '')) ? 'thinking' : 'text', text })
  }

  #cross(marker: string, events: ReplyEvent[]): void {
    if (marker === messageMark) {
      this.#inHeader = false
      return
    }
    if (!this.#inHeader) this.#closeCall(events)
    // `assistant to=functions.F<|channel|>commentary`: the recipient may stand before the channel.
    this.#header = marker === channelMark && this.#inHeader ? `${this.#recipient === null ? '' : `to=functions.${this.#recipient} `}` : ''
    this.#inHeader = true
    this.#body = ''
  }

  #closeCall(events: ReplyEvent[]): void {
    const recipient = this.#recipient
    if (recipient === null || this.#inHeader || this.#body.trim() === '') return
    const args = parseJson(this.#body)
    if (isJsonObject(args))
      events.push({ type: 'tool-call', call: { id: newCallId(), index: this.#called++, name: this.#declared(recipient), arguments: args } })
    else events.push({ type: 'text', text: this.#body })
    this.#body = ''
    this.#header = ''
  }

  /** The declared name of the one that is written. */
  #declared(name: string): string {
    return this.#names.find((candidate) => candidate === name || harmonyName(candidate) === name) ?? name
  }
}
