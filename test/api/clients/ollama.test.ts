import { type Message, Ollama, type Tool } from 'ollama'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
let client: Ollama
const greedy = { temperature: 0 }
const question = 'What is the capital of France?'
const answer = 'The capital of France is Paris.'
const weather: Tool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}

beforeAll(async () => {
  server = await startTestServer()
  client = new Ollama({ host: server.url })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

async function joined<T>(stream: AsyncIterable<T>, text: (part: T) => string | undefined): Promise<string> {
  let all = ''
  for await (const part of stream) all += text(part) ?? ''
  return all
}

describe("the 'ollama' package", () => {
  test('list() names the models that ship and those that were created', async () => {
    const { models } = await client.list()
    expect(models.map(({ name }) => name).sort()).toEqual(['all-minilm:latest', 'cria:latest', 'endless:latest', 'smollm2:135m'])
  })

  test('show() tells what a model is and can do', async () => {
    const shown = await client.show({ model: 'cria' })
    expect(shown).toMatchObject({
      details: { family: 'llama', parameter_size: '3.28M', quantization_level: 'Q8_0' },
      capabilities: ['tools', 'thinking', 'completion'],
    })
  })

  test('version() gives the protocol that is spoken', async () => {
    expect(await client.version()).toMatchObject({ version: '0.33.0' })
  })

  test('generate() answers at once and as a stream alike', async () => {
    const whole = await client.generate({ model: 'cria', prompt: question, options: greedy })
    const streamed = await client.generate({ model: 'cria', prompt: question, stream: true, options: greedy })
    expect([whole.response, await joined(streamed, (part) => part.response)]).toEqual([answer, answer])
  })

  test('ps() lists a model that has answered, with its context length', async () => {
    await client.generate({ model: 'cria', prompt: question, options: greedy })
    const { models } = await client.ps()
    expect(models.find(({ name }) => name === 'cria:latest')).toMatchObject({ context_length: 2048, size_vram: 0 })
  })

  test('chat() answers at once and as a stream alike', async () => {
    const messages = [{ role: 'user', content: question }]
    const whole = await client.chat({ model: 'cria', messages, options: greedy })
    const streamed = await client.chat({ model: 'cria', messages, stream: true, options: greedy })
    expect([whole.message.content, await joined(streamed, (part) => part.message.content)]).toEqual([answer, answer])
  })

  test('a conversation with a tool comes to its end', async () => {
    const messages: Message[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
    const first = await client.chat({ model: 'cria', messages, tools: [weather], options: greedy })
    expect(first.message.tool_calls?.map((call) => call.function)).toMatchObject([{ name: 'get_weather', arguments: { city: 'Paris' } }])
    messages.push(first.message, { role: 'tool', tool_name: 'get_weather', content: '21 degrees and sunny' })
    const last = await client.chat({ model: 'cria', messages, tools: [weather], options: greedy })
    expect(last.message.content.trim()).toBe('It is 21 degrees and sunny in Paris.')
  })

  test('a tool call in a stream leaves no mark in the text', async () => {
    const stream = await client.chat({
      model: 'cria',
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools: [weather],
      stream: true,
      options: greedy,
    })
    const parts = await Array.fromAsync(stream)
    expect(parts.map(({ message }) => message.content).join('')).toBe('')
    expect(parts.flatMap(({ message }) => message.tool_calls ?? []).map((call) => call.function.name)).toEqual(['get_weather'])
  })

  test('thinking comes apart from the answer', async () => {
    const { message } = await client.chat({
      model: 'cria',
      messages: [
        { role: 'user', content: 'What is 2 + 3?' },
        { role: 'assistant', content: 'It is 5.' },
        { role: 'user', content: 'What is 1 + 1?' },
      ],
      think: true,
      options: greedy,
    })
    expect(message.thinking?.trim()).toMatch(/^I need 1 \+ 1/)
    expect(message.content).not.toMatch(/<\/?think>/)
  })

  test('think: false leaves the thinking out', async () => {
    const { message } = await client.chat({ model: 'cria', messages: [{ role: 'user', content: 'What is 2 + 3?' }], think: false, options: greedy })
    expect(message.thinking ?? '').toBe('')
  })

  test('a schema shapes the answer', async () => {
    const format = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'] }
    const { message } = await client.chat({
      model: 'cria',
      messages: [{ role: 'user', content: 'Give the capital of France as JSON.' }],
      format,
      options: greedy,
    })
    expect(JSON.parse(message.content)).toEqual({ capital: 'Paris' })
  })

  test('embed() gives a unit vector for each input, in their order', async () => {
    const sentences = ['why is the sky blue?', 'The sky is blue because of scattering.', 'My cat eats fish.']
    const { embeddings, prompt_eval_count } = await client.embed({ model: 'all-minilm', input: sentences })
    const cosine = (a: number[], b: number[]) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0)
    const [question, related, other] = embeddings as [number[], number[], number[]]
    expect(embeddings.map((vector) => [vector.length, Math.hypot(...vector).toFixed(3)])).toEqual(sentences.map(() => [384, '1.000']))
    expect(cosine(question, related)).toBeGreaterThan(cosine(question, other))
    expect(prompt_eval_count).toBeGreaterThan(16)
  })

  test('embeddings() gives one vector', async () => {
    const { embedding } = await client.embeddings({ model: 'all-minilm', prompt: 'why is the sky blue?' })
    expect(embedding).toHaveLength(384)
  })

  test('aborting a reply ends the stream and frees its slot', async () => {
    const stream = await client.generate({ model: 'endless', prompt: 'a', stream: true, options: { ...greedy, num_predict: -1 } })
    let parts = 0
    await expect(async () => {
      for await (const _ of stream) if (++parts === 3) stream.abort()
    }).rejects.toThrow(/abort/i)
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('abort() of the client ends every stream', async () => {
    const own = new Ollama({ host: server.url })
    const streams = await Promise.all([1, 2].map(() => own.generate({ model: 'endless', prompt: 'a', stream: true, options: { ...greedy, num_predict: -1 } })))
    const read = streams.map((stream) => joined(stream, (part) => part.response))
    own.abort()
    const results = await Promise.allSettled(read)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('an unknown model is a ResponseError with status 404', async () => {
    await expect(client.chat({ model: 'nothing-here', messages: [{ role: 'user', content: 'a' }] })).rejects.toMatchObject({
      name: 'ResponseError',
      status_code: 404,
      error: "model 'nothing-here' not found",
    })
  })

  test('keep_alive: 0 takes the model out of memory', async () => {
    await client.generate({ model: 'cria', prompt: question, keep_alive: 0, options: greedy })
    await expect.poll(async () => (await client.ps()).models.map(({ name }) => name)).not.toContain('cria:latest')
  })

  test('keep_alive moves the hour at which the model leaves', async () => {
    await client.generate({ model: 'cria', prompt: '', keep_alive: '1h' })
    const { models } = await client.ps()
    const left = new Date(models.find(({ name }) => name === 'cria:latest')?.expires_at ?? 0).getTime() - Date.now()
    expect(left / 60_000).toBeGreaterThan(59)
  })

  test('create() from a model, copy() and delete()', async () => {
    await client.create({ model: 'pirate', from: 'cria', system: 'You are a pirate.', parameters: { temperature: 0 }, stream: false })
    await client.copy({ source: 'pirate', destination: 'mine/pirate:v2' })
    const shown = await client.show({ model: 'mine/pirate:v2' })
    await client.delete({ model: 'pirate' })
    await client.delete({ model: 'mine/pirate:v2' })
    const left = (await client.list()).models.map(({ name }) => name)
    expect([shown.system, left.filter((name) => name.includes('pirate'))]).toEqual(['You are a pirate.', []])
  })

  test('create() streams what it does and ends with success', async () => {
    const stream = await client.create({ model: 'brief', from: 'cria', system: 'Be brief.', stream: true })
    const statuses = (await Array.fromAsync(stream)).map(({ status }) => status)
    expect(statuses.slice(-2)).toEqual(['writing manifest', 'success'])
    await client.delete({ model: 'brief' })
  })

  test('logprobs are given token by token and read back as the text', async () => {
    const reply = await client.chat({
      model: 'cria',
      messages: [{ role: 'user', content: question }],
      logprobs: true,
      top_logprobs: 2,
      options: { ...greedy, num_predict: 4 },
    })
    const { logprobs = [] } = reply
    expect(logprobs).toHaveLength(4)
    expect(logprobs.map(({ token }) => token).join('')).toBe(reply.message.content)
    expect(logprobs.every(({ logprob, top_logprobs = [] }) => logprob <= 0 && top_logprobs.length <= 2)).toBe(true)
  })

  test('several replies at a time do not mix', async () => {
    const cities = ['France', 'Italy', 'Spain', 'France', 'Italy', 'Spain']
    const replies = await Promise.all(
      cities.map((country) => client.chat({ model: 'cria', messages: [{ role: 'user', content: `What is the capital of ${country}?` }], options: greedy })),
    )
    expect(replies.map(({ message }) => message.content)).toEqual(cities.map((country) => expect.stringContaining(country)))
  })
})
