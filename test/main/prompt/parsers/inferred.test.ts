import { afterAll, describe, expect, test } from 'vitest'
import type { Message } from '../../../../main/prompt/messages.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { promptTemplate } from '../../../../main/prompt/template.ts'
import { startRenderer } from '../../../helpers/real-templates.ts'
import { brokenCall, call, eventsOf, fixtureTools, randomCuts, text } from '../../../helpers/replies.ts'

const renderer = startRenderer()
const never = new AbortController().signal
const messages: Message[] = [{ role: 'user', content: 'Go on.' }]
afterAll(() => renderer[Symbol.asyncDispose]())

/** A template of no known family, whose assistant writes calls by this text. */
function template(calls: string): string {
  const turns = `{{ '<turn:' ~ message.role ~ '>' ~ (message.content or '') }}{% if message.tool_calls %}${calls}{% endif %}{{ '<done>' }}`
  return `{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% for message in messages %}${turns}{% endfor %}{% if add_generation_prompt %}{{ '<turn:assistant>' }}{% endif %}`
}

async function expectEvents(jinja: string, reply: string, events: unknown[]) {
  const used = promptTemplate({ go: null, jinja, render: renderer.render, specials: { bosText: '', eosText: '' } })
  const prompt = await used.render({ messages, tools: fixtureTools, think: null }, never)
  const parse = (pieces: string | string[]) => eventsOf(used.parser({ tools: fixtureTools, think: null, prompt, messages }), pieces)
  expect(parse(reply)).toEqual(events)
  for (let seed = 0; seed < 30; seed++) expect(parse(randomCuts(reply, seed)), `seed ${seed}`).toEqual(events)
}

const each = (body: string) => `{% for c in message.tool_calls %}{% set f = c.function %}${body}{% endfor %}`
const list = (body: string) => each(`${body}{{ ', ' if not loop.last }}`)

/** Forms of calls, and two calls as each writes them. */
const forms: [form: string, calls: string, reply: string][] = [
  [
    'a tag and an object',
    each(`{{ '\\n<do>' ~ {'tool': f.name, 'with': f.arguments} | tojson ~ '</do>' }}`),
    '<do>{"tool": "add", "with": {"a": 1, "b": 2}}</do>\n<do>{"tool": "get_weather", "with": {"city": "</do> \\"é\\""}}</do>',
  ],
  [
    'a tag and a list',
    `{{ '[CALLS] [' }}${list(`{{ {'name': f.name, 'args': f.arguments} | tojson }}`)}{{ ']' }}`,
    '[CALLS] [{"name": "add", "args": {"a": 1, "b": 2}}, {"name": "get_weather", "args": {"city": "</do> \\"é\\""}}]',
  ],
  [
    'arguments as a text',
    each(`{{ '<do>' ~ {'name': f.name, 'input': f.arguments | tojson} | tojson ~ '</do>' }}`),
    '<do>{"name": "add", "input": "{\\"a\\": 1, \\"b\\": 2}"}</do><do>{"name": "get_weather", "input": "{\\"city\\": \\"</do> \\\\\\"é\\\\\\"\\"}"}</do>',
  ],
  [
    'a call inside another object',
    each(`{{ '<do>' ~ {'kind': 'call', 'call': {'name': f.name, 'args': f.arguments}} | tojson ~ '</do>' }}`),
    '<do>{"kind": "call", "call": {"name": "add", "args": {"a": 1, "b": 2}}}</do><do>{"kind": "call", "call": {"name": "get_weather", "args": {"city": "</do> \\"é\\""}}}</do>',
  ],
  [
    'arguments under the name',
    `{{ '<acts>[' }}${list(`{{ '{"' ~ f.name ~ '": ' ~ f.arguments | tojson ~ '}' }}`)}{{ ']</acts>' }}`,
    '<acts>[{"add": {"a": 1, "b": 2}}, {"get_weather": {"city": "</do> \\"é\\""}}]</acts>',
  ],
  [
    'a name, a mark and arguments',
    each(`{{ '<|do|>' ~ f.name ~ '<|with|>' ~ f.arguments | tojson ~ '<|od|>' }}`),
    '<|do|>add<|with|>{"a": 1, "b": 2}<|od|><|do|>get_weather<|with|>{"city": "</do> \\"é\\""}<|od|>',
  ],
  [
    'a name in an attribute',
    each(`{{ '<do name="' ~ f.name ~ '">' ~ f.arguments | tojson ~ '</do>' }}`),
    '<do name="add">{"a": 1, "b": 2}</do><do name="get_weather">{"city": "</do> \\"é\\""}</do>',
  ],
  [
    'a name and arguments with nothing between',
    each(`{{ '<|do|>' ~ f.name ~ f.arguments | tojson }}`),
    '<|do|>add{"a": 1, "b": 2}<|do|>get_weather{"city": "</do> \\"é\\""}',
  ],
]

describe('calls in a form that only the template shows:', () => {
  test.each(forms)('%s', async (_, calls, reply) => {
    const jinja = template(calls)
    expect(families.filter(({ owns }) => owns(jinja))).toEqual([])
    await expectEvents(jinja, `Well.\n${reply}`, [text('Well.'), call('add', { a: 1, b: 2 }), call('get_weather', { city: '</do> "é"' }, 1)])
  })

  test('bare objects', async () => {
    const jinja = template(each(`{{ {'tool': f.name, 'with': f.arguments} | tojson }}`))
    await expectEvents(jinja, '{"tool": "add", "with": {"a": 1, "b": 2}}', [call('add', { a: 1, b: 2 })])
    await expectEvents(jinja, '{"answer": 42}', [text('{"answer": 42}')])
  })

  test('a call that is cut off', async () => {
    await expectEvents(template(forms[5]?.[1] ?? ''), 'Well. <|do|>add<|with|>{"a', [text('Well.'), brokenCall('<|do|>add<|with|>{"a')])
  })

  test('a template that shows no form is read by Hermes’', async () => {
    await expectEvents(template(''), '<tool_call>{"name": "add", "arguments": {}}</tool_call>', [call('add', {})])
  })
})
