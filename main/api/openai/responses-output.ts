import { randomBytes } from 'node:crypto'
import type { GenerationEvent } from '../../generation/events.ts'
import type { Message, ToolCall } from '../../prompt/messages.ts'
import type { TokenLogprob } from '../../runtime/protocol.ts'
import { logprobEntry } from '../reply.ts'
import type { Toolbox } from './responses-tools.ts'

type ItemStatus = 'in_progress' | 'completed' | 'incomplete'

/** One entry of a response's `output`. */
export type OutputItem =
  | { id: string; type: 'reasoning'; summary: object[]; encrypted_content?: string }
  | { id: string; type: 'message'; status: ItemStatus; role: 'assistant'; content: object[] }
  | { id: string; type: 'function_call'; status: ItemStatus; call_id: string; name: string; namespace?: string; arguments: string }
  | { id: string; type: 'custom_tool_call'; status: ItemStatus; call_id: string; name: string; input: string }

/** One event of a stream, its number aside. */
export interface StreamEvent {
  type: string
  [field: string]: unknown
}

/** An item that is being written. */
interface OpenItem {
  kind: 'message' | 'reasoning'
  id: string
  text: string
  logprobs: TokenLogprob[]
}

export function newId(prefix: 'resp' | 'rs' | 'msg' | 'fc' | 'ctc' | 'item'): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`
}

/**
 * The items of one reply, in the order in which the model writes them, and the stream's events on the way (openai-anthropic-api §10.6).
 *
 * At most one item is open; another kind of words, or a call, closes it.
 */
export class Output {
  /** Those that are finished. */
  readonly items: OutputItem[] = []
  #content = ''
  #thinking = ''
  readonly #calls: ToolCall[] = []
  #brokenCall = ''
  readonly #box: Pick<Toolbox, 'namespaced' | 'custom'>
  #open: OpenItem | null = null
  /** Of tokens whose text is still held back. */
  #heldLogprobs: TokenLogprob[] = []

  constructor(box: Pick<Toolbox, 'namespaced' | 'custom'>) {
    this.#box = box
  }

  /** The reply so far, as later turns of the conversation see it. */
  get message(): Message {
    return {
      role: 'assistant',
      content: this.#content,
      ...(this.#thinking !== '' && { thinking: this.#thinking }),
      ...(this.#calls.length > 0 && { toolCalls: this.#calls }),
    }
  }

  /** A call that the reply's end cut off, as the model wrote it; no item, as its arguments are none yet. */
  get brokenCall(): string {
    return this.#brokenCall
  }

  take(event: GenerationEvent): StreamEvent[] {
    switch (event.type) {
      case 'text':
        return this.#write(event.text, event.logprobs ?? [])
      case 'thinking':
        return this.#think(event.text)
      case 'tool-call':
        return [...this.#close('completed'), ...this.#call(event.call)]
      case 'broken-call':
        this.#brokenCall = event.text
        return []
      case 'done': {
        const silent = this.#open?.kind !== 'message' && this.items.every(({ type }) => type === 'reasoning')
        const said = silent ? this.#turnTo('message') : []
        return [...said, ...this.#close(event.reason === 'length' ? 'incomplete' : 'completed')]
      }
      case 'load':
      case 'prompt':
      case 'rendered':
        return []
      default:
        return event satisfies never
    }
  }

  #write(text: string, logprobs: TokenLogprob[]): StreamEvent[] {
    this.#heldLogprobs.push(...logprobs)
    if (text === '') return []
    const opening = this.#turnTo('message')
    const open = this.#open!
    const own = this.#heldLogprobs
    this.#heldLogprobs = []
    open.text += text
    open.logprobs.push(...own)
    this.#content += text
    return [...opening, this.#event('response.output_text.delta', { item_id: open.id, content_index: 0, delta: text, logprobs: own.map(entry) })]
  }

  #think(text: string): StreamEvent[] {
    this.#heldLogprobs = []
    if (text === '') return []
    const opening = this.#turnTo('reasoning')
    const open = this.#open!
    open.text += text
    this.#thinking += text
    return [...opening, this.#event('response.reasoning_summary_text.delta', { item_id: open.id, summary_index: 0, delta: text })]
  }

  /** Calls come whole. */
  #call(call: ToolCall): StreamEvent[] {
    this.#heldLogprobs = []
    this.#calls.push(call)
    if (this.#box.custom.has(call.name)) return this.#customCall(call)
    const id = newId('fc')
    const name = this.#box.namespaced.get(call.name) ?? { name: call.name }
    const item = { id, type: 'function_call', status: 'completed', call_id: call.id, ...name, arguments: JSON.stringify(call.arguments) } as const
    const events = [
      this.#event('response.output_item.added', { item: { ...item, status: 'in_progress', arguments: '' } }),
      this.#event('response.function_call_arguments.delta', { item_id: id, delta: item.arguments }),
      this.#event('response.function_call_arguments.done', { item_id: id, name: name.name, arguments: item.arguments }),
      this.#event('response.output_item.done', { item }),
    ]
    this.items.push(item)
    return events
  }

  /** A tool that takes one text. */
  #customCall(call: ToolCall): StreamEvent[] {
    const { input: given } = call.arguments
    const input = typeof given === 'string' ? given : JSON.stringify(call.arguments)
    const item = { id: newId('ctc'), type: 'custom_tool_call', status: 'completed', call_id: call.id, name: call.name, input } as const
    const events = [
      this.#event('response.output_item.added', { item: { ...item, status: 'in_progress', input: '' } }),
      this.#event('response.custom_tool_call_input.delta', { item_id: item.id, delta: input }),
      this.#event('response.custom_tool_call_input.done', { item_id: item.id, input }),
      this.#event('response.output_item.done', { item }),
    ]
    this.items.push(item)
    return events
  }

  /** Makes an item of this kind the open one. */
  #turnTo(kind: OpenItem['kind']): StreamEvent[] {
    if (this.#open?.kind === kind) return []
    const closing = this.#close('completed')
    const id = newId(kind === 'message' ? 'msg' : 'rs')
    this.#open = { kind, id, text: '', logprobs: [] }
    if (kind === 'message') {
      return [
        ...closing,
        this.#event('response.output_item.added', { item: { id, type: 'message', status: 'in_progress', role: 'assistant', content: [] } }),
        this.#event('response.content_part.added', { item_id: id, content_index: 0, part: textPart('', []) }),
      ]
    }
    return [
      ...closing,
      this.#event('response.output_item.added', { item: { id, type: 'reasoning', summary: [] } }),
      // The peer leaves the part's events out, and OpenAI's own client then fails at the first delta.
      this.#event('response.reasoning_summary_part.added', { item_id: id, summary_index: 0, part: summaryPart('') }),
    ]
  }

  #close(status: ItemStatus): StreamEvent[] {
    if (this.#open === null) return []
    const { kind, id, text, logprobs } = this.#open
    this.#open = null
    const events: StreamEvent[] = []
    let item: OutputItem
    if (kind === 'message') {
      const part = textPart(text, logprobs)
      item = { id, type: 'message', status, role: 'assistant', content: [part] }
      events.push(
        this.#event('response.output_text.done', { item_id: id, content_index: 0, text, logprobs: part.logprobs }),
        this.#event('response.content_part.done', { item_id: id, content_index: 0, part }),
      )
    } else {
      const part = summaryPart(text)
      // Sent back with the next request, it is how a client that holds the conversation keeps the thinking.
      item = { id, type: 'reasoning', summary: [part], encrypted_content: text }
      events.push(
        this.#event('response.reasoning_summary_text.done', { item_id: id, summary_index: 0, text }),
        this.#event('response.reasoning_summary_part.done', { item_id: id, summary_index: 0, part }),
      )
    }
    events.push(this.#event('response.output_item.done', { item }))
    this.items.push(item)
    return events
  }

  /** An event of the item that comes after the finished ones. */
  #event(type: string, fields: object): StreamEvent {
    return { type, output_index: this.items.length, ...fields }
  }
}

function textPart(text: string, logprobs: TokenLogprob[]) {
  return { type: 'output_text', text, annotations: [], logprobs: logprobs.map(entry) }
}

function summaryPart(text: string) {
  return { type: 'summary_text', text }
}

function entry(logprob: TokenLogprob) {
  return { top_logprobs: [], bytes: [], ...logprobEntry(logprob) }
}
