import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { get, post, postLines } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { makeModel, shapes } from '../../helpers/make-gguf.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, that the recorded exchanges do not prove.

let server: TestServer
const greedy = { temperature: 0 }
const prompt = 'What is the capital of France?'
const generate = (body: Record<string, unknown>) => post(server.url, '/api/generate', { model: 'cria', stream: false, ...body })
const rendered = async (body: Record<string, unknown>, path = '/api/generate') => {
  const { body: answer } = await post(server.url, path, { model: 'cria', stream: false, _debug_render_only: true, ...body })
  return (answer._debug_info as { rendered_template: string } | undefined)?.rendered_template
}
const loaded = async () => (await get<{ models: { name: string }[] }>(server.url, '/api/ps')).models.map(({ name }) => name)

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'pirate', criaFile, { system: 'You are a pirate.' })
  await addModel(server.url, 'fim', criaFile, { template: '{{ if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>{{ else }}{{ .Prompt }}{{ end }}' })
  await addEndlessModel(server.url)
  const template = '{{ if .System }}[{{ .System }}] {{ end }}{{ range .Messages }}{{ if eq .Role "user" }}<{{ .Content }}>{{ end }}{{ end }}'
  await post(server.url, '/api/create', { model: 'go', from: 'endless', template, stream: false })
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('load and unload', () => {
  test('empty generate → {done:true, done_reason:"load", response:""}, model listed in ps', async () => {
    expect((await generate({})).body).toMatchObject({ done: true, done_reason: 'load', response: '' })
    expect(await loaded()).toContain('cria:latest')
  })

  test('keep_alive:0 + empty prompt → done_reason:"unload"; model disappears from ps', async () => {
    await generate({})
    expect((await generate({ keep_alive: 0 })).body).toMatchObject({ done: true, done_reason: 'unload', response: '' })
    await expect.poll(loaded).not.toContain('cria:latest')
  })

  test('chat without messages behaves the same with message.role:"assistant"', async () => {
    const load = await post(server.url, '/api/chat', { model: 'cria' })
    const unload = await post(server.url, '/api/chat', { model: 'cria', keep_alive: 0 })
    expect([load.body, unload.body]).toMatchObject([
      { message: { role: 'assistant', content: '' }, done: true, done_reason: 'load' },
      { message: { role: 'assistant', content: '' }, done: true, done_reason: 'unload' },
    ])
    await expect.poll(loaded).not.toContain('cria:latest')
  })
})

