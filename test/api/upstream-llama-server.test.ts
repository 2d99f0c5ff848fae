import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../helpers/free-port.ts'
import { get, post, postLines } from '../helpers/http.ts'
import { criaFile, minilmFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

const program = process.env.LLAMA_SERVER ?? ''
if (program === '') console.log("left out: llama.cpp's server as an engine elsewhere (LLAMA_SERVER names no program)")

const key = 'a-key-of-the-engine'
const question = { role: 'user' as const, content: 'What is the capital of France?' }
const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } },
  },
}

let front: TestServer
const engines: ChildProcess[] = []

/** llama.cpp's server, once it answers. */
async function startEngine(...args: string[]): Promise<string> {
  const port = await freePort()
  const child = spawn(program, ['--port', String(port), '--api-key', key, '--threads', '2', ...args], { stdio: 'ignore' })
  engines.push(child)
  const url = `http://127.0.0.1:${port}`
  await vi.waitFor(async () => expect((await fetch(`${url}/health`)).ok).toBe(true), { timeout: 50_000, interval: 100 })
  return url
}

describe.skipIf(program === '')("llama.cpp's server", () => {
  beforeAll(async () => {
    front = await startTestServer()
    const chat = await startEngine('--model', criaFile, '--ctx-size', '4096', '--alias', 'cria', '--jinja')
    const embedder = await startEngine('--model', minilmFile, '--embedding', '--alias', 'minilm')
    expect((await post(front.url, '/api/upstreams', { name: 'llama', url: chat, key })).body).toMatchObject({
      protocol: 'openai',
      state: 'up',
      models: ['cria'],
    })
    await post(front.url, '/api/upstreams', { name: 'vectors', url: embedder, key })
  }, 120_000)
  afterAll(async () => {
    await front?.[Symbol.asyncDispose]()
    for (const child of engines) {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await ended
    }
  })

  test('lists its model with the length of its context', async () => {
    const { models } = await get<{ models: Record<string, unknown>[] }>(front.url, '/api/tags')
    expect(models.find(({ name }) => name === 'llama/cria')).toMatchObject({ remote_model: 'cria', details: { context_length: expect.any(Number) } })
  })

  test('answers, whole and streamed, with its own times', async () => {
    const body = { model: 'llama/cria', messages: [question], options: { temperature: 0 }, think: false }
    const whole = (await post(front.url, '/api/chat', { ...body, stream: false })).body
    expect(whole).toMatchObject({ message: { content: expect.stringContaining('Paris') }, done_reason: 'stop', prompt_eval_count: expect.any(Number) })
    expect(whole.eval_duration).toBeGreaterThan(0)
    const lines = await postLines(front.url, '/api/chat', body)
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.map(({ message }) => (message as { content: string }).content).join('')).toBe((whole.message as { content: string }).content)
  })

  test('splits thinking off, and takes earlier thinking', async () => {
    const messages = [
      { role: 'user', content: 'What is 2 + 3?' },
      { role: 'assistant', content: 'It is 5.', thinking: 'I need 2 + 3, which is 5.' },
      { role: 'user', content: 'What is 1 + 1?' },
    ]
    const { body } = await post(front.url, '/api/chat', { model: 'llama/cria', messages, think: true, options: { temperature: 0 }, stream: false })
    expect((body.message as { thinking?: string }).thinking).toMatch(/\w/)
    expect((body.message as { content: string }).content).not.toContain('think>')
  })

  test('a conversation with a tool comes to its end', async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
    const first = await client.chat.completions.create({ model: 'llama/cria', messages, tools: [weather], temperature: 0 })
    const [choice] = first.choices
    const call = choice?.message.tool_calls?.[0]
    if (choice === undefined || call?.type !== 'function') throw new Error('no function was called')
    expect(call.function.name).toBe('get_weather')
    messages.push(choice.message, { role: 'tool', tool_call_id: call.id, content: '21 degrees and sunny' })
    const last = await client.chat.completions.create({ model: 'llama/cria', messages, tools: [weather], temperature: 0 })
    expect(last.choices[0]?.message.content).toContain('21 degrees')
  })

  test('a JSON Schema shapes the answer', async () => {
    const format = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const { body } = await post(front.url, '/api/chat', {
      model: 'llama/cria',
      messages: [question],
      format,
      think: false,
      options: { temperature: 0 },
      stream: false,
    })
    expect(['Paris', 'Rome']).toContain(JSON.parse((body.message as { content: string }).content).capital)
  })

  test('a grammar shapes the answer', async () => {
    const options = { temperature: 0, grammar: 'root ::= "yes" | "no"' }
    const { body } = await post(front.url, '/api/chat', { model: 'llama/cria', messages: [question], think: false, options, stream: false })
    expect((body.message as { content: string }).content.trim()).toMatch(/^(yes|no)$/)
  })

  test('log-probabilities come with their alternatives', async () => {
    const asked = {
      model: 'llama/cria',
      messages: [question],
      logprobs: true,
      top_logprobs: 2,
      think: false,
      options: { temperature: 0, num_predict: 3 },
      stream: false,
    }
    const logprobs = (await post(front.url, '/api/chat', asked)).body.logprobs as { top_logprobs: unknown[] }[]
    expect(logprobs.map(({ top_logprobs: top }) => top.length)).toEqual([2, 2, 2])
  })

  test("Anthropic's dialect reaches it, and counts", async () => {
    const client = new Anthropic({ baseURL: front.url, apiKey: 'any', maxRetries: 0 })
    const request = { model: 'llama/cria', messages: [question] }
    const message = await client.messages.stream({ ...request, max_tokens: 100, temperature: 0 }).finalMessage()
    expect(message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')).toContain('Paris')
    const { input_tokens: counted } = await client.messages.countTokens(request)
    expect(counted).toBe(message.usage.input_tokens)
  })

  test('tokens, raw prompts, completions and vectors', async () => {
    const { tokens } = (await post(front.url, '/api/tokenize', { model: 'llama/cria', text: 'Hello there' })).body
    expect((await post(front.url, '/api/detokenize', { model: 'llama/cria', tokens })).body).toMatchObject({ text: 'Hello there' })
    const prompt = `<|im_start|>user\n${question.content}<|im_end|>\n<|im_start|>assistant\n`
    const raw = { model: 'llama/cria', prompt, raw: true, options: { temperature: 0, num_predict: 3 }, stream: false }
    expect((await post(front.url, '/api/generate', raw)).body).toMatchObject({ done_reason: 'length', eval_count: 3 })
    const completion = await post(front.url, '/v1/completions', { model: 'llama/cria', prompt, max_tokens: 3, temperature: 0 })
    expect(completion.body).toMatchObject({ choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 3 } })
    const { body } = await post(front.url, '/api/embed', { model: 'vectors/minilm', input: ['a', 'b'] })
    expect((body.embeddings as number[][]).map((vector) => vector.length)).toEqual([384, 384])
  })

  test('its refusals keep their words', async () => {
    const messages = [{ role: 'user', content: 'word '.repeat(6000) }]
    const answer = await post(front.url, '/api/chat', { model: 'llama/cria', messages, stream: false })
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(/^llama: .*context/) } })
  })
})
