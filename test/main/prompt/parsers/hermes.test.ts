import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ReplyEvent, Tool } from '../../../../main/prompt/messages.ts'
import { promptTemplate } from '../../../../main/prompt/template.ts'
import { eventsOf, randomCuts } from '../../../helpers/replies.ts'

const jinja = readFileSync(path.resolve(import.meta.dirname, '../../../fixtures/cria/template.jinja'), 'utf8')
const template = promptTemplate({
  go: null,
  jinja,
  render: () => Promise.reject(new Error('nothing is rendered here')),
  specials: { bosText: '', eosText: '' },
})
const tools = ['get_weather', 'add'].map((name): Tool => ({ type: 'function', function: { name } }))
const parse = (pieces: string | string[], prompt = '<|im_start|>assistant\n') => eventsOf(template.parser({ tools, think: true, prompt }), pieces)

const text = (value: string): ReplyEvent => ({ type: 'text', text: value })
const thinking = (value: string): ReplyEvent => ({ type: 'thinking', text: value })
const call = (name: string, args: Record<string, unknown>, index = 0) => ({
  type: 'tool-call',
  call: { id: expect.stringMatching(/^\S+$/), index, name, arguments: args },
})

/** What Qwen's models write, and what a client should see of it. */
const replies: [claim: string, reply: string, events: unknown[]][] = [
  ['prose alone', 'The capital of France is Paris.', [text('The capital of France is Paris.')]],
  ['thinking, then prose', '<think>\nI know.\n</think>\n\nParis.', [thinking('\nI know.\n'), text('\n\nParis.')]],
  ['one call', '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>', [call('get_weather', { city: 'Paris' })]],
  [
    'thinking, then two calls',
    '<think>hm</think><tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>\n<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>',
    [thinking('hm'), call('add', { a: 1, b: 2 }), call('get_weather', {}, 1)],
  ],
  [
    'prose before a call, without the white space between them',
    'Let me look. <tool_call>{"name": "add", "arguments": {}}</tool_call>',
    [text('Let me look.'), call('add', {})],
  ],
  [
    'braces and markers inside a string',
    '<tool_call>{"name": "add", "arguments": {"a": "} </tool_call> {\\""}}</tool_call>',
    [call('add', { a: '} </tool_call> {"' })],
  ],
  ['a lone angle bracket is prose', 'a < b and <tool', [text('a < b and <tool')]],
  ['characters beyond the first plane', 'Grüße 你好 🦙!', [text('Grüße 你好 🦙!')]],
]

describe('a reply in Qwen’s markers', () => {
  test.each(replies)('%s', (_, reply, events) => {
    expect(parse(reply)).toEqual(events)
  })

  test.each(replies)('%s: the same in any cutting', (_, reply, events) => {
    for (let seed = 0; seed < 200; seed++) expect(parse(randomCuts(reply, seed)), `seed ${seed}`).toEqual(events)
  })

  test('a call that is cut off is told apart, not lost', () => {
    const cut = '<tool_call>{"name": "add", "arguments": {"a": 1'
    for (let seed = 0; seed < 50; seed++) {
      const events = parse(randomCuts(cut, seed))
      expect(events).toEqual([{ type: 'broken-call', text: cut }])
    }
  })

  test('a prompt that has opened the thinking makes the reply begin inside it', () => {
    expect(parse('I know.</think>Paris.', '<|im_start|>assistant\n<think>\n')).toEqual([thinking('I know.'), text('Paris.')])
  })

  test('keys of arguments keep their order', () => {
    const [event] = parse('<tool_call>{"name": "add", "arguments": {"z": 1, "a": 2, "m": 3}}</tool_call>')
    expect(event?.type === 'tool-call' && Object.keys(event.call.arguments)).toEqual(['z', 'a', 'm'])
  })
})
