import { afterAll, beforeAll, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { exchange, post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (openai-anthropic-api §15b), quoted, that take a real model; those of translation are in test/main/api/anthropic/.

let server: TestServer
interface Answer {
  content: { type: string; text?: string; thinking?: string; id?: string; name?: string; input?: unknown }[]
  stop_reason: string
  usage: Record<string, number>
}
const user = (content: unknown) => ({ role: 'user', content })
const question = user('What is the capital of France?')
const weather = {
  name: 'get_weather',
  description: 'Get the weather of a city',
  input_schema: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
}
const send = (body: Record<string, unknown>, path = '/v1/messages') => post(server.url, path, { model: 'cria', max_tokens: 100, temperature: 0, ...body })
async function answer(body: Record<string, unknown>): Promise<Answer> {
  const { status, body: reply } = await send(body)
  expect(status, JSON.stringify(reply)).toBe(200)
  return reply as unknown as Answer
}
const textOf = ({ content }: Answer) => content.map(({ text = '' }) => text).join('')

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'pirate', criaFile, { system: 'You are a pirate.' })
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('thinking flag relaxed for non-thinking models', async () => {
  const body = { model: 'smollm2:135m', max_tokens: 3, messages: [question], thinking: { type: 'enabled', budget_tokens: 1024 } }
  const { status } = await send(body)
  const native = await post(server.url, '/api/chat', { model: 'smollm2:135m', messages: [question], think: true, stream: false })
  expect([status, native.status]).toEqual([200, 400])
})

test('thinking that is disabled closes the block before the reply', async () => {
  const about = async (type: string) =>
    (await answer({ system: 'You are a pirate.', messages: [user('Who are you?')], thinking: { type } })).content.map((block) => block.type)
  expect([await about('adaptive'), await about('disabled')]).toEqual([['thinking', 'text'], ['text']])
})

test('tool flows work with `developer`/system roles in the middle, tool results as arrays', async () => {
  const flow = async (role: string) =>
    textOf(
      await answer({
        tools: [weather],
        messages: [
          user('What is the weather in Paris?'),
          { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris' } }] },
          user([{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: '21 degrees and sunny' }] }]),
          { role: 'assistant', content: [{ type: 'text', text: 'It is 21 degrees and sunny in Paris.' }] },
          { role, content: [{ type: 'text', text: 'Answer in one sentence.' }] },
          question,
        ],
      }),
    ).trim()
  expect([await flow('developer'), await flow('system')]).toEqual(['The capital of France is Paris.', 'The capital of France is Paris.'])
})

test('tool_choice none hides the tools, any and tool make the model call', async () => {
  const calls = async (tool_choice: unknown, turn: unknown = question) =>
    (await answer({ tools: [weather], tool_choice, messages: [turn] })).content.map((block) => block.name ?? block.type).filter((kind) => kind !== 'thinking')
  const asks = user('What is the weather in Paris?')
  expect([await calls({ type: 'auto' }, asks), await calls({ type: 'any' }), await calls({ type: 'tool', name: 'get_weather' })]).toEqual([
    ['get_weather'],
    ['get_weather'],
    ['get_weather'],
  ])
  expect(await calls({ type: 'none' }, asks)).not.toContain('get_weather')
})

test('token estimate for system, tools, thinking; ≥1: ours is no estimate, it is what the prompt costs', async () => {
  const turns = [
    { messages: [question] },
    { system: 'You are a pirate.', messages: [question] },
    { tools: [weather], messages: [question] },
    { tools: [weather], tool_choice: { type: 'none' }, messages: [question] },
    { thinking: { type: 'disabled' }, messages: [question] },
    {
      messages: [
        question,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm' },
            { type: 'text', text: 'Paris.' },
          ],
        },
        user('Sure?'),
      ],
    },
    { model: 'pirate', messages: [question] },
    { model: 'smollm2:135m', messages: [question] },
  ]
  for (const turn of turns) {
    const counted = await send({ ...turn, max_tokens: undefined }, '/v1/messages/count_tokens')
    expect(counted.status, JSON.stringify(counted.body)).toBe(200)
    expect([turn, counted.body]).toEqual([turn, { input_tokens: (await answer({ ...turn, max_tokens: 1 })).usage.input_tokens }])
  }
  expect((await send({ messages: [question] }, '/v1/messages/count_tokens')).body).toEqual({ input_tokens: 17 })
})

