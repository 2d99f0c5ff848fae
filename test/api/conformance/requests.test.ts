import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { exchange, post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, on what a request may say and how it is rendered.

let server: TestServer
const user = (content: string) => ({ role: 'user', content })
const question = user('What is the capital of France?')
const generate = (body: object) => post(server.url, '/api/generate', { model: 'cria', stream: false, ...body })
const chat = (body: object) => post(server.url, '/api/chat', { model: 'cria', stream: false, ...body })
const debug = async (path: string, body: object) => {
  const { body: answer } = await post(server.url, path, { model: 'cria', stream: false, _debug_render_only: true, ...body })
  return answer._debug_info as { rendered_template: string; image_count?: number }
}
/** Thinking is written into earlier turns and opened for the reply. */
const opening =
  '{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n<think>'
const plain = '{{ range .Messages }}[{{ .Role }}: {{ .Content }}]{{ end }}'

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
  for (const model of ['deepseek-r1:tiny', 'plain']) await post(server.url, '/api/create', { model, from: 'endless', template: plain, stream: false })
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('requests and errors', () => {
  test("generate/chat with empty body → 400 missing request body; with {} → generate 404 model '' not found, chat 400 model is required", async () => {
    const send = async (path: string, body: string) => {
      const { status, text } = await exchange(server.url, { method: 'POST', path, body })
      return [status, JSON.parse(text).error]
    }
    expect([await send('/api/generate', ''), await send('/api/chat', ''), await send('/api/generate', '{}'), await send('/api/chat', '{}')]).toEqual([
      [400, 'missing request body'],
      [400, 'missing request body'],
      [404, "model '' not found"],
      [400, 'model is required'],
    ])
  })

  test('embedding-only model: generate → 400 "bert" does not support generate; chat → 400 "bert" does not support chat', async () => {
    expect([await generate({ model: 'all-minilm', prompt: 'a' }), await chat({ model: 'all-minilm', messages: [question] })]).toEqual([
      { status: 400, body: { error: '"all-minilm" does not support generate' } },
      { status: 400, body: { error: '"all-minilm" does not support chat' } },
    ])
  })

  test('suffix on a non-insert model → 400 registry.ollama.ai/library/test:latest does not support insert', async () => {
    expect(await generate({ prompt: 'a', suffix: 'b' })).toEqual({
      status: 400,
      body: { error: 'registry.ollama.ai/library/cria:latest does not support insert' },
    })
  })

  test('top_logprobs -1 or 21 → 400 top_logprobs must be between 0 and 20', async () => {
    for (const top_logprobs of [-1, 21]) {
      const refused = { status: 400, body: { error: 'top_logprobs must be between 0 and 20' } }
      expect([await generate({ prompt: 'a', logprobs: true, top_logprobs }), await chat({ messages: [question], logprobs: true, top_logprobs })]).toEqual([
        refused,
        refused,
      ])
    }
  })

  test('think: levels are taken by a model that thinks; others are refused by name', async () => {
    for (const think of ['low', 'medium', 'high', 'max'])
      expect([think, (await chat({ messages: [question], think, options: { num_predict: 2 } })).status]).toEqual([think, 200])
    expect([await chat({ messages: [question], think: 'wibble' }), await generate({ prompt: 'a', think: 3 })]).toEqual([
      { status: 400, body: { error: 'invalid think value: "wibble" (must be "high", "medium", "low", "max", true, or false)' } },
      { status: 400, body: { error: 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)' } },
    ])
  })
})

describe('rendering', () => {
  test('renderer used for chat-like generate, bypassed by template and by suffix', async () => {
    const text = async (body: object) => (await debug('/api/generate', { prompt: 'P', ...body })).rendered_template
    expect([await text({}), await text({ template: '<{{ .Prompt }}>' })]).toEqual([expect.stringContaining('<|im_start|>user\nP<|im_end|>'), '<P>'])
    await post(server.url, '/api/create', {
      model: 'fim',
      from: 'cria',
      template: '{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ end }}',
      stream: false,
    })
    expect(await text({ model: 'fim', suffix: 'S' })).toBe('<PRE>P<SUF>S<MID>')
  })

  test('_debug_render_only returns _debug_info.rendered_template (+ image_count) for images', async () => {
    const images = [Buffer.from('one').toString('base64'), Buffer.from('two').toString('base64')]
    expect([
      (await debug('/api/generate', { prompt: 'a', images })).image_count,
      (await debug('/api/chat', { messages: [{ ...question, images }] })).image_count,
      (await debug('/api/chat', { messages: [question] })).image_count,
    ]).toEqual([2, 2, undefined])
  })

  test('thinking prompt that already ends in <think> → text is classified as thinking', async () => {
    const { body } = await generate({ prompt: 'What is 1 + 1?', template: opening, think: true, options: { temperature: 0, num_predict: 60 } })
    const { response, thinking } = body as { response: string; thinking?: string }
    expect([(thinking ?? '').trim() !== '', /<\/?think>/.test(response + thinking)]).toEqual([true, false])
  })

  test('qwen3 / deepseek-r1 history: <think> removed from earlier assistant turns, kept after the last user turn', async () => {
    const said = { role: 'assistant', content: '<think>hm</think>\n\nYes.' }
    const text = async (model: string) => (await debug('/api/chat', { model, messages: [user('a'), said, user('b'), said] })).rendered_template
    expect(await text('deepseek-r1:tiny')).toBe(`[user: a][assistant: Yes.][user: b][assistant: ${said.content}]`)
    expect(await text('plain')).toBe(`[user: a][assistant: ${said.content}][user: b][assistant: ${said.content}]`)
  })
})

describe('thinking budget', () => {
  const messages = [user('What is 2 + 3?'), { role: 'assistant', content: 'It is 5.' }, user('What is 1 + 1?')]
  interface Reply {
    thinking?: string
    content: string
  }
  const reply = async (options: object, model = 'cria') => (await chat({ model, messages, options: { temperature: 0, ...options } })).body.message as Reply

  test('thinking_budget among the options closes the thinking, and the reply goes on', async () => {
    const { thinking = '', content } = await reply({ thinking_budget: 3 })
    expect([thinking.trim().endsWith('directly now.'), content.trim() !== '', /<\/?think>/.test(content)]).toEqual([true, true, false])
  })

  test('it holds as a parameter of a model, and a request stands over it', async () => {
    await post(server.url, '/api/create', { model: 'brief', from: 'cria', parameters: { thinking_budget: 3 }, stream: false })
    expect((await reply({}, 'brief')).thinking).toContain('Considering the limited time')
    expect(await reply({ thinking_budget: -1 }, 'brief')).toEqual(await reply({}))
  })

  test('0 turns thinking off, for a template that opens the block as well', async () => {
    const off = await reply({ thinking_budget: 0 })
    expect([off.thinking, off.content.trim() !== '']).toEqual([undefined, true])
    const { body } = await generate({ prompt: 'What is 1 + 1?', template: opening, options: { temperature: 0, thinking_budget: 0, num_predict: 60 } })
    const { response, thinking } = body as { response: string; thinking?: string }
    expect([thinking, response.trim() !== '', /<\/?think>/.test(response)]).toEqual([undefined, true, false])
  })
})
