import { describe, expect, test } from 'vitest'
import { CallParser } from '../../../../main/prompt/parsers/calls.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import type { Family } from '../../../../main/prompt/parsers/family.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'
import { eventsOf, fixtureTools } from '../../../helpers/replies.ts'

/** Two calls as each family writes them, words and thinking left out. */
const written: Record<string, string> = {
  'functionary-3.1': '<function=get_weather>{"city": "Paris", "days": 3}</function><function=add>{"a": 1, "b": 2.5}</function>',
  'functionary-3.2': '>>>get_weather\n{"city": "Paris", "days": 3}>>>add\n{"a": 1, "b": 2.5}',
  firefunction: 'functools[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]',
  gemma4: '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>,days:3}<tool_call|><|tool_call>call:add{a:1,b:2.5}<tool_call|>',
  functiongemma:
    '<start_function_call>call:get_weather{city:<escape>Paris<escape>,days:3}<end_function_call><start_function_call>call:add{a:1,b:2.5}<end_function_call>',
  gemma: '```tool_code\nget_weather(city="Paris", days=3)\n```',
  'command-r7b':
    '<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris", "days": 3}},\n    {"tool_call_id": "1", "tool_name": "add", "parameters": {"a": 1, "b": 2.5}}\n]<|END_ACTION|>',
  'command-r':
    'Action:\n```json\n[\n    {\n        "tool_name": "get_weather",\n        "parameters": {\n            "city": "Paris",\n            "days": 3\n        }\n    },\n    {"tool_name": "add", "parameters": {"a": 1, "b": 2.5}}\n]```',
  granite: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]',
  phi: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]<|/tool_call|>',
  apertus: '<|tools_prefix|>[{"get_weather": {"city": "Paris", "days": 3}}, {"add": {"a": 1, "b": 2.5}}]<|tools_suffix|>',
  apriel: '<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]</tool_calls>',
  'nemotron-nano':
    '<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]</TOOLCALL>',
  'gigachat-3.1': '<|function_call|>{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}',
  solar:
    '<|tool_calls|><|tool_call:begin|>abc<|tool_call:name|>get_weather<|tool_call:args|>{"city": "Paris", "days": 3}<|tool_call:end|><|tool_call:begin|>def<|tool_call:name|>add<|tool_call:args|>{"a": 1, "b": 2.5}<|tool_call:end|>',
  minicpm:
    '<function name="get_weather"><param name="city">Paris</param><param name="days">3</param></function><function name="add"><param name="a">1</param><param name="b">2.5</param></function>',
  muse: '<atem:function_calls>\n<atem:invoke name="get_weather">\n<atem:parameter name="city">Paris</atem:parameter>\n<atem:parameter name="days">3</atem:parameter>\n</atem:invoke>\n<atem:invoke name="add">\n<atem:parameter name="a">1</atem:parameter>\n<atem:parameter name="b">2.5</atem:parameter>\n</atem:invoke>\n</atem:function_calls>',
  hunyuan:
    '<tool_calls:opensource>\n<tool_call:opensource>get_weather<tool_sep:opensource>\n<arg_key:opensource>city</arg_key:opensource>\n<arg_value:opensource>Paris</arg_value:opensource>\n<arg_key:opensource>days</arg_key:opensource>\n<arg_value:opensource>3</arg_value:opensource>\n</tool_call:opensource>\n<tool_call:opensource>add<tool_sep:opensource>\n<arg_key:opensource>a</arg_key:opensource>\n<arg_value:opensource>1</arg_value:opensource>\n<arg_key:opensource>b</arg_key:opensource>\n<arg_value:opensource>2.5</arg_value:opensource>\n</tool_call:opensource>\n</tool_calls:opensource>',
  mistral: '[TOOL_CALLS]get_weather[CALL_ID]Ab3dE6gH9[ARGS]{"city": "Paris", "days": 3}[TOOL_CALLS]add[ARGS]{"a": 1, "b": 2.5}',
  'mistral-list':
    '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}, "id": "AbcdEfgHi"}, {"name": "add", "arguments": {"a": 1, "b": 2.5}}]',
  'deepseek-r1':
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Paris", "days": 3}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{"a": 1, "b": 2.5}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  'deepseek-v3.1':
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris", "days": 3}<｜tool▁call▁end｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1, "b": 2.5}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  'deepseek-v3.2':
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="add">\n<｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter>\n<｜DSML｜parameter name="b" string="false">2.5</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>',
  'deepseek-v4':
    '<｜DSML｜tool_calls>\n<｜DSML｜invoke name="get_weather">\n<｜DSML｜parameter name="city" string="true">Paris</｜DSML｜parameter>\n<｜DSML｜parameter name="days" string="false">3</｜DSML｜parameter>\n</｜DSML｜invoke>\n<｜DSML｜invoke name="add">\n<｜DSML｜parameter name="a" string="false">1</｜DSML｜parameter>\n<｜DSML｜parameter name="b" string="false">2.5</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>',
  seed: '<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n<parameter=days>3</parameter>\n</function>\n</seed:tool_call>\n<seed:tool_call>\n<function=add>\n<parameter=a>1</parameter>\n<parameter=b>2.5</parameter>\n</function>\n</seed:tool_call>',
  'qwen-xml':
    '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n<parameter=b>\n2.5\n</parameter>\n</function>\n</tool_call>',
  glm: '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n<arg_key>b</arg_key>\n<arg_value>2.5</arg_value>\n</tool_call>',
  kimi: '<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris", "days": 3}<|tool_call_end|><|tool_call_begin|>functions.add:1<|tool_call_argument_begin|>{"a": 1, "b": 2.5}<|tool_call_end|><|tool_calls_section_end|>',
  'kimi-k3':
    '<|open|>tools<|sep|><|open|>call tool="get_weather" index="1"<|sep|><|open|>argument key="city" type="string"<|sep|>Paris<|close|>argument<|sep|><|open|>argument key="days" type="number"<|sep|>3<|close|>argument<|sep|><|close|>call<|sep|><|open|>call tool="add" index="2"<|sep|><|open|>argument key="a" type="number"<|sep|>1<|close|>argument<|sep|><|open|>argument key="b" type="number"<|sep|>2.5<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|>',
  'minimax-m1':
    '<tool_calls>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n{"name": "add", "arguments": {"a": 1, "b": 2.5}}\n</tool_calls>',
  'minimax-m2':
    '<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n<invoke name="add">\n<parameter name="a">1</parameter>\n<parameter name="b">2.5</parameter>\n</invoke>\n</minimax:tool_call>',
  'minimax-m3':
    ']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="get_weather">]<]minimax[>[<city>Paris]<]minimax[>[</city>]<]minimax[>[<days>3]<]minimax[>[</days>]<]minimax[>[</invoke>\n]<]minimax[>[<invoke name="add">]<]minimax[>[<a>1]<]minimax[>[</a>]<]minimax[>[<b>2.5]<]minimax[>[</b>]<]minimax[>[</invoke>\n]<]minimax[>[</tool_call>',
  lfm2: '<|tool_call_start|>[get_weather(city="Paris", days=3), add(a=1, b=2.5)]<|tool_call_end|>',
  smollm3:
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2.5}}\n</tool_call>',
  hermes:
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2.5}}\n</tool_call>',
  llama3: '{"name": "get_weather", "parameters": {"city": "Paris", "days": 3}}\n{"type": "function", "name": "add", "parameters": {"a": 1, "b": 2.5}}',
}

