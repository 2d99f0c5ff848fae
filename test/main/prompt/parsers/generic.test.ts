import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../main/lib/json.ts'
import type { Tool } from '../../../../main/prompt/messages.ts'
import { GenericCallParser } from '../../../../main/prompt/parsers/generic.ts'
import { brokenCall, cutFaults, eventsOf, randomCuts } from '../../../helpers/replies.ts'

const tools = ['get', 'get_weather', 'add'].map((name): Tool => ({ type: 'function', function: { name } }))
const text = (value: string) => ({ type: 'text', text: value })
const call = (name: string, args: JsonObject, index = 0) => ({ type: 'tool-call', call: { id: expect.any(String), index, name, arguments: args } })

/** Rules of ollama-api §7.7. */
const replies: [claim: string, tag: string, reply: string, events: unknown[]][] = [
  ['a call behind its tag', '<tool_call>', '<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', [call('add', { a: 1 })]],
  ['prose before the tag', '[TOOL_CALLS]', 'Let me see.\n[TOOL_CALLS] [{"name": "add", "parameters": {"a": 1}}]', [text('Let me see.'), call('add', { a: 1 })]],
  ['the longest of names that begin alike', '{', '{"name": "get_weather", "arguments": {"city": "Rome"}}', [call('get_weather', { city: 'Rome' })]],
  ['a name that a longer one begins with', '{', '{"name": "get", "arguments": {}}', [call('get', {})]],
  ['arguments as a JSON text', '{', '{"name": "add", "arguments": "{\\"a\\": 1}"}', [call('add', { a: 1 })]],
  ['arguments under the name', '{', '{"add": {"a": 1}}', [call('add', { a: 1 })]],
  ['a name and arguments under keys of the template’s own', '<do>', '<do>{"tool": "add", "with": {"a": 1}}</do>', [call('add', { a: 1 })]],
  ['a call that is nested', '{', '{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}', [call('add', { a: 1 })]],
  ['a name in front of its arguments', '[TOOL_CALLS]', '[TOOL_CALLS]add{"a": 1}', [call('add', { a: 1 })]],
  [
    'two calls in a list, and words behind it',
    '[',
    '[{"name": "add", "arguments": {}}, {"name": "get", "arguments": {}}] Done.',
    [call('add', {}), call('get', {}, 1), text('Done.')],
  ],
  ['braces inside strings', '{', '{"name": "add", "arguments": {"a": "}{\\""}}', [call('add', { a: '}{"' })]],
  ['words before a bare bracket make all of it words', '{', 'Look: {"name": "add", "arguments": {}}', [text('Look: {"name": "add", "arguments": {}}')]],
  ['an undeclared name is no call', '{', '{"name": "other", "arguments": {}}', [text('{"name": "other", "arguments": {}}')]],
  ['a call without arguments is none', '{', '{"name": "add"}', [text('{"name": "add"}')]],
  ['a call that is cut off', '<tool_call>', 'So: <tool_call>{"name": "add", "argu', [text('So:'), brokenCall('<tool_call>{"name": "add", "argu')]],
  ['what begins with a mere bracket and is cut off is text', '{', '{"name": "add", "argu', [text('{"name": "add", "argu')]],
  ['a lone beginning of a tag is text', '<tool_call>', 'a <tool', [text('a <tool')]],
]

describe('GenericCallParser finds', () => {
  test.each(replies)('%s', (_, tag, reply, events) => {
    expect(eventsOf(new GenericCallParser(tag, tools), reply)).toEqual(events)
  })

  test.each(replies)('%s: the same in any cutting', (_, tag, reply, events) => {
    for (let seed = 0; seed < 100; seed++) expect(eventsOf(new GenericCallParser(tag, tools), randomCuts(reply, seed)), `seed ${seed}`).toEqual(events)
  })

  test.each(replies.filter(([, tag]) => tag !== '{' && tag !== '['))('%s: broken off anywhere, no mark is seen and no call is lost', (_, tag, reply) => {
    expect(cutFaults((text) => eventsOf(new GenericCallParser(tag, tools), text, true), reply, [tag])).toEqual([])
  })

  test('a bare call that is broken off, and no other object', () => {
    const read = (reply: string) => eventsOf(new GenericCallParser('{', tools), reply, true)
    expect([read('{"name": "add", "argu'), read('{"add": {"a"'), read('{"answer": 4')]).toEqual([
      [brokenCall('{"name": "add", "argu')],
      [brokenCall('{"add": {"a"')],
      [text('{"answer": 4')],
    ])
  })

  // Going over the text again at every token would take minutes.
  test('200 kB of arguments, a character at a time', { timeout: 60_000 }, () => {
    const args = { list: Array.from({ length: 10_000 }, (_, a) => ({ a, b: '}{' })) }
    const reply = `<tool_call>${JSON.stringify({ name: 'add', arguments: args })}`
    expect(eventsOf(new GenericCallParser('<tool_call>', tools), reply.split(''))).toEqual([call('add', args)])
  })
})
