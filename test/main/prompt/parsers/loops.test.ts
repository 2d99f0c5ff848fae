import { expect, test } from 'vitest'
import { CallParser } from '../../../../main/prompt/parsers/calls.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { holdHarmonyCalls } from '../../../../main/prompt/parsers/harmony-calls.ts'
import { eventsOf, fixtureTools } from '../../../helpers/replies.ts'

/** What a model may say again and again once it has begun a call, and how the call ends. */
const loops: [family: string, begin: string, unit: string, end: string][] = [
  ['mistral', '', '[TOOL_CALLS]add[ARGS]', ''],
  ['mistral', '[TOOL_CALLS]add[ARGS]', '{"a":', ''],
  ['deepseek-r1', '', '<｜tool▁call▁begin｜>function<｜tool▁sep｜>', ''],
  ['deepseek-v4', '<｜DSML｜invoke name="add">', '<｜DSML｜parameter name="a" string="true">', '</｜DSML｜invoke>'],
  ['deepseek-v4', '<｜DSML｜invoke name="add">', '<｜DSML｜parameter name="a" string="true">x</｜DSML｜parameter>y', '</｜DSML｜invoke>'],
  ['qwen-xml', '<tool_call><function=add>', '<parameter=a>\n', '</function></tool_call>'],
  ['qwen-xml', '<tool_call><function=add>', '<parameter=', '</function></tool_call>'],
  ['qwen-xml', '<tool_call>', '<function=add><parameter=a></parameter>x', '</function></tool_call>'],
  ['seed', '<seed:tool_call><function=add>', '<parameter=a></parameter>x', '</function></seed:tool_call>'],
  ['glm', '<tool_call>add', '<arg_key>a</arg_key><arg_value>', '</tool_call>'],
  ['glm', '<tool_call>add', '<arg_key>', '</tool_call>'],
  ['kimi', '', '<|tool_call_begin|>functions.add:0', ''],
  ['kimi-k3', '<|open|>call tool="add" index="1"<|sep|>', '<|open|>argument key="a"<|sep|>', '<|close|>call<|sep|>'],
  ['kimi-k3', '<|open|>call tool="add" index="1"<|sep|>', '<|open|>json type="object"<|sep|>', '<|close|>call<|sep|>'],
  ['minimax-m2', '<invoke name="add">', '<parameter name="a">x</parameter>y', '</invoke>'],
  ['minimax-m3', ']<]minimax[>[<invoke name="add">', ']<]minimax[>[<a>', ']<]minimax[>[</invoke>'],
  ['hunyuan', '<tool_call:opensource>add<tool_sep:opensource>', '<arg_key:opensource>a</arg_key:opensource><arg_value:opensource>', '</tool_call:opensource>'],
  ['minicpm', '<function name="add">', '<param name="a"><![CDATA[</param>', '</function>'],
  ['muse', '<atem:invoke name="add">', '<atem:parameter name="', '</atem:invoke>'],
]

// A reader that looks for the end anew at every beginning would take minutes.
test.each(loops)('%s, a model that goes on and on: %s%s', { timeout: 60_000 }, (name, begin, unit, end) => {
  const family = families.find((candidate) => candidate.name === name)
  if (family === undefined) throw new Error(`no family ${name}`)
  const reply = begin + unit.repeat(Math.ceil(200_000 / unit.length)) + end
  expect(eventsOf(new CallParser(family.format, fixtureTools), reply.match(/[\s\S]{1,5}/g) ?? [])).not.toEqual([])
})

// The runner looks for the beginning of a call at every new token; an expression that tries each letter anew would take minutes here.
test.each([...families, { name: 'gpt-oss', holdCalls: holdHarmonyCalls }])('$name, a long reply without a call', { timeout: 10_000 }, ({ holdCalls }) => {
  const begins = new RegExp(holdCalls(fixtureTools, { parallel: true }).trigger, 'd')
  expect(begins.test('Words about <b>tools</b>, [lists] and {things}.\n'.repeat(5_000))).toBe(false)
})
