import OpenAI, { BadRequestError, NotFoundError } from 'openai'
import type { CustomTool, FunctionTool, ResponseInput } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// What OpenAI's Responses have beyond one request.

let server: TestServer
let client: OpenAI
const question = 'What is the capital of France?'
const answer = 'The capital of France is Paris.'
const greedy = { model: 'cria', temperature: 0 }
const weather: FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the weather of a city',
  strict: false,
  parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } }, additionalProperties: false },
}
const note: CustomTool = { type: 'custom', name: 'note', description: 'Writes a note', format: { type: 'grammar', syntax: 'regex', definition: '[a-z]+' } }

beforeAll(async () => {
  server = await startTestServer()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('a response that was given', () => {
  test('is retrieved as it was answered, streamed or not', async () => {
    const { _request_id: _, ...whole } = await client.responses.create({ ...greedy, input: question })
    expect(await client.responses.retrieve(whole.id)).toMatchObject({ ...whole, output_text: answer })
    const streamed = await client.responses.stream({ ...greedy, input: question }).finalResponse()
    expect((await client.responses.retrieve(streamed.id)).output_text).toBe(answer)
  })

  test('is forgotten when it is deleted', async () => {
    const { id } = await client.responses.create({ ...greedy, input: question })
    await client.responses.delete(id)
    await expect(client.responses.retrieve(id)).rejects.toThrow(NotFoundError)
    await expect(client.responses.delete(id)).rejects.toThrow(`Response with id '${id}' not found.`)
    const after = await client.responses.create({ ...greedy, input: question, previous_response_id: id })
    expect(after.previous_response_id).toBeNull()
  })

  test('with store: false is not kept', async () => {
    const { id } = await client.responses.create({ ...greedy, input: question, store: false })
    await expect(client.responses.retrieve(id)).rejects.toThrow(NotFoundError)
  })

  test('lists what its request added, page by page', async () => {
    const input: ResponseInput = [
      { role: 'user', content: 'What is the capital of Italy?' },
      { role: 'assistant', content: 'The capital of Italy is Rome.' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: question }] },
    ]
    const { id } = await client.responses.create({ ...greedy, input })
    const items = await Array.fromAsync(client.responses.inputItems.list(id, { limit: 2, order: 'asc' }))
    expect(items).toMatchObject([
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'What is the capital of Italy?' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'The capital of Italy is Rome.' }] },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: question }] },
    ])
    expect(new Set(items.map((item) => item.id)).size).toBe(3)
    const latest = await client.responses.inputItems.list(id)
    expect(latest.data.map((item) => item.id)).toEqual(items.map((item) => item.id).reverse())
    await expect(client.responses.inputItems.list(id, { limit: 500 })).rejects.toThrow(BadRequestError)
    await expect(client.responses.inputItems.list('resp_none')).rejects.toThrow(NotFoundError)
  })

  test('is gone on from, from any point, again and again', async () => {
    const first = await client.responses.create({ ...greedy, input: 'What is the capital of Italy?' })
    const tokens = async (previous: string) =>
      (await client.responses.create({ ...greedy, previous_response_id: previous, input: question, store: true })).usage?.input_tokens ?? 0
    const second = await client.responses.create({ ...greedy, previous_response_id: first.id, input: question })
    expect(second.previous_response_id).toBe(first.id)
    const [fromFirst, fromSecond] = [await tokens(first.id), await tokens(second.id)]
    expect([fromFirst === second.usage?.input_tokens, fromSecond > fromFirst]).toEqual([true, true])
  })

  test('may be named by its items in place of them', async () => {
    const first = await client.responses.create({ ...greedy, input: 'What is the weather in Paris?', tools: [weather] })
    const call = first.output.find((item) => item.type === 'function_call')
    const input: ResponseInput = [
      { role: 'user', content: 'What is the weather in Paris?' },
      { type: 'item_reference', id: call?.id ?? '' },
      { type: 'function_call_output', call_id: call?.call_id ?? '', output: '21 degrees and sunny' },
    ]
    expect((await client.responses.create({ ...greedy, input, tools: [weather] })).output_text.trim()).toBe('It is 21 degrees and sunny in Paris.')
    const unknown = client.responses.create({ ...greedy, input: [{ type: 'item_reference', id: 'fc_none' }] })
    await expect(unknown).rejects.toThrow('no item with the id "fc_none" is kept here')
  })
})

