import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../../main/lib/json.ts'
import type { Tool } from '../../../../main/prompt/messages.ts'
import { HarmonyParser } from '../../../../main/prompt/parsers/harmony.ts'
import { holdHarmonyCalls } from '../../../../main/prompt/parsers/harmony-calls.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'
import { GrammarSampler } from '../../../helpers/grammar-sampler.ts'
import { brokenCall, cutFaults, eventsOf, fixtureTools, randomCuts } from '../../../helpers/replies.ts'

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

  test.each(replies)('%s: broken off anywhere, no mark is seen and no call is lost', (_, reply) => {
    expect(cutFaults((text) => eventsOf(new HarmonyParser(tools), text, true), reply, ['to=functions.'])).toEqual([])
  })

  test('a channel that the prompt has opened', () => {
    expect([eventsOf(new HarmonyParser([], 'final'), 'go on'), eventsOf(new HarmonyParser([], 'analysis'), 'go on<|end|>')]).toEqual([
      [text('go on')],
      [thinking('go on')],
    ])
  })
})

const schemas: Tool[] = [
  ...fixtureTools,
  {
    type: 'function',
    function: { name: 'look up', parameters: { type: 'object', properties: { word: { type: 'string', maxLength: 5 } }, required: ['word'] } },
  },
]
const { gbnf, trigger } = holdHarmonyCalls(schemas, { parallel: true })

describe('the grammar of gpt-oss', () => {
  test.each([
    ['as the template writes it', ' to=functions.add<|channel|>commentary json<|message|>{"a": 1, "b": 2}<|call|>'],
    ['as the model writes it', '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1, "b": 2}'],
    ['on the other channel', '<|channel|>analysis to=functions.add<|message|>{"a": 1, "b": 2}'],
    ['behind another message', '<|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 1, "b": 2}'],
    ['under a name of odd letters', '<|channel|>commentary to=functions.look_up <|constrain|>json<|message|>{"word": "x"}'],
  ])('takes a call %s, and the parser reads it', (_, reply) => {
    const bad = [reply.replace(/functions\.\w+/, 'functions.mul'), reply.replace(/: ("x"|2)/, ': []'), `${reply}${reply}`, reply.replace(/\{.*\}/, '{}')]
    expect(accepts(gbnf, reply, ...bad)).toEqual([true, false, false, false, false])
    expect(eventsOf(new HarmonyParser(schemas), reply)).toEqual([expect.objectContaining({ type: 'tool-call' })])
  })

  test('takes no answer', () => {
    expect(accepts(gbnf, '<|channel|>final<|message|>Hello', '<|channel|>analysis<|message|>Hm', '{"a": 1, "b": 2}')).toEqual([false, false, false])
  })

  test('begins where a message is for a tool, and in no words about one', () => {
    const begins = (text: string) => new RegExp(trigger).exec(text)?.[1] ?? null
    const hm = '<|channel|>analysis<|message|>I shall write to=functions.add.'
    expect(begins(hm)).toBeNull()
    expect(begins(`${hm}<|end|><|start|>assistant to=functions.`)).toBe(' to=functions.')
    expect(begins(`${hm}<|end|><|start|>assistant<|channel|>commentary to=functions.`)).toBe('<|channel|>commentary to=functions.')
    expect(begins('<|channel|>commentary to=functions.')).toBe('<|channel|>commentary to=functions.')
  })

  test('texts of it are calls that the parser reads', () => {
    const sampler = new GrammarSampler(gbnf)
    for (let seed = 0; seed < 100; seed++) {
      const reply = sampler.draw(seed)
      expect(eventsOf(new HarmonyParser(schemas), reply), reply).toEqual([expect.objectContaining({ type: 'tool-call' })])
    }
  })
})
