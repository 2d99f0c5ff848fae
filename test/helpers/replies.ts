import { expect } from 'vitest'
import type { JsonObject } from '../../main/lib/json.ts'
import type { ReplyEvent, ReplyParser, Tool } from '../../main/prompt/messages.ts'

/** What the models of one family write, and what a client should see of it. */
export interface FamilyReplies {
  /** As `Family.name` has it. */
  family: string
  /** Whose models write so: a file among the real templates, or a template's own text. */
  template: string | { text: string }
  replies: Reply[]
}

export interface Reply {
  claim: string
  /** From behind the prompt to the end-of-turn token, without it. */
  reply: string
  events: unknown[]
  /** `true` unless said. */
  think?: boolean
  /** `fixtureTools` unless said. */
  tools?: Tool[]
}

/** Tools that the replies call: an argument of every type. */
export const fixtureTools: Tool[] = [
  tool('get_weather', { city: { type: 'string' }, days: { type: 'integer' } }, ['city']),
  tool('add', { a: { type: 'number' }, b: { type: 'number' } }, ['a', 'b']),
  tool(
    'save_note',
    {
      text: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      meta: { type: 'object', properties: { pinned: { type: 'boolean' }, by: { type: ['string', 'null'] } } },
      urgent: { type: 'boolean' },
    },
    ['text'],
  ),
]

function tool(name: string, properties: JsonObject, required: string[]): Tool {
  return { type: 'function', function: { name, description: `Calls ${name}`, parameters: { type: 'object', properties, required } } }
}

export function text(value: string): ReplyEvent {
  return { type: 'text', text: value }
}

export function thinking(value: string): ReplyEvent {
  return { type: 'thinking', text: value }
}

/** @param id what the model wrote, or any */
export function call(name: string, args: JsonObject, index = 0, id: unknown = expect.stringMatching(/^\S+$/)) {
  return { type: 'tool-call', call: { id, index, name, arguments: args } }
}

/** A call that the reply's end has cut off, as the model wrote it. */
export function brokenCall(value: string) {
  return { type: 'broken-call', text: value }
}

/** What a parser says of a reply, neighbours of one kind joined: what a client sees, however the text was cut. @param isCut it was broken off by its limit of tokens */
export function eventsOf(parser: ReplyParser, pieces: string | string[], isCut = false): ReplyEvent[] {
  const events = [...(typeof pieces === 'string' ? [pieces] : pieces).flatMap((piece) => parser.push(piece)), ...parser.end(isCut)]
  const joined: ReplyEvent[] = []
  for (const event of events) {
    const last = joined.at(-1)
    if (event.type !== 'tool-call' && last?.type === event.type) joined[joined.length - 1] = { type: event.type, text: last.text + event.text }
    else joined.push(event)
  }
  return joined
}

/** A text cut at random places, the same for the same seed; some pieces are single UTF-16 units. */
export function randomCuts(text: string, seed: number): string[] {
  let state = seed * 2654435761 + 1
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const length = 1 + ((state >>> 16) % (seed % 2 === 0 ? 3 : 11))
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}

/**
 * What is wrong with what a client sees of a reply that is broken off anywhere, as [where, what]; nothing should be.
 *
 * Words and thinking only grow, so that no part of a mark is among them; a call whose mark (one of `marks`) was written is told as broken until it is
 * whole, or has turned out to be words. Of a mark that begins with a word (`Action:`) that word may be seen.
 */
export function cutFaults(read: (text: string) => ReplyEvent[], reply: string, marks: readonly string[]): [where: string, what: string][] {
  const seen = (events: ReplyEvent[], type: 'text' | 'thinking') => events.map((event) => (event.type === type ? event.text : '')).join('')
  const whole = read(reply)
  const faults: [string, string][] = []
  let begun = 0
  let last = ''
  for (let length = 1; length < reply.length; length++) {
    const events = read(reply.slice(0, length))
    for (const type of ['text', 'thinking'] as const) {
      const text = seen(events, type).trimEnd()
      if (!seen(whole, type).startsWith(text.replace(/[\p{L}\s]+$/u, '')) || (!seen(whole, type).startsWith(text) && !/[\p{L}\s]$/u.test(text)))
        faults.push([reply.slice(Math.max(0, length - 40), length), `${type} ends with ${JSON.stringify(text.slice(-20))}`])
    }
    const broken = events.find(({ type }) => type === 'broken-call')
    const isBegun = broken?.type === 'broken-call' && marks.some((mark) => broken.text.includes(mark))
    const calls = events.filter(({ type }) => type === 'tool-call').length + (isBegun ? 1 : 0)
    if (calls < begun && !seen(events, 'text').includes(last)) faults.push([reply.slice(Math.max(0, length - 40), length), 'a call is lost'])
    begun = calls
    if (isBegun) last = broken.text.trimEnd()
  }
  return faults
}
