import { afterAll, describe, expect, test } from 'vitest'
import type { Message } from '../../../../main/prompt/messages.ts'
import { families } from '../../../../main/prompt/parsers/families.ts'
import { type PromptTemplate, promptTemplate } from '../../../../main/prompt/template.ts'
import { accepts } from '../../../helpers/grammar-engine.ts'
import { GrammarSampler } from '../../../helpers/grammar-sampler.ts'
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

/** Such a template, once it has rendered a prompt. */
async function used(jinja: string): Promise<{ used: PromptTemplate; prompt: string }> {
  const used = promptTemplate({ go: null, jinja, render: renderer.render, specials: { bosText: '', eosText: '' } })
  return { used, prompt: await used.render({ messages, tools: fixtureTools, think: null }, never) }
}

/** What its grammar of calls says of replies. */
async function judged(jinja: string, parallel: boolean, ...replies: string[]): Promise<boolean[]> {
  const { gbnf } = (await used(jinja)).used.holdCalls?.(fixtureTools, { parallel }) ?? { gbnf: '' }
  return accepts(gbnf, ...replies)
}

async function expectEvents(jinja: string, reply: string, events: unknown[]) {
  const { used: template, prompt } = await used(jinja)
  const parse = (pieces: string | string[]) => eventsOf(template.parser({ tools: fixtureTools, think: null, prompt, messages }), pieces)
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

/** Arguments inside a text are no grammar's to hold. */
const holdable = forms.filter(([form]) => form !== 'arguments as a text')

describe('calls in a form that only the template shows are held:', () => {
  test.each(holdable)('%s', async (_, calls, reply) => {
    const jinja = template(calls)
    const wrong = [reply.replaceAll('add', 'sub'), reply.replace('"a": 1', '"a": "x"'), reply.replace('"city"', '"town"'), `Well. ${reply}`]
    expect(await judged(jinja, true, reply, ...wrong)).toEqual([true, false, false, false, false])
    expect(await judged(jinja, false, reply)).toEqual([false])
  })

  test.each(holdable)('%s: texts of the grammar are calls', async (_, calls) => {
    const { used: shown, prompt } = await used(template(calls))
    const sampler = new GrammarSampler(shown.holdCalls?.(fixtureTools, { parallel: true }).gbnf ?? '')
    for (let seed = 0; seed < 60; seed++) {
      const reply = sampler.draw(seed)
      const events = eventsOf(shown.parser({ tools: fixtureTools, think: null, prompt, messages }), reply)
      expect(
        events.map(({ type }) => type),
        reply,
      ).toEqual(events.map(() => 'tool-call'))
      expect(events, reply).not.toEqual([])
    }
  })

  test('bare objects, and what begins otherwise is free', async () => {
    const jinja = template(each(`{{ {'tool': f.name, 'with': f.arguments} | tojson }}`))
    expect(await judged(jinja, false, '{"tool": "add", "with": {"a": 1, "b": 2}}', '{"answer": 42}')).toEqual([true, false])
    const { trigger } = (await used(jinja)).used.holdCalls?.(fixtureTools, { parallel: true }) ?? { trigger: '' }
    expect(['{"tool":', '{"answer": 1', 'Well, {"tool":'].map((text) => new RegExp(trigger).test(text))).toEqual([true, false, false])
  })

  test('ids and other keys stand as the template writes them', async () => {
    const jinja = template(each(`{{ '<do>' ~ {'id': c.id, 'kind': 'call', 'name': f.name, 'args': f.arguments} | tojson ~ '</do>' }}`))
    const reply = '<do>{"id": "a1b2c3d4e", "kind": "call", "name": "add", "args": {"a": 1, "b": 2}}</do>'
    expect(await judged(jinja, true, reply, reply.replace('"call"', '"talk"'), reply.replace('a1b2', '"'))).toEqual([true, false, false])
  })

  test('a template that shows no form by Hermes’', async () => {
    expect(await judged(template(''), true, '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>', '{}')).toEqual([true, false])
  })

  test('arguments inside a text are refused', async () => {
    const { used: shown } = await used(template(forms.find(([form]) => form === 'arguments as a text')?.[1] ?? ''))
    expect(() => shown.holdCalls?.(fixtureTools, { parallel: true })).toThrow('writes the arguments of calls as a text inside of JSON')
  })
})
