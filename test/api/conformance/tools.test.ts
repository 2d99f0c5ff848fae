import { afterAll, beforeAll, expect, test } from 'vitest'
import { post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// A row of the checklist in the protocol's reference (ollama-api §15), quoted: the weather tool "works in all four APIs".

let server: TestServer
const name = 'get_weather'
const description = 'Get the weather of a city'
const parameters = { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } }
const city = { city: 'Paris' }
const asks = 'What is the weather in Paris?'
const found = '21 degrees and sunny'
const sentence = 'It is 21 degrees and sunny in Paris.'

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

interface Call {
  id: string
  name: string
  arguments: unknown
}

/** One turn of a conversation by the words of one API: what was called, and what was said. */
interface Dialect {
  /** @param calls what was called before, with as many results */
  ask(conversation: { before?: { role: string; content: string }[]; calls?: Call[]; asArray?: boolean }): Promise<{ calls: Call[]; said: string }>
}

const nested = { type: 'function', function: { name, description, parameters } }
const chat: Dialect['ask'] = async ({ before = [], calls = [] }) => {
  const turns =
    calls.length === 0
      ? []
      : [{ role: 'assistant', content: '', tool_calls: calls.map((call) => ({ id: call.id, function: { name: call.name, arguments: call.arguments } })) }]
  const results = calls.map((call) => ({ role: 'tool', content: found, tool_call_id: call.id, tool_name: call.name }))
  const { body } = await post(server.url, '/api/chat', {
    model: 'cria',
    stream: false,
    tools: [nested],
    options: { temperature: 0 },
    messages: [...before, { role: 'user', content: asks }, ...turns, ...results],
  })
  const message = body.message as { content: string; tool_calls?: { id: string; function: { name: string; arguments: unknown } }[] }
  return {
    said: message.content,
    calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name, arguments: call.function.arguments })),
  }
}

const openai: Dialect['ask'] = async ({ before = [], calls = [], asArray = false }) => {
  const turns =
    calls.length === 0
      ? []
      : [
          {
            role: 'assistant',
            content: null,
            tool_calls: calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: JSON.stringify(call.arguments) } })),
          },
        ]
  const results = calls.map((call) => ({ role: 'tool', content: asArray ? [{ type: 'text', text: found }] : found, tool_call_id: call.id }))
  const { body } = await post(server.url, '/v1/chat/completions', {
    model: 'cria',
    temperature: 0,
    tools: [nested],
    messages: [...before, { role: 'user', content: asks }, ...turns, ...results],
  })
  const [choice] = body.choices as { message: { content: string; tool_calls?: { id: string; function: { name: string; arguments: string } }[] } }[]
  const made = choice?.message.tool_calls ?? []
  return {
    said: choice?.message.content ?? '',
    calls: made.map((call) => ({ id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) })),
  }
}

const responses: Dialect['ask'] = async ({ before = [], calls = [], asArray = false }) => {
  const turns = calls.map((call) => ({ type: 'function_call', call_id: call.id, name: call.name, arguments: JSON.stringify(call.arguments) }))
  const results = calls.map((call) => ({ type: 'function_call_output', call_id: call.id, output: asArray ? [{ type: 'input_text', text: found }] : found }))
  const { body } = await post(server.url, '/v1/responses', {
    model: 'cria',
    temperature: 0,
    tools: [{ type: 'function', name, description, parameters }],
    input: [...before, { role: 'user', content: asks }, ...turns, ...results],
  })
  const output = body.output as { type: string; call_id: string; name: string; arguments: string; content?: { text: string }[] }[]
  const made = output.filter(({ type }) => type === 'function_call')
  return {
    said: output.flatMap((item) => (item.type === 'message' ? (item.content ?? []) : [])).reduce((all, { text }) => all + text, ''),
    calls: made.map((call) => ({ id: call.call_id, name: call.name, arguments: JSON.parse(call.arguments) })),
  }
}

const anthropic: Dialect['ask'] = async ({ before = [], calls = [], asArray = false }) => {
  const turns =
    calls.length === 0 ? [] : [{ role: 'assistant', content: calls.map((call) => ({ type: 'tool_use', id: call.id, name: call.name, input: call.arguments })) }]
  const content = asArray ? [{ type: 'text', text: found }] : found
  const results = calls.length === 0 ? [] : [{ role: 'user', content: calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content })) }]
  const { body } = await post(server.url, '/v1/messages', {
    model: 'cria',
    max_tokens: 100,
    temperature: 0,
    tools: [{ name, description, input_schema: parameters }],
    messages: [...before, { role: 'user', content: asks }, ...turns, ...results],
  })
  const blocks = body.content as { type: string; text?: string; id: string; name: string; input: unknown }[]
  const made = blocks.filter(({ type }) => type === 'tool_use')
  return { said: blocks.map(({ text = '' }) => text).join(''), calls: made.map((call) => ({ id: call.id, name: call.name, arguments: call.input })) }
}

const dialects: [string, Dialect['ask']][] = [
  ['/api/chat', chat],
  ['/v1/chat/completions', openai],
  ['/v1/responses', responses],
  ['/v1/messages', anthropic],
]

test.each(dialects)('%s: weather tool: right function, arguments contain the city; tool result turn yields prose, by the id of the call', async (_, ask) => {
  const { calls, said } = await ask({})
  expect([calls, said.trim()]).toEqual([[{ id: expect.stringMatching(/\S/), name, arguments: city }], ''])
  expect(await ask({ calls })).toEqual({ calls: [], said: expect.stringContaining(sentence) })
})

test.each(dialects.slice(1))('%s: array tool results', async (_, ask) => {
  expect((await ask({ calls: [{ id: 'call_1', name, arguments: city }], asArray: true })).said.trim()).toBe(sentence)
})

test.each(dialects)('%s: parallel calls and their results by ids', async (_, ask) => {
  const calls = ['call_1', 'call_2'].map((id) => ({ id, name, arguments: city }))
  const { said } = await ask({ calls })
  expect(said).not.toMatch(/tool_call|tool_response|<\|/)
  expect(said.trim()).not.toBe('')
})

test.each(dialects)('%s: developer role and a system message mid-conversation', async (_, ask) => {
  const before = [
    { role: 'developer', content: 'Be brief.' },
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content: 'Hello!' },
    { role: 'system', content: 'Use the tools.' },
  ]
  const { calls, said } = await ask({ before, calls: [{ id: 'call_1', name, arguments: city }] })
  expect([calls.length, said.trim() === '', /<\|/.test(said)]).toEqual([0, false, false])
})