test('a conversation that is too long is counted whole', async () => {
  const messages = Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? question : { role: 'assistant', content: 'The capital of France is Paris.' }))
  const { body } = await send({ messages: [...messages, question] }, '/v1/messages/count_tokens')
  expect(body.input_tokens).toBeGreaterThan(2048)
})

test('counting is over when it is over: no slot stays taken', async () => {
  await send({ messages: [question] }, '/v1/messages/count_tokens')
  expect(server.slotsInUse()).toBe(0)
})

test('error type per status, for native {"error"} and structured errors', async () => {
  const failed = async (body: Record<string, unknown>, path?: string) => {
    const { status, body: reply } = await send({ messages: [question], ...body }, path)
    expect(reply).toMatchObject({ type: 'error', request_id: expect.stringMatching(/^req_[0-9a-f]{24}$/) })
    return [status, (reply.error as { type: string }).type, (reply.error as { message: string }).message]
  }
  const unknown = [404, 'not_found_error', "model 'nothing-here' not found"]
  expect(await failed({ model: 'nothing-here' })).toEqual(unknown)
  expect(await failed({ model: 'nothing-here', stream: true })).toEqual(unknown)
  expect(await failed({ model: 'nothing-here' }, '/v1/messages/count_tokens')).toEqual(unknown)
  expect(await failed({ model: 'all-minilm' })).toEqual([400, 'invalid_request_error', '"all-minilm" does not support chat'])
  expect(await failed({ options: { min_p: 'low' } })).toEqual([400, 'invalid_request_error', 'option "min_p" must be of type float32'])
  const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'aGk=' } }
  expect(await failed({ messages: [user([picture])] })).toEqual([400, 'invalid_request_error', expect.stringContaining('does not support images')])
})

test('documents of words are read, others are refused by their kind; in the results of tools too', async () => {
  const document = (source: object) => ({ type: 'document', title: 'Notes', source })
  const words = document({ type: 'text', media_type: 'text/plain', data: 'The sky is blue.' })
  const count = async (content: unknown) => (await send({ messages: [user(content)] }, '/v1/messages/count_tokens')).body.input_tokens as number
  const asks = { type: 'text', text: 'Why?' }
  expect(await count([words, asks])).toBeGreaterThan((await count([asks])) + 4)
  expect(await count([document({ type: 'content', content: [{ type: 'text', text: 'The sky is blue.' }] }), asks])).toBe(await count([words, asks]))
  const refusals = [
    document({ type: 'base64', media_type: 'application/pdf', data: 'aGk=' }),
    document({ type: 'url', url: 'http://example.com/a.pdf' }),
    document({ type: 'file', file_id: 'file_1' }),
  ].flatMap((block) => [[block, asks], [{ type: 'tool_result', tool_use_id: 'a', content: [block] }]])
  const answers = await Promise.all(refusals.map(async (content) => (await send({ messages: [user(content)] })).body.error as { message: string }))
  expect(answers.map(({ message }) => message.replace(/\. Only documents of text are supported\.$/, ''))).toEqual(
    ['application/pdf', 'url', 'file'].flatMap((kind) => [`invalid document source type: ${kind}`, `invalid document source type: ${kind}`]),
  )
})

test('disable_parallel_tool_use keeps to one call', async () => {
  const { body } = await post(server.url, '/api/tokenize', { model: 'cria', text: '<|im_end|>' })
  const [end] = body.tokens as number[]
  const tool = { ...weather, input_schema: { ...weather.input_schema, properties: { city: { enum: ['Paris', 'Rome'] } } } }
  const calls = async (disable_parallel_tool_use: boolean) => {
    // A model that may not end its turn calls again and again.
    const options = { logit_bias: { [String(end)]: -100 } }
    const reply = await answer({
      tools: [tool],
      tool_choice: { type: 'any', disable_parallel_tool_use },
      options,
      messages: [user('What is the weather in Paris?')],
    })
    return [reply.content.filter(({ type }) => type === 'tool_use').length, reply.stop_reason]
  }
  const [many] = await calls(false)
  expect(many).toBeGreaterThan(1)
  expect(await calls(true)).toEqual([1, 'tool_use'])
})

