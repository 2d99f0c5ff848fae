import Anthropic, { APIUserAbortError, BadRequestError, NotFoundError } from '@anthropic-ai/sdk'
import type { MessageParam, RawMessageStreamEvent, Tool } from '@anthropic-ai/sdk/resources/messages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
let client: Anthropic
const question: MessageParam = { role: 'user', content: 'What is the capital of France?' }
const answer = 'The capital of France is Paris.'
const asksForWeather: MessageParam = { role: 'user', content: 'What is the weather in Paris?' }
const weather: Tool = {
  name: 'get_weather',
  description: 'Get the weather of a city',
  input_schema: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
}
const cria = { model: 'cria', max_tokens: 100, temperature: 0 }
/** A question over which cria thinks. */
const thoughtful = { ...cria, system: 'You are a pirate.', messages: [{ role: 'user', content: 'Who are you?' }] satisfies MessageParam[] }
const thought = '\nI know the answer to this. I keep it short.\n'

beforeAll(async () => {
  server = await startTestServer()
  client = new Anthropic({ baseURL: server.url, apiKey: 'any', maxRetries: 0 })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** The names of the events, repeats collapsed; a delta by its own name. */
function outline(events: RawMessageStreamEvent[]): string[] {
  const names = events.map((event) =>
    event.type === 'content_block_start' ? `start ${event.content_block.type}` : event.type === 'content_block_delta' ? event.delta.type : event.type,
  )
  return names.filter((name, at) => name !== names[at - 1])
}

describe("the '@anthropic-ai/sdk' package", () => {
  test('messages.create() answers with its usage', async () => {
    const message = await client.messages.create({ ...cria, messages: [question] })
    expect(message).toMatchObject({ type: 'message', role: 'assistant', model: 'cria', content: [{ type: 'text', text: answer }], stop_reason: 'end_turn' })
    expect(message.usage).toMatchObject({ input_tokens: 17, output_tokens: 12, cache_read_input_tokens: 0 })
    expect(message._request_id).toMatch(/^req_/)
  })

  test('a stream has its events in order and the size of the prompt in the first', async () => {
    const events = await Array.fromAsync(await client.messages.create({ ...cria, messages: [question], stream: true }))
    expect(outline(events)).toEqual(['message_start', 'start text', 'text_delta', 'content_block_stop', 'message_delta', 'message_stop'])
    expect(events[0]).toMatchObject({ message: { content: [], usage: { input_tokens: 17, output_tokens: 0 } } })
    expect(events.at(-2)).toMatchObject({ delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { input_tokens: 17, output_tokens: 12 } })
  })

  test('the stream helper reads a reply to its end', async () => {
    const words: string[] = []
    const stream = client.messages.stream({ ...cria, messages: [question] }).on('text', (text) => words.push(text))
    expect(await stream.finalText()).toBe(answer)
    expect(words.join('')).toBe(answer)
  })

  test('thinking blocks are signed, whole and streamed alike', async () => {
    const whole = await client.messages.create(thoughtful)
    expect(whole.content).toMatchObject([{ type: 'thinking', thinking: thought }, { type: 'text' }])
    const stream = client.messages.stream({ ...thoughtful, thinking: { type: 'adaptive' } })
    const events = await Array.fromAsync(stream)
    expect(outline(events)).toEqual([
      'message_start',
      'start thinking',
      'thinking_delta',
      'signature_delta',
      'content_block_stop',
      'start text',
      'text_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect((await stream.finalMessage()).content).toEqual(whole.content)
    const [block] = whole.content
    expect(block?.type === 'thinking' ? block.signature.length : 0).toBeGreaterThan(20)
  })

  test('thinking blocks are taken back with the conversation', async () => {
    const { content } = await client.messages.create(thoughtful)
    const next = await client.messages.create({ ...cria, messages: [...thoughtful.messages, { role: 'assistant', content }, question] })
    expect(next.content.map((block) => (block.type === 'text' ? block.text.trim() : '')).join('')).toBe(answer)
  })

  test('a conversation with a tool comes to its end', async () => {
    const messages: MessageParam[] = [asksForWeather]
    const first = await client.messages.create({ ...cria, messages, tools: [weather] })
    const call = first.content.find((block) => block.type === 'tool_use')
    expect([first.stop_reason, call?.name, call?.input]).toEqual(['tool_use', 'get_weather', { city: 'Paris' }])
    messages.push(
      { role: 'assistant', content: first.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: call?.id ?? '', content: '21 degrees and sunny' }] },
    )
    const last = await client.messages.create({ ...cria, messages, tools: [weather] })
    expect(last.stop_reason).toBe('end_turn')
    expect(last.content.map((block) => (block.type === 'text' ? block.text.trim() : '')).join('')).toBe('It is 21 degrees and sunny in Paris.')
  })

  test("the package's own tool runner goes through the loop by itself", async () => {
    const cities: unknown[] = []
    const last = await client.beta.messages.toolRunner({
      ...cria,
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools: [
        {
          ...weather,
          type: 'custom',
          parse: (input) => input as { city: string },
          run: ({ city }) => {
            cities.push(city)
            return '21 degrees and sunny'
          },
        },
      ],
    })
    expect(cities).toEqual(['Paris'])
    expect(last.content.map((block) => (block.type === 'text' ? block.text.trim() : '')).join('')).toBe('It is 21 degrees and sunny in Paris.')
  })

  test('a streamed tool call has its whole input', async () => {
    const stream = client.messages.stream({ ...cria, messages: [asksForWeather], tools: [weather] })
    const pieces: string[] = []
    stream.on('inputJson', (piece) => pieces.push(piece))
    const { content, stop_reason } = await stream.finalMessage()
    expect([pieces.join(''), stop_reason]).toEqual(['{"city":"Paris"}', 'tool_use'])
    expect(content.filter(({ type }) => type === 'tool_use')).toMatchObject([{ name: 'get_weather', input: { city: 'Paris' } }])
  })

  test('a stop sequence that was met is told', async () => {
    const body = { ...cria, stop_sequences: ['zz', ' of'], messages: [question] }
    const whole = await client.messages.create(body)
    expect(whole).toMatchObject({ content: [{ text: 'The capital' }], stop_reason: 'stop_sequence', stop_sequence: ' of' })
    const streamed = await client.messages.stream(body).finalMessage()
    expect(streamed).toMatchObject({ content: [{ text: 'The capital' }], stop_reason: 'stop_sequence', stop_sequence: ' of' })
  })

  test('max_tokens ends a reply', async () => {
    expect(await client.messages.create({ ...cria, max_tokens: 2, messages: [question] })).toMatchObject({
      content: [{ text: 'The capital' }],
      stop_reason: 'max_tokens',
    })
  })

  test('a prompt that is cached is told to those who mark it', async () => {
    const marked: MessageParam = { role: 'user', content: [{ type: 'text', text: 'What is the capital of France?', cache_control: { type: 'ephemeral' } }] }
    await client.messages.create({ ...cria, messages: [marked] })
    const { usage } = await client.messages.create({ ...cria, messages: [marked] })
    expect(usage.cache_read_input_tokens).toBeGreaterThan(0)
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).toBe(17)
  })

  test('output_config shapes the answer by a JSON Schema', async () => {
    const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const message = await client.messages.create({
      ...cria,
      messages: [{ role: 'user', content: 'Give the capital of France as JSON.' }],
      output_config: { format: { type: 'json_schema', schema } },
    })
    expect(JSON.parse(message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''))).toEqual({ capital: 'Paris' })
  })

  test('messages.countTokens() counts what the prompt will cost', async () => {
    const body = { model: 'cria', system: 'You are a pirate.', messages: [question], tools: [weather] }
    const { input_tokens } = await client.messages.countTokens(body)
    expect(input_tokens).toBe((await client.messages.create({ ...body, max_tokens: 1 })).usage.input_tokens)
  })

  test('errors are those of the package', async () => {
    const unknown = client.messages.create({ ...cria, model: 'nothing-here', messages: [question] })
    await expect(unknown).rejects.toThrow(NotFoundError)
    await expect(unknown).rejects.toMatchObject({ type: 'not_found_error', requestID: expect.stringMatching(/^req_/) })
    await expect(client.messages.stream({ ...cria, model: 'nothing-here', messages: [question] }).finalMessage()).rejects.toThrow(NotFoundError)
    await expect(client.messages.create({ ...cria, messages: [] })).rejects.toThrow(BadRequestError)
  })

  test('aborting a stream frees its slot', async () => {
    const leave = new AbortController()
    const stream = await client.messages.create({ model: 'endless', max_tokens: 100_000, messages: [question], stream: true }, { signal: leave.signal })
    let events = 0
    const reading = (async () => {
      for await (const _ of stream) if (++events === 5) leave.abort()
    })()
    await reading.catch((error) => expect(error).toBeInstanceOf(APIUserAbortError))
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('aborting a reply that is not streamed frees its slot', async () => {
    const leave = new AbortController()
    const reply = client.messages.create({ model: 'endless', max_tokens: 8000, messages: [question] }, { signal: leave.signal })
    reply.catch(() => undefined)
    await expect.poll(() => server.slotsInUse()).toBe(1)
    leave.abort()
    await expect(reply).rejects.toThrow(APIUserAbortError)
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })
})
