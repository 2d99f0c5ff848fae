import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../main/lib/json.ts'
import type { Tool } from '../../../../main/prompt/messages.ts'
import { HarmonyParser } from '../../../../main/prompt/parsers/harmony.ts'
import { brokenCall, eventsOf, randomCuts } from '../../../helpers/replies.ts'

const tools = ['get_weather', 'look-up'].map((name): Tool => ({ type: 'function', function: { name } }))
const text = (value: string) => ({ type: 'text', text: value })
const thinking = (value: string) => ({ type: 'thinking', text: value })
const call = (name: string, args: JsonObject, index = 0) => ({ type: 'tool-call', call: { id: expect.any(String), index, name, arguments: args } })

/** What gpt-oss writes behind `<|start|>assistant`. */
const replies: [claim: string, reply: string, events: unknown[]][] = [
  [
    'analysis and final',
    '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello <b>',
    [thinking('Hm.'), text('Hello <b>')],
  ],
  ['final alone', '<|channel|>final<|message|>Hello<|return|>', [text('Hello')]],
  [
    'a call with its recipient in the channel',
    '<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Rome"}<|call|>',
    [thinking('Look.'), call('get_weather', { city: 'Rome' })],
  ],
  [
    'a call with its recipient in the role',
    ' to=functions.get_weather<|channel|>commentary<|message|>{"city": "Rome"}',
    [call('get_weather', { city: 'Rome' })],
  ],
  ['a name of odd letters', '<|channel|>commentary to=functions.look_up<|message|>{}', [call('look-up', {})]],
  ['a preamble', '<|channel|>commentary<|message|>I shall look.', [text('I shall look.')]],
  [
    'a call that is cut off',
    '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Ro',
    [brokenCall('<|channel|>commentary to=functions.get_weather<|message|>{"city": "Ro')],
  ],
  ['nothing of a header that is cut off', '<|channel|>analysis<|mess', []],
]

describe('HarmonyParser reads', () => {
  test.each(replies)('%s', (_, reply, events) => {
    expect(eventsOf(new HarmonyParser(tools), reply)).toEqual(events)
  })

  test.each(replies)('%s: the same in any cutting', (_, reply, events) => {
    for (let seed = 0; seed < 100; seed++) expect(eventsOf(new HarmonyParser(tools), randomCuts(reply, seed)), `seed ${seed}`).toEqual(events)
  })

  test('a channel that the prompt has opened', () => {
    expect([eventsOf(new HarmonyParser([], 'final'), 'go on'), eventsOf(new HarmonyParser([], 'analysis'), 'go on<|end|>')]).toEqual([
      [text('go on')],
      [thinking('go on')],
    ])
  })
})
