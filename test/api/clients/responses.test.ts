import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import type { FunctionTool, ResponseInput, ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
let client: OpenAI
const question = 'What is the capital of France?'
const answer = 'The capital of France is Paris.'
const aboutWeather = 'What is the weather in Paris?'
const greedy = { model: 'cria', temperature: 0 }
const weather: FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the weather of a city',
  strict: false,
  parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
}
/** It makes cria think. */
const thoughtful = { ...greedy, instructions: 'You are a pirate.', input: 'Who are you?' }
const thought = 'I know the answer to this. I keep it short.'

beforeAll(async () => {
  server = await startTestServer()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe("responses of the 'openai' package", () => {
  test('create() answers with its usage', async () => {
    const reply = await client.responses.create({ ...greedy, input: question })
    expect(reply).toMatchObject({ status: 'completed', output_text: answer, usage: { input_tokens: 17, output_tokens: 12, total_tokens: 29 } })
  })

  test('the tokens of a prompt that was read before are cached', async () => {
    await client.responses.create({ ...greedy, input: question })
    const again = await client.responses.create({ ...greedy, input: question })
    expect(again.usage?.input_tokens_details.cached_tokens).toBe(16)
  })

  test('a stream adds up to the answer, its events numbered and ended', async () => {
    const events: ResponseStreamEvent[] = await Array.fromAsync(await client.responses.create({ ...greedy, input: question, stream: true }))
    expect(events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('')).toBe(answer)
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, at) => at))
    expect(events.at(-1)).toMatchObject({ type: 'response.completed', response: { status: 'completed', usage: { total_tokens: 29 } } })
  })

  test('the stream helper reads a reply to its end', async () => {
    const reply = await client.responses.stream({ ...greedy, input: question }).finalResponse()
    expect(reply.output_text).toBe(answer)
  })

  test('a conversation with a function comes to its end', async () => {
    const input: ResponseInput = [{ role: 'user', content: aboutWeather }]
    const first = await client.responses.create({ ...greedy, input, tools: [weather] })
    const call = first.output.find((item) => item.type === 'function_call')
    if (call === undefined) throw new Error('no function was called')
    expect([call.status, call.name, call.arguments]).toEqual(['completed', 'get_weather', '{"city":"Paris"}'])
    input.push(...(first.output as ResponseInput), { type: 'function_call_output', call_id: call.call_id, output: '21 degrees and sunny' })
    const last = await client.responses.create({ ...greedy, input, tools: [weather] })
    expect(last.output_text.trim()).toBe('It is 21 degrees and sunny in Paris.')
  })

  test('the stream helper builds a function call from its events', async () => {
    const reply = await client.responses.stream({ ...greedy, input: aboutWeather, tools: [weather] }).finalResponse()
    expect(reply.output).toMatchObject([{ type: 'function_call', name: 'get_weather', arguments: '{"city":"Paris"}' }])
  })

  test("tool_choice: 'none' hides the functions, 'required' makes the model call one", async () => {
    const kinds = async (tool_choice: 'none' | 'required', input: string) =>
      (await client.responses.create({ ...greedy, input, tools: [weather], tool_choice, max_output_tokens: 100 })).output.map(({ type }) => type)
    expect(await kinds('none', aboutWeather)).not.toContain('function_call')
    expect(await kinds('required', question)).toContain('function_call')
  })

  test('a function of a namespace is called by its own name', async () => {
    const tools = [{ type: 'namespace' as const, name: 'home', description: 'At home', tools: [weather] }]
    const reply = await client.responses.create({ ...greedy, input: question, tools, tool_choice: 'required', max_output_tokens: 100 })
    expect(reply.output.filter(({ type }) => type === 'function_call')).toMatchObject([{ name: 'get_weather', namespace: 'home' }])
  })

  test('reasoning is an item before the message, and counted', async () => {
    const reply = await client.responses.create(thoughtful)
    expect(reply.output.map(({ type }) => type)).toEqual(['reasoning', 'message'])
    expect(reply.output[0]).toMatchObject({ summary: [{ type: 'summary_text', text: `\n${thought}\n` }] })
    expect(reply.usage?.output_tokens_details.reasoning_tokens).toBe(14)
  })

  test('the stream helper builds reasoning from its events', async () => {
    const stream = client.responses.stream(thoughtful)
    let heard = ''
    stream.on('response.reasoning_summary_text.delta', ({ delta }) => {
      heard += delta
    })
    const reply = await stream.finalResponse()
    expect(heard.trim()).toBe(thought)
    expect(reply.output[0]).toMatchObject({ type: 'reasoning', summary: [{ text: heard }], encrypted_content: heard })
  })

  test('effort none answers without reasoning', async () => {
    const reply = await client.responses.create({ ...thoughtful, reasoning: { effort: 'none' }, max_output_tokens: 100 })
    expect(reply.output.map(({ type }) => type)).toEqual(['message'])
  })

  test('a JSON Schema shapes the answer, streamed too', async () => {
    const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const asked = {
      ...greedy,
      input: 'Give the capital of France as JSON.',
      text: { format: { type: 'json_schema' as const, name: 'city', schema, strict: true } },
    }
    const whole = await client.responses.parse<typeof asked, { capital: string }>(asked)
    const streamed = await client.responses.stream(asked).finalResponse()
    expect([whole.output_parsed, JSON.parse(streamed.output_text)]).toEqual([{ capital: 'Paris' }, { capital: 'Paris' }])
  })

  test('json_object makes the answer an object', async () => {
    const asked = { ...greedy, input: 'Give the capital of France as JSON.', text: { format: { type: 'json_object' as const } }, max_output_tokens: 200 }
    const reply = await client.responses.create(asked)
    expect(reply.output_text.trim()).toMatch(/^\{/)
  })

  test('max_output_tokens ends a reply early, which says so', async () => {
    const events = await Array.fromAsync(await client.responses.create({ ...greedy, input: question, max_output_tokens: 3, stream: true }))
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage: { output_tokens: 3 } },
    })
  })

  test('log-probabilities come where they are included', async () => {
    const reply = await client.responses.create({
      ...greedy,
      input: question,
      include: ['message.output_text.logprobs'],
      top_logprobs: 2,
      max_output_tokens: 2,
    })
    const [item] = reply.output
    const [part] = item?.type === 'message' ? item.content : []
    expect(part?.type === 'output_text' && part.logprobs?.map(({ token, top_logprobs }) => [token, top_logprobs.length])).toEqual([
      ['The', 2],
      [' capital', 2],
    ])
  })

  test('previous_response_id goes on from a conversation that the server kept', async () => {
    const first = await client.responses.create({ ...greedy, input: aboutWeather, tools: [weather] })
    const call = first.output.find((item) => item.type === 'function_call')
    const last = await client.responses.create({
      ...greedy,
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: call?.call_id ?? '', output: '21 degrees and sunny' }],
      tools: [weather],
    })
    expect([last.previous_response_id, last.output_text.trim()]).toEqual([first.id, 'It is 21 degrees and sunny in Paris.'])
  })

  test('an unknown model is a NotFoundError, streamed or not', async () => {
    await expect(client.responses.create({ model: 'nothing-here', input: question })).rejects.toThrow(NotFoundError)
    await expect(client.responses.create({ model: 'nothing-here', input: question, stream: true })).rejects.toThrow(NotFoundError)
  })

  test('an item that is not known is a BadRequestError that names it', async () => {
    const input = [{ type: 'banana' }] as unknown as ResponseInput
    const refusal = await client.responses.create({ ...greedy, input }).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(BadRequestError)
    expect((refusal as BadRequestError).error).toMatchObject({ message: 'input[0]: unknown input item type: "banana"' })
  })

  test('a conversation that does not fit is refused where truncation is disabled', async () => {
    const asked = { ...greedy, input: `${question} `.repeat(100), num_ctx: 64, max_output_tokens: 4 }
    await expect(client.responses.create({ ...asked, truncation: 'disabled' })).rejects.toThrow(BadRequestError)
    expect((await client.responses.create({ ...asked, truncation: 'auto' })).usage?.input_tokens).toBeLessThan(64)
  })

  test('aborting a stream frees its slot', async () => {
    const leave = new AbortController()
    const stream = await client.responses.create({ model: 'endless', input: question, stream: true, temperature: 0 }, { signal: leave.signal })
    let events = 0
    const reading = (async () => {
      for await (const _ of stream) if (++events === 8) leave.abort()
    })()
    await reading.catch((error) => expect(error).toBeInstanceOf(APIUserAbortError))
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('aborting an answer that is not streamed frees its slot', async () => {
    const leave = new AbortController()
    const reply = client.responses.create({ model: 'endless', input: question, temperature: 0 }, { signal: leave.signal })
    await expect.poll(() => server.slotsInUse()).toBe(1)
    leave.abort()
    await expect(reply).rejects.toThrow(APIUserAbortError)
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })
})