describe('tools', () => {
  test('a custom tool is called with one text, streamed or not, and goes back as it came', async () => {
    const asked = { ...greedy, input: question, tools: [note], tool_choice: { type: 'custom' as const, name: 'note' }, max_output_tokens: 60 }
    const whole = await client.responses.create(asked)
    const call = whole.output.find((item) => item.type === 'custom_tool_call')
    expect(call).toMatchObject({ name: 'note', input: expect.any(String), call_id: expect.any(String) })
    const events = await Array.fromAsync(await client.responses.create({ ...asked, stream: true }))
    const kinds = events.map(({ type }) => type).filter((type) => type.includes('custom_tool_call') || type.startsWith('response.output_item'))
    expect(kinds.slice(-4)).toEqual([
      'response.output_item.added',
      'response.custom_tool_call_input.delta',
      'response.custom_tool_call_input.done',
      'response.output_item.done',
    ])
    const last = events.at(-1)
    expect(last?.type === 'response.completed' && last.response.output.at(-1)).toMatchObject({ type: 'custom_tool_call', input: call?.input })
    const input: ResponseInput = [{ role: 'user', content: question }, call!, { type: 'custom_tool_call_output', call_id: call!.call_id, output: 'noted' }]
    expect((await client.responses.create({ ...greedy, input, tools: [note], max_output_tokens: 40 })).status).toMatch(/completed|incomplete/)
  })

  test('parallel_tool_calls: false keeps to one call, and the response says so', async () => {
    const { body } = await post(server.url, '/api/tokenize', { model: 'cria', text: '<|im_end|>' })
    const [end] = body.tokens as number[]
    // A model that may not end its turn calls again and again.
    const asked = {
      ...greedy,
      input: 'What is the weather in Paris?',
      tools: [weather],
      max_output_tokens: 100,
      options: { logit_bias: { [String(end)]: -100 } },
    }
    const many = await client.responses.create(asked)
    const one = await client.responses.create({ ...asked, parallel_tool_calls: false })
    const calls = ({ output }: typeof one) => output.filter(({ type }) => type === 'function_call').length
    expect([calls(many) > 1, many.parallel_tool_calls, calls(one), one.parallel_tool_calls, one.status]).toEqual([true, true, 1, false, 'completed'])
  })

  test('tools that run on other servers are left out and told back', async () => {
    const hosted = [{ type: 'web_search' as const }, { type: 'code_interpreter' as const, container: { type: 'auto' as const } }]
    const asked = { ...greedy, input: question, tools: hosted, max_tool_calls: 3 }
    const reply = await client.responses.create(asked)
    expect([reply.output_text, reply.tools.map(({ type }) => type), (reply as { max_tool_calls?: number | null }).max_tool_calls]).toEqual([
      answer,
      ['web_search', 'code_interpreter'],
      3,
    ])
  })
})

test('inputTokens.count() says what the prompt of a request costs', async () => {
  const asked = { model: 'cria', input: question, instructions: 'You are a pirate.', tools: [weather] }
  const { input_tokens } = await client.responses.inputTokens.count(asked)
  const reply = await client.responses.create({ ...asked, max_output_tokens: 1 })
  expect(input_tokens).toBe(reply.usage?.input_tokens)
})

test('a thinking budget bounds the reasoning', async () => {
  const asked = { ...greedy, instructions: 'You are a pirate.', input: 'Who are you?', thinking_budget: 2 }
  const reply = await client.responses.create(asked)
  expect(reply.output.map(({ type }) => type)).toEqual(['reasoning', 'message'])
  expect(JSON.stringify(reply.output[0])).toContain('Considering the limited time')
})

test('what is not kept here is refused by name', async () => {
  const prompted = client.responses.create({ ...greedy, input: question, prompt: { id: 'pmpt_1' } })
  await expect(prompted).rejects.toThrow('prompt: no prompts are kept here')
})
