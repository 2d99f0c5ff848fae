import type { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { AIMessage, type BaseMessage, HumanMessage, SystemMessage, type ToolMessage } from '@langchain/core/messages'
import { JsonOutputParser } from '@langchain/core/output_parsers'
import { ChatPromptTemplate } from '@langchain/core/prompts'
import { tool } from '@langchain/core/tools'
import { ChatOllama, OllamaEmbeddings } from '@langchain/ollama'
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
const question = 'What is the capital of France?'
const answer = 'The capital of France is Paris.'
const aboutWeather = 'What is the weather in Paris?'
const report = 'It is 21 degrees and sunny in Paris.'
const weather = tool(async ({ city }) => (city === 'Paris' ? '21 degrees and sunny' : 'unknown'), {
  name: 'get_weather',
  description: 'Get the weather of a city',
  schema: z.object({ city: z.string().describe('The city') }),
})
const capital = z.object({ capital: z.enum(['Paris', 'Rome']) })

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

const openai = (model: string, more: { useResponsesApi?: boolean } = {}) =>
  new ChatOpenAI({ model, apiKey: 'any', temperature: 0, maxRetries: 0, ...more, configuration: { baseURL: `${server.url}/v1` } })
const models: [name: string, chat: (model: string) => BaseChatModel & Required<Pick<BaseChatModel, 'bindTools'>>][] = [
  ['@langchain/ollama', (model) => new ChatOllama({ model, baseUrl: server.url, temperature: 0, maxRetries: 0 })],
  ['@langchain/openai by chat completions', (model) => openai(model)],
  ['@langchain/openai by responses', (model) => openai(model, { useResponsesApi: true })],
]

describe.each(models)('%s', (_, chat) => {
  test('invoke() answers with its usage', async () => {
    const reply = await chat('cria').invoke(question)
    expect(reply).toMatchObject({ text: answer, usage_metadata: { input_tokens: 17, output_tokens: 12, total_tokens: 29 } })
  })

  test('stream() adds up to the answer', async () => {
    const pieces = await Array.fromAsync(await chat('cria').stream(question))
    expect(pieces.map(({ text }) => text).join('')).toBe(answer)
    expect(pieces.filter(({ text }) => text !== '').length).toBeGreaterThan(1)
  })

  test('batch() keeps replies apart', async () => {
    const countries = ['France', 'Italy', 'Spain']
    const replies = await chat('cria').batch(countries.map((country) => `What is the capital of ${country}?`))
    expect(replies.map(({ text }) => text)).toEqual(countries.map((country) => expect.stringContaining(country)))
  })

  test('a conversation with a tool comes to its end', async () => {
    const model = chat('cria').bindTools([weather])
    const messages: BaseMessage[] = [new HumanMessage(aboutWeather)]
    const first = await model.invoke(messages)
    expect(first.tool_calls?.map(({ name, args }) => [name, args])).toEqual([['get_weather', { city: 'Paris' }]])
    messages.push(first)
    for (const call of first.tool_calls ?? []) messages.push((await weather.invoke({ ...call, type: 'tool_call' })) as ToolMessage)
    expect((await model.invoke(messages)).text.trim()).toBe(report)
  })

  test('a call that is streamed has its whole arguments', async () => {
    const stream = await chat('cria').bindTools([weather]).stream(aboutWeather)
    const whole = (await Array.fromAsync(stream)).reduce((sum, piece) => sum.concat(piece))
    expect([whole.text, whole.tool_calls?.map(({ name, args }) => [name, args])]).toEqual(['', [['get_weather', { city: 'Paris' }]]])
  })

  test('withStructuredOutput() gives an object of the schema', async () => {
    const model = chat('cria').withStructuredOutput(capital, { method: 'jsonSchema' })
    expect(await model.invoke('Give the capital of France as JSON.')).toEqual({ capital: 'Paris' })
  })

  test('withStructuredOutput() by a function call gives its arguments', async () => {
    const place = z.object({ city: z.string().describe('The city') })
    const model = chat('cria').withStructuredOutput(place, { method: 'functionCalling', name: 'get_weather' })
    expect(await model.invoke(aboutWeather)).toEqual({ city: 'Paris' })
  })

  test('a chain of prompt, model and parser runs', async () => {
    const prompt = ChatPromptTemplate.fromMessages([['human', 'Give the capital of {country} as JSON.']])
    const model = chat('cria').withStructuredOutput(capital, { method: 'jsonSchema', includeRaw: true })
    const { raw } = (await prompt.pipe(model).invoke({ country: 'France' })) as { raw: AIMessage }
    expect(await new JsonOutputParser().invoke(raw.text)).toEqual({ capital: 'Paris' })
  })

  test('system, user and assistant messages go on a conversation', async () => {
    const reply = await chat('smollm2:135m').invoke([
      new SystemMessage('Answer in one word.'),
      new HumanMessage('Say yes.'),
      new AIMessage('Yes.'),
      new HumanMessage('Say yes again.'),
    ])
    expect(reply.text).not.toBe('')
  })

  test('an unknown model is an error that names it, with status 404', async () => {
    const error = await chat('nothing-here')
      .invoke(question)
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(Error)
    const { status, status_code, message } = error as Error & { status?: number; status_code?: number }
    expect([status ?? status_code, message]).toEqual([404, expect.stringContaining('nothing-here')])
  })

  test('aborting a stream frees its slot', async () => {
    const leave = new AbortController()
    let pieces = 0
    await expect(async () => {
      for await (const _ of await chat('endless').stream('a', { signal: leave.signal })) if (++pieces === 3) leave.abort()
    }).rejects.toThrow(/abort/i)
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })
})

describe('embeddings', () => {
  test.each([
    ['@langchain/ollama', () => new OllamaEmbeddings({ model: 'all-minilm', baseUrl: server.url, maxRetries: 0 })],
    ['@langchain/openai', () => new OpenAIEmbeddings({ model: 'all-minilm', apiKey: 'any', maxRetries: 0, configuration: { baseURL: `${server.url}/v1` } })],
  ] as const)('%s embeds documents and a query', async (_, embeddings) => {
    const [related, other] = (await embeddings().embedDocuments(['The sky is blue because of scattering.', 'My cat eats fish.'])) as [number[], number[]]
    const query = await embeddings().embedQuery('why is the sky blue?')
    const cosine = (vector: number[]) => vector.reduce((sum, value, index) => sum + value * (query[index] ?? 0), 0)
    expect([query.length, Math.hypot(...query).toFixed(3)]).toEqual([384, '1.000'])
    expect(cosine(related)).toBeGreaterThan(cosine(other))
  })
})
