import { createOpenAI } from '@ai-sdk/openai'
import { APICallError, embedMany, generateObject, generateText, type LanguageModel, Output, stepCountIs, streamObject, streamText, tool } from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { addEndlessModel } from '../../helpers/endless.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

let server: TestServer
let ollama: ReturnType<typeof createOllama>
let openai: ReturnType<typeof createOpenAI>
const question = 'What is the capital of France?'
const answer = 'The capital of France is Paris.'
const aboutWeather = 'What is the weather in Paris?'
const report = 'It is 21 degrees and sunny in Paris.'
const tools = {
  get_weather: tool({
    description: 'Get the weather of a city',
    inputSchema: z.object({ city: z.string().describe('The city') }),
    execute: async ({ city }) => (city === 'Paris' ? '21 degrees and sunny' : 'unknown'),
  }),
}
const capital = z.object({ capital: z.enum(['Paris', 'Rome']) })
/** The Ollama provider hands on what stands in its own options alone. */
const greedy = { temperature: 0, maxRetries: 0, providerOptions: { ollama: { options: { temperature: 0, num_predict: 400 } } } }

beforeAll(async () => {
  vi.stubGlobal('AI_SDK_LOG_WARNINGS', false)
  server = await startTestServer()
  ollama = createOllama({ baseURL: `${server.url}/api` })
  openai = createOpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any' })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

const providers: [name: string, model: (id: string) => LanguageModel][] = [
  ['ollama-ai-provider-v2', (id) => ollama(id)],
  ['@ai-sdk/openai by chat completions', (id) => openai.chat(id)],
  ['@ai-sdk/openai by responses', (id) => openai.responses(id)],
]

describe.each(providers)("the 'ai' package with %s", (_, model) => {
  test('generateText() answers with its usage', async () => {
    const { text, finishReason, usage } = await generateText({ ...greedy, model: model('cria'), prompt: question })
    expect([text.trim(), finishReason, usage.outputTokens]).toEqual([answer, 'stop', 12])
    expect(usage.inputTokens).toBeGreaterThan(16)
  })

  test('streamText() adds up to the answer', async () => {
    const reply = streamText({ ...greedy, model: model('cria'), prompt: question })
    const pieces = await Array.fromAsync(reply.textStream)
    expect(pieces.join('').trim()).toBe(answer)
    expect(pieces.length).toBeGreaterThan(1)
    expect([await reply.finishReason, (await reply.usage).outputTokens]).toEqual(['stop', 12])
  })

  test('a loop of steps calls the tool and tells what it found', async () => {
    const { text, steps } = await generateText({ ...greedy, model: model('cria'), prompt: aboutWeather, tools, stopWhen: stepCountIs(3) })
    expect(steps.map(({ finishReason, toolCalls }) => [finishReason, toolCalls.map(({ toolName, input }) => [toolName, input])])).toEqual([
      ['tool-calls', [['get_weather', { city: 'Paris' }]]],
      ['stop', []],
    ])
    expect(text.trim()).toBe(report)
  })

  test('the same loop as a stream', async () => {
    const reply = streamText({ ...greedy, model: model('cria'), prompt: aboutWeather, tools, stopWhen: stepCountIs(3) })
    expect((await Array.fromAsync(reply.textStream)).join('').trim()).toBe(report)
    expect((await reply.steps).flatMap(({ toolResults }) => toolResults.map(({ output }) => output))).toEqual(['21 degrees and sunny'])
  })

  test('generateObject() gives an object of the schema', async () => {
    const { object } = await generateObject({ ...greedy, model: model('cria'), schema: capital, prompt: 'Give the capital of France as JSON.' })
    expect(object).toEqual({ capital: 'Paris' })
  })

  test('streamObject() comes to an object of the schema', async () => {
    const reply = streamObject({ ...greedy, model: model('cria'), schema: capital, prompt: 'Give the capital of France as JSON.' })
    await Array.fromAsync(reply.partialObjectStream)
    expect(await reply.object).toEqual({ capital: 'Paris' })
  })

  test('generateText() gives an output of the schema', async () => {
    const { output } = await generateText({
      ...greedy,
      model: model('smollm2:135m'),
      output: Output.object({
        schema: z.object({ city: z.string().max(20), inhabitants: z.int().min(1).max(1000), twins: z.array(z.string().max(20)).max(3) }),
      }),
      prompt: 'Describe Paris.',
      maxOutputTokens: 400,
    })
    expect(output).toMatchObject({ city: expect.any(String), inhabitants: expect.any(Number) })
  })

  test('an unknown model is an APICallError with status 404', async () => {
    const asked = generateText({ ...greedy, model: model('nothing-here'), prompt: question })
    await expect(asked).rejects.toSatisfy((error) => APICallError.isInstance(error) && error.statusCode === 404)
  })

  test('aborting a stream frees its slot', async () => {
    const leave = new AbortController()
    const reply = streamText({ maxRetries: 0, model: model('endless'), prompt: 'a', abortSignal: leave.signal })
    const parts: string[] = []
    for await (const { type } of reply.fullStream) {
      parts.push(type)
      if (parts.filter((part) => part === 'text-delta').length === 3) leave.abort()
    }
    expect(parts).toContain('abort')
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })
})

describe("thinking in the 'ai' package", () => {
  const thoughtful = { instructions: 'You are a pirate.', prompt: 'Who are you?', temperature: 0, maxRetries: 0 }
  const thought = 'I know the answer to this. I keep it short.'

  test('comes apart from the answer by the Ollama provider', async () => {
    const providerOptions = { ollama: { think: true, options: { temperature: 0 } } }
    const { reasoningText, text } = await generateText({ ...thoughtful, model: ollama('cria'), providerOptions })
    expect([reasoningText?.trim(), text.includes('think>')]).toEqual([thought, false])
  })

  test('streams apart from the answer by the responses of the OpenAI provider', async () => {
    const reply = streamText({ ...thoughtful, model: openai.responses('cria') })
    const text = (await Array.fromAsync(reply.textStream)).join('')
    expect([(await reply.reasoningText)?.trim(), text.includes('think>')]).toEqual([thought, false])
  })
})

describe.each([
  ['ollama-ai-provider-v2', () => ollama.embedding('all-minilm')],
  ['@ai-sdk/openai', () => openai.embedding('all-minilm')],
] as const)("the 'ai' package with %s", (_, model) => {
  test('embedMany() gives a vector for each value', async () => {
    const { embeddings, usage } = await embedMany({ model: model(), values: ['why is the sky blue?', 'hello'], maxRetries: 0 })
    expect(embeddings.map((vector) => [vector.length, Math.hypot(...vector).toFixed(3)])).toEqual([
      [384, '1.000'],
      [384, '1.000'],
    ])
    expect(usage.tokens).toBeGreaterThan(8)
  })
})
