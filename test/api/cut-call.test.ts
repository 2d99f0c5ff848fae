import { afterAll, beforeAll, expect, test } from 'vitest'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

const parameters = { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } }
const weather = { name: 'get_weather', description: 'Get the weather of a city' }
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }]
/** Enough for the beginning of the call that cria makes, not for its end. */
const room = 12
const cutCall = expect.stringMatching(/^<tool_call>\s*\{"name": "get_weather"/)
const tools = [{ type: 'function', function: { ...weather, parameters } }]

/** A stream as it came. */
async function streamed(path: string, body: object): Promise<string> {
  const response = await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  return response.text()
}

test('native: the final object tells the call that was cut off, and no markup is content', async () => {
  const request = { model: 'cria', messages, tools, options: { temperature: 0, num_predict: room } }
  const { body } = await post(server.url, '/api/chat', { ...request, stream: false })
  expect(body).toMatchObject({ message: { content: '' }, done_reason: 'length', incomplete_tool_call: cutCall })
  const lines = (await streamed('/api/chat', request))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.at(-1)).toMatchObject({ done: true, incomplete_tool_call: cutCall })
})

test('OpenAI: the choice tells it beside `length`', async () => {
  const request = { model: 'cria', messages, tools, temperature: 0, max_tokens: room }
  const { body } = await post(server.url, '/v1/chat/completions', request)
  expect(body.choices).toMatchObject([{ message: { content: '' }, finish_reason: 'length', incomplete_tool_call: cutCall }])
  const stream = await streamed('/v1/chat/completions', { ...request, stream: true })
  const chunks = stream.split('\n\n').flatMap((frame) => (frame.startsWith('data: {') ? [JSON.parse(frame.slice(6))] : []))
  expect(chunks.at(-1).choices).toMatchObject([{ finish_reason: 'length', incomplete_tool_call: cutCall }])
})

test('Anthropic: the turn ends for want of room', async () => {
  const request = { model: 'cria', messages, temperature: 0, max_tokens: room, tools: [{ ...weather, input_schema: parameters }] }
  const { body } = await post(server.url, '/v1/messages', request)
  expect(body).toMatchObject({ content: [], stop_reason: 'max_tokens', incomplete_tool_call: cutCall })
  expect(await streamed('/v1/messages', { ...request, stream: true })).toMatch(/"stop_reason":"max_tokens".*"incomplete_tool_call":"<tool_call>/)
})

test('Responses: the response is incomplete', async () => {
  const request = { model: 'cria', input: messages, temperature: 0, max_output_tokens: room, tools: [{ type: 'function', ...weather, parameters }] }
  const { body } = await post(server.url, '/v1/responses', request)
  expect(body).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, incomplete_tool_call: cutCall })
})

test('wherever the call is cut off, no part of it is content', async () => {
  for (let length = 1; length <= room; length++) {
    const { body } = await post(server.url, '/api/chat', { model: 'cria', messages, tools, stream: false, options: { temperature: 0, num_predict: length } })
    const told = String(body.incomplete_tool_call ?? '')
    expect([length, body.done_reason, (body.message as { content: string }).content]).toEqual([length, 'length', ''])
    expect('<tool_call>'.startsWith(told) || told.startsWith('<tool_call>'), told).toBe(true)
  }
})