describe('generate', () => {
  test('every stream chunk repeats model and has a non-zero created_at; non-final chunks have no context; the final one has its figures', async () => {
    const chunks = await postLines(server.url, '/api/generate', { model: 'cria', prompt, options: greedy })
    const final = chunks.pop() ?? {}
    expect(chunks.every((chunk) => chunk.model === 'cria' && Date.parse(String(chunk.created_at)) > 0 && !('context' in chunk) && chunk.done === false)).toBe(
      true,
    )
    expect(final).toMatchObject({ done: true, done_reason: 'stop', context: expect.arrayContaining([expect.any(Number)]) })
    const figures = ['total_duration', 'load_duration', 'prompt_eval_duration', 'eval_count', 'eval_duration', 'prompt_eval_count']
    expect(figures.filter((name) => !(Number(final[name]) > 0))).toEqual([])
  })

  test('same fields in one object with stream:false', async () => {
    const { body } = await generate({ prompt, options: greedy })
    const final = (await postLines(server.url, '/api/generate', { model: 'cria', prompt, options: greedy })).at(-1) ?? {}
    expect(Object.keys(body).sort()).toEqual(Object.keys(final).sort())
  })

  test('model SYSTEM used when system is absent; system replaces it', async () => {
    const own = await rendered({ model: 'pirate', prompt: 'a' })
    const replaced = await rendered({ model: 'pirate', prompt: 'a', system: 'Be brief.' })
    expect([own?.includes('You are a pirate.'), replaced?.includes('You are a pirate.'), replaced?.includes('Be brief.')]).toEqual([true, false, true])
  })

  test('template replaces template', async () => {
    expect(await rendered({ prompt: 'hello', template: '-- {{ .Prompt }} --' })).toBe('-- hello --')
  })

  test('suffix renders FIM (<PRE> … <SUF> … <MID> style) and an empty suffix omits it', async () => {
    expect([await rendered({ model: 'fim', prompt: 'a', suffix: 'b' }), await rendered({ model: 'fim', prompt: 'a', suffix: '' })]).toEqual([
      '<PRE> a <SUF>b <MID>',
      'a',
    ])
  })

  test('raw passes the prompt byte for byte', async () => {
    const text = '  <|im_start|>odd  \n\n text '
    expect(await rendered({ prompt: text, raw: true })).toBe(text)
  })

  test('_debug_render_only returns _debug_info.rendered_template for stream true/false, raw, template, system; chat also with tools and trailing assistant', async () => {
    const streamed = await post(server.url, '/api/generate', { model: 'go', prompt: 'a', system: 's', _debug_render_only: true, stream: true })
    expect(streamed.body._debug_info).toEqual({ rendered_template: '[s] <a>' })
    const tools = [{ type: 'function', function: { name: 'now', description: 'The time', parameters: { type: 'object', properties: {} } } }]
    const chat = await rendered(
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'so far' },
        ],
        tools,
      },
      '/api/chat',
    )
    expect(chat).toMatch(/now\(\): The time[\s\S]*so far/)
  })

  test('native-Jinja generate equals native-Jinja chat rendering; context text is prepended', async () => {
    const alone = await rendered({ prompt: 'hello' })
    expect(await rendered({ messages: [{ role: 'user', content: 'hello' }] }, '/api/chat')).toBe(alone)
    const { body } = await generate({ prompt, raw: false, options: { ...greedy, num_predict: 3 } })
    expect(await rendered({ prompt: 'hello', context: body.context })).toMatch(
      /^<\|im_start\|>user\nWhat is the capital of France\?[\s\S]*The capital of[\s\S]*hello/,
    )
  })

  test('num_predict:10 with logprobs → exactly 10 logprob entries; logprob ≤ 0; bytes equal UTF-8 of token; top_logprobs sorted descending, at most the requested number', async () => {
    interface Entry {
      token: string
      logprob: number
      bytes: number[]
      top_logprobs: Entry[]
    }
    const { body } = await generate({ model: 'endless', prompt: 'a', logprobs: true, top_logprobs: 5, options: { num_predict: 10, ...greedy } })
    const entries = body.logprobs as Entry[]
    expect(entries).toHaveLength(10)
    for (const { token, logprob, bytes, top_logprobs } of entries) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(bytes).toEqual([...Buffer.from(token)])
      expect(top_logprobs).toHaveLength(5)
      expect(top_logprobs.map((top) => top.logprob)).toEqual(top_logprobs.map((top) => top.logprob).sort((a, b) => b - a))
      expect(top_logprobs.map((top) => top.token)).toContain(token)
    }
  })

  test('without logprobs none; non-stream returns all of them', async () => {
    const without = await generate({ prompt, options: greedy })
    const streamed = await postLines(server.url, '/api/generate', { model: 'cria', prompt, logprobs: true, options: greedy })
    const whole = await generate({ prompt, logprobs: true, options: greedy })
    const tokens = (entries: unknown) => ((entries as { token: string }[] | undefined) ?? []).map(({ token }) => token)
    expect(without.body).not.toHaveProperty('logprobs')
    expect(tokens(whole.body.logprobs)).toEqual(streamed.flatMap((chunk) => tokens(chunk.logprobs)))
  })

  test('logprobs survive with built-in parsers and while tool text is buffered', async () => {
    const tools = [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'Get the weather of a city',
          parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } },
        },
      },
    ]
    const { body } = await post(server.url, '/api/chat', {
      model: 'cria',
      messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
      tools,
      logprobs: true,
      stream: false,
      options: greedy,
    })
    expect((body.message as { tool_calls: unknown[] }).tool_calls).toHaveLength(1)
    expect((body.logprobs as unknown[]).length).toBeGreaterThanOrEqual(Number(body.eval_count) - 1)
  })

  test('a seed repeats a sampled reply, another seed gives another', async () => {
    const draw = async (seed: number) => (await generate({ model: 'endless', prompt: 'a', options: { temperature: 1.5, seed, num_predict: 20 } })).body.response
    const [first, again, other] = [await draw(7), await draw(7), await draw(8)]
    expect([again === first, other === first]).toEqual([true, false])
  })
})