test('budget_tokens bounds the thinking, whatever its size; without it the model thinks as it likes', async () => {
  const think = async (thinking: object) => (await answer({ system: 'You are a pirate.', messages: [user('Who are you?')], thinking })).content
  const [free] = await think({ type: 'enabled' })
  expect((await think({ type: 'enabled', budget_tokens: 1024 }))[0]).toEqual(free)
  const [bounded, said] = await think({ type: 'enabled', budget_tokens: 3 })
  expect([bounded?.type, bounded?.thinking?.includes('Considering the limited time'), said?.type]).toEqual(['thinking', true, 'text'])
})

test("one id names a request in its headers and its errors: the caller's own where it sent one", async () => {
  const ask = async (headers: Record<string, string>, model: string) => {
    const response = await fetch(`${server.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify({ model, max_tokens: 1, messages: [question] }) })
    const { request_id } = (await response.json()) as { request_id?: string }
    return [response.headers.get('request-id'), response.headers.get('x-request-id'), request_id]
  }
  const [id, same, told] = await ask({}, 'nothing-here')
  expect([id, same, told]).toEqual([expect.stringMatching(/^req_[0-9a-f]{24}$/), id, id])
  expect(await ask({ 'x-request-id': 'order-7' }, 'nothing-here')).toEqual(['order-7', 'order-7', 'order-7'])
  expect(await ask({}, 'cria')).toEqual([expect.stringMatching(/^req_/), expect.stringMatching(/^req_/), undefined])
})

test('beta headers that nobody knows, and tools that Anthropic runs, are passed over', async () => {
  const body = {
    model: 'cria',
    max_tokens: 40,
    temperature: 0,
    messages: [question],
    tools: ['web_search_20260101', 'web_fetch_20250910', 'code_execution_20250825'].map((type) => ({ type, name: type })),
  }
  const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'wibble-2031-01-01,other' }
  const response = await fetch(`${server.url}/v1/messages`, { method: 'POST', headers, body: JSON.stringify(body) })
  expect([response.status, textOf((await response.json()) as Answer)]).toEqual([200, 'The capital of France is Paris.'])
})

test('error type per status: 401 where a key is asked for, 413 for a body that is too large', async () => {
  await using guarded = await startTestServer({ env: { PADDOCK_REQUIRE_KEY: '1' } })
  const refused = await post(guarded.url, '/v1/messages', { model: 'cria', max_tokens: 1, messages: [question] })
  expect([refused.status, refused.body]).toMatchObject([401, { type: 'error', error: { type: 'authentication_error' } }])
  const large = await fetch(`${server.url}/v1/messages`, { method: 'POST', body: Buffer.alloc(101 * 1024 * 1024, 32) })
  expect([large.status, await large.json()]).toMatchObject([413, { type: 'error', error: { type: 'request_too_large' } }])
})

test('a path below /v1/messages that is none stays a plain 404', async () => {
  const { status, text } = await exchange(server.url, { method: 'POST', path: '/v1/messages/batches', body: '{}' })
  expect([status, text]).toEqual([404, '404 page not found'])
})

test("a browser page may use Anthropic's client", async () => {
  const asked = ['anthropic-version', 'anthropic-beta', 'x-api-key', 'anthropic-dangerous-direct-browser-access', 'content-type']
  const { status, headers } = await exchange(server.url, {
    method: 'OPTIONS',
    path: '/v1/messages',
    headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'POST', 'access-control-request-headers': asked.join(',') },
  })
  expect(status).toBe(204)
  expect(headers['access-control-allow-headers']?.toLowerCase().split(',')).toEqual(expect.arrayContaining(asked))
})
