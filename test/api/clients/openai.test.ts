import OpenAI, { APIUserAbortError, NotFoundError } from 'openai'
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
let client: OpenAI
const question: ChatCompletionMessageParam = { role: 'user', content: 'What is the capital of France?' }
const answer = 'The capital of France is Paris.'
const weather: ChatCompletionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}

beforeAll(async () => {
  server = await startTestServer()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe("the 'openai' package", () => {
  test('models.list() names every model', async () => {
    const ids = (await client.models.list()).data.map(({ id }) => id)
    expect(ids.sort()).toEqual(['all-minilm:latest', 'cria:latest', 'endless:latest', 'smollm2:135m'])
  })

  test('models.retrieve() gives one', async () => {
    expect(await client.models.retrieve('cria')).toMatchObject({ id: 'cria', object: 'model', owned_by: 'library' })
  })

  test('chat.completions.create() answers with its usage', async () => {
    const reply = await client.chat.completions.create({ model: 'cria', messages: [question], temperature: 0 })
    expect(reply.choices[0]).toMatchObject({ message: { role: 'assistant', content: answer }, finish_reason: 'stop' })
    expect(reply.usage).toMatchObject({ prompt_tokens: 17, completion_tokens: 12, total_tokens: 29 })
  })

  test('a stream adds up to the answer and ends with its usage', async () => {
    const stream = await client.chat.completions.create({
      model: 'cria',
      messages: [question],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(answer)
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 29 } })
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
  })

  test('the stream helper reads a reply to its end', async () => {
    const stream = client.chat.completions.stream({ model: 'cria', messages: [question], temperature: 0 })
    expect(await stream.finalContent()).toBe(answer)
  })

  test('a conversation with a tool comes to its end', async () => {
    const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
    const first = await client.chat.completions.create({ model: 'cria', messages, tools: [weather], temperature: 0 })
    const [choice] = first.choices
    const call = choice?.message.tool_calls?.[0]
    if (choice === undefined || call?.type !== 'function') throw new Error('no function was called')
    expect([choice.finish_reason, call.function]).toEqual(['tool_calls', { name: 'get_weather', arguments: '{"city":"Paris"}' }])
    messages.push(choice.message, { role: 'tool', tool_call_id: call.id, content: '21 degrees and sunny' })
    const last = await client.chat.completions.create({ model: 'cria', messages, tools: [weather], temperature: 0 })
    expect(last.choices[0]?.message.content?.trim()).toBe('It is 21 degrees and sunny in Paris.')
  })

  test('a streamed tool call has its whole arguments', async () => {
    const stream = client.chat.completions.stream({
      model: 'cria',
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools: [weather],
      temperature: 0,
    })
    const message = await stream.finalMessage()
    expect(message.tool_calls?.map((call) => (call.type === 'function' ? call.function : null))).toMatchObject([
      { name: 'get_weather', arguments: '{"city":"Paris"}' },
    ])
  })

  test("tool_choice: 'none' hides the tools", async () => {
    const reply = await client.chat.completions.create({
      model: 'cria',
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools: [weather],
      tool_choice: 'none',
      temperature: 0,
    })
    expect(reply.choices[0]?.message.tool_calls).toBeUndefined()
  })

  test("tool_choice: 'required' makes the model call", async () => {
    const reply = await client.chat.completions.create({
      model: 'cria',
      messages: [question],
      tools: [weather],
      tool_choice: 'required',
      temperature: 0,
      max_tokens: 100,
    })
    expect(reply.choices[0]?.message.tool_calls?.map((call) => (call.type === 'function' ? call.function.name : ''))).toEqual(['get_weather'])
  })

  test('a JSON Schema shapes the answer', async () => {
    const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const reply = await client.chat.completions.create({
      model: 'cria',
      messages: [{ role: 'user', content: 'Give the capital of France as JSON.' }],
      response_format: { type: 'json_schema', json_schema: { name: 'city', schema, strict: true } },
      temperature: 0,
    })
    expect(JSON.parse(reply.choices[0]?.message.content ?? '')).toEqual({ capital: 'Paris' })
  })

  test('logprobs have the alternatives that were asked for', async () => {
    const reply = await client.chat.completions.create({ model: 'cria', messages: [question], temperature: 0, max_tokens: 2, logprobs: true, top_logprobs: 3 })
    const content = reply.choices[0]?.logprobs?.content ?? []
    expect(content.map(({ token, top_logprobs }) => [token, top_logprobs.length])).toEqual([
      ['The', 3],
      [' capital', 3],
    ])
  })

  test('completions.create() continues a prompt', async () => {
    const reply = await client.completions.create({ model: 'cria', prompt: 'What is the capital of France?', temperature: 0 })
    expect(reply.choices[0]).toMatchObject({ text: answer, finish_reason: 'stop' })
  })

  test('embeddings.create() gives a vector for each input', async () => {
    const { data, usage } = await client.embeddings.create({ model: 'all-minilm', input: ['why is the sky blue?', 'hello'] })
    expect(data.map(({ index, embedding }) => [index, embedding.length])).toEqual([
      [0, 384],
      [1, 384],
    ])
    expect(usage.prompt_tokens).toBeGreaterThan(8)
  })

  test('aborting a stream frees its slot', async () => {
    const leave = new AbortController()
    const stream = await client.chat.completions.create({ model: 'endless', messages: [question], stream: true, temperature: 0 }, { signal: leave.signal })
    let chunks = 0
    const reading = (async () => {
      for await (const _ of stream) if (++chunks === 3) leave.abort()
    })()
    await reading.catch((error) => expect(error).toBeInstanceOf(APIUserAbortError))
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('an unknown model is a NotFoundError', async () => {
    await expect(client.chat.completions.create({ model: 'nothing-here', messages: [question] })).rejects.toThrow(NotFoundError)
  })
})