describe('truncation and context', () => {
  const words = 'word '.repeat(600)

  test('prompt over the window with shift → succeeds and prompt_eval_count < num_ctx', async () => {
    const { status, body } = await generate({ prompt: words, options: { ...greedy, num_ctx: 256, num_predict: 4 } })
    expect([status, Number(body.prompt_eval_count) < 256]).toEqual([200, true])
  })

  test('what was cut is told: truncation in the final object and X-Context-Truncated', async () => {
    const response = await fetch(`${server.url}/api/generate`, {
      method: 'POST',
      body: JSON.stringify({ model: 'cria', prompt: words, stream: false, options: { ...greedy, num_ctx: 256, num_predict: 4 } }),
    })
    const { truncation, prompt_eval_count } = (await response.json()) as { truncation: Record<string, number>; prompt_eval_count: number }
    expect(truncation).toEqual({ dropped_messages: 0, dropped_tokens: expect.any(Number), kept_tokens: prompt_eval_count, num_ctx: 256 })
    expect(response.headers.get('x-context-truncated')).toBe(`messages=0; tokens=${truncation.dropped_tokens}`)
  })

  test('with shift:false → error text, with the same status streamed or not (a runner StatusError keeps its code and message)', async () => {
    const body = { model: 'cria', prompt: words, shift: false, options: { num_ctx: 256 } }
    const answers = [await post(server.url, '/api/generate', { ...body, stream: false }), await post(server.url, '/api/generate', { ...body, stream: true })]
    const error =
      'the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context length in settings, or use a model with a longer context length'
    expect(answers).toEqual([
      { status: 400, body: { error } },
      { status: 400, body: { error } },
    ])
  })

  test('oldest non-system messages dropped first; system kept; last message always kept', async () => {
    const turn = (name: string) => ({ role: 'user', content: `${name} ${'word '.repeat(100)}` })
    const messages = [
      { role: 'system', content: 'Stay here.' },
      turn('first'),
      { role: 'assistant', content: 'x' },
      turn('second'),
      { role: 'assistant', content: 'y' },
      turn('last'),
    ]
    const text = await rendered({ messages, options: { num_ctx: 256 } }, '/api/chat')
    expect(['Stay here.', 'first', 'last'].map((part) => text?.includes(part))).toEqual([true, false, true])
  })

  test('truncate:false keeps all', async () => {
    const messages = Array.from({ length: 9 }, (_, index) => ({ role: index % 2 ? 'assistant' : 'user', content: `turn ${index} ${'word '.repeat(60)}` }))
    const answer = await post(server.url, '/api/chat', { model: 'cria', messages, truncate: false, stream: false, options: { num_ctx: 256 } })
    expect(answer.status).toBe(400)
  })

  test('prompt within one token of the window is not truncated needlessly', async () => {
    const { body } = await generate({ prompt: 'word '.repeat(100), raw: true, options: { ...greedy, num_predict: 1, num_ctx: 512 } })
    const tokens = Number(body.prompt_eval_count)
    const exact = await generate({ prompt: 'word '.repeat(100), raw: true, options: { ...greedy, num_predict: 1, num_ctx: tokens + 1 } })
    expect(exact.body).toMatchObject({ prompt_eval_count: tokens })
    expect(exact.body).not.toHaveProperty('truncation')
  })

  test('long generation past num_ctx with shift continues', async () => {
    const { body } = await generate({ model: 'endless', prompt: 'a', options: { ...greedy, num_ctx: 256, num_predict: 600 } })
    expect(body).toMatchObject({ eval_count: 600, done_reason: 'length' })
  })

  test('without shift it stops with length', async () => {
    const { body } = await generate({ model: 'endless', prompt: 'a', shift: false, options: { ...greedy, num_ctx: 256, num_predict: 600 } })
    expect([body.done_reason, Number(body.eval_count) <= 256]).toEqual(['length', true])
  })

  test('num_predict capped at 10×num_ctx', async () => {
    const { body } = await generate({ model: 'endless', prompt: 'a', options: { ...greedy, num_ctx: 256, num_predict: -1 } })
    expect(body).toMatchObject({ eval_count: 2560, done_reason: 'length' })
  })

  test('multibyte text survives streaming intact (no broken UTF-8)', async () => {
    const text = 'Grüße 你好 🦙 ναι!'
    const chunks = await postLines(server.url, '/api/chat', {
      model: 'cria',
      messages: [{ role: 'user', content: 'Say it.' }],
      format: { enum: [text] },
      think: false,
      options: greedy,
    })
    const pieces = chunks.map(({ message }) => (message as { content: string }).content)
    expect(JSON.parse(pieces.join(''))).toBe(text)
    expect(pieces.filter((piece) => piece.includes('\ufffd'))).toEqual([])
  })

  test('a sliding-window model answers past its window', async () => {
    await using folder = await temporaryFolder()
    const file = `${folder.path}/gemma.gguf`
    await makeModel(file, { shape: shapes['gemma3-tiny'], type: 'f16' })
    await addModel(server.url, 'window', file)
    const { status, body } = await generate({ model: 'window', prompt: 'word '.repeat(300), raw: true, options: { num_predict: 8, num_ctx: 1024 } })
    expect([status, Number(body.eval_count) > 0]).toEqual([200, true])
  })
})