const wanted = [
  { name: 'get_weather', arguments: { city: 'Paris', days: 3 } },
  { name: 'add', arguments: { a: 1, b: 2.5 } },
]

describe.each(Object.entries(written))('the grammar of %s', (name, text) => {
  const family = families.find((candidate) => candidate.name === name)
  const { gbnf, trigger } = family?.holdCalls?.(fixtureTools, { parallel: true }) ?? { gbnf: '', trigger: '' }
  const parallel = text.includes('2.5')

  test('takes what the parser reads', () => {
    expect(accepts(gbnf, text)).toEqual([true])
    const events = family === undefined ? [] : eventsOf(new CallParser(family.format, fixtureTools), text)
    const calls = events.map((event) => (event.type === 'tool-call' ? { name: event.call.name, arguments: event.call.arguments } : event))
    expect(calls).toEqual(parallel ? wanted : wanted.slice(0, 1))
  })

  test('takes no other name and no other type', () => {
    const [, begins] = new RegExp(trigger).exec(`Well. ${text}`) ?? []
    expect(name === 'llama3' || text.startsWith(begins ?? '?')).toBe(true)
    expect(accepts(gbnf, text.replaceAll('get_weather', 'get_whether'), text.replaceAll('3', '"3"'))).toEqual([false, false])
  })

  if (!parallel) return
  test('takes one call only where one is allowed', () => {
    const single = family?.holdCalls?.(fixtureTools, { parallel: false }).gbnf ?? ''
    expect(accepts(single, text)).toEqual([false])
  })
})

describe.each([
  ['qwen-xml', '<tool_call>\n', '</tool_call>'],
  ['seed', '<seed:tool_call>\n', '</seed:tool_call>'],
])('the grammar of %s', (name, open, close) => {
  const family = families.find((candidate) => candidate.name === name) as Family
  const { gbnf, trigger } = family.holdCalls(fixtureTools, { parallel: true })

  test('holds a call whose outer mark the model has forgotten', () => {
    const text = (written[name] ?? '').replace(open, '')
    expect(new RegExp(trigger).exec(`Well. ${text}`)?.[1]).toBe('<function=')
    expect(accepts(gbnf, text, text.replace('get_weather', 'get_whether'), text.replace('3', '"3"'))).toEqual([true, false, false])
    const calls = eventsOf(new CallParser(family.format, fixtureTools), text).map((event) => event.type)
    expect(calls).toEqual(['tool-call', 'tool-call'])
  })

  test('holds no call in another form behind the mark', () => {
    expect(accepts(gbnf, `${open}{"name": "add", "arguments": {"a": 1, "b": 2}}\n${close}`)).toEqual([false])
  })
})
