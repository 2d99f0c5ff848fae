import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { exchange, get, post, postEvents } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (openai-anthropic-api §15b), quoted, that the recorded exchanges do not prove.

let server: TestServer
interface Choice {
  message: { role: string; content: string; reasoning?: string; tool_calls?: { id: string; function: { name: string; arguments: string } }[] }
  finish_reason: string | null
  logprobs?: { content: { token: string; logprob: number; top_logprobs?: unknown[] }[] }
}
interface Chunk {
  id: string
  created: number
  choices: { delta: Record<string, unknown>; finish_reason: string | null; logprobs?: unknown }[]
  usage?: Record<string, number>
}
const user = (content: unknown) => ({ role: 'user', content })
/** Shows the ids and names of calls and of their results. */
const idTemplate =
  '{{ range .Messages }}{{ range .ToolCalls }}({{ .Function.Name }} {{ .ID }}){{ end }}{{ if eq .Role "tool" }}[{{ .ToolName }} {{ .ToolCallID }} {{ .Content }}]{{ end }}{{ end }}'
const question = user('What is the capital of France?')
const answer = 'The capital of France is Paris.'
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    strict: true,
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}
const chat = (body: Record<string, unknown>) => post(server.url, '/v1/chat/completions', { model: 'cria', temperature: 0, ...body })
async function choice(body: Record<string, unknown>): Promise<Choice> {
  const { status, body: reply } = await chat(body)
  expect(status, JSON.stringify(reply)).toBe(200)
  return (reply.choices as [Choice])[0]
}
const stream = async (body: Record<string, unknown>) => {
  const events = await postEvents(server.url, '/v1/chat/completions', { model: 'cria', temperature: 0, stream: true, ...body })
  return { chunks: events.filter((event) => event !== '[DONE]') as unknown as Chunk[], done: events.at(-1) === '[DONE]' }
}
const envelope = (message: unknown, type = 'invalid_request_error') => ({ error: { message, type, param: null, code: null } })

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'mine/cria:v1', criaFile)
  await addModel(server.url, 'cold', criaFile, { parameters: { temperature: 0 } })
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('chat completions', () => {
  test('options map: stop string/array, max_tokens, seed, penalties, temperature/top_p', async () => {
    const cut = [
      await choice({ messages: [question], stop: ' of' }),
      await choice({ messages: [question], stop: ['zz', ' of', 5] }),
      await choice({ messages: [question], max_tokens: 3 }),
    ]
    expect(cut.map(({ message, finish_reason }) => [message.content, finish_reason])).toEqual([
      ['The capital', 'stop'],
      ['The capital', 'stop'],
      ['The capital of', 'length'],
    ])
    const draw = async (more: Record<string, unknown>) =>
      (await choice({ model: 'endless', messages: [question], temperature: 1.5, max_tokens: 12, ...more })).message.content
    const [first, again, other] = [await draw({ seed: 3 }), await draw({ seed: 3 }), await draw({ seed: 4 })]
    expect([again === first, other === first]).toEqual([true, false])
    const plain = await draw({ temperature: 0 })
    expect(await draw({ temperature: 0, frequency_penalty: 2, presence_penalty: 2, max_tokens: 40 })).not.toBe(plain)
  })

  test("defaults 1.0, over which the model's own parameters stand", async () => {
    const replies = await Promise.all(
      [1, 2, 3].map(async () => (await choice({ model: 'cold', messages: [question], temperature: undefined })).message.content),
    )
    expect(new Set(replies)).toEqual(new Set([answer]))
  })

  test('max_completion_tokens bounds the reply as max_tokens does', async () => {
    const { message, finish_reason } = await choice({ messages: [question], max_completion_tokens: 2 })
    expect([message.content, finish_reason]).toEqual(['The capital', 'length'])
  })

  test('image part, text+image order kept as separate messages; data:;base64, accepted', async () => {
    const image = (url: string) => ({ type: 'image_url', image_url: { url } })
    const png = Buffer.from('png').toString('base64')
    const content = [{ type: 'text', text: 'before' }, image(`data:image/png;base64,${png}`), { type: 'text', text: 'after' }, image(`data:;base64,${png}`)]
    const { status, body } = await chat({ messages: [user(content)], _debug_render_only: true })
    const { rendered_template, image_count } = body._debug_info as { rendered_template: string; image_count: number }
    expect([
      status,
      image_count,
      rendered_template
        .split('<|im_start|>user\n')
        .slice(1)
        .map((turn) => turn.slice(0, turn.indexOf('<|im_end|>'))),
    ]).toEqual([200, 2, ['before', '', 'after', '']])
  })

  test('tool message by id: last duplicate id wins; tool call ids preserved both directions; index from native', async () => {
    const call = (id: string, name: string) => ({ id, type: 'function', function: { name, arguments: '{"city":"Paris"}' } })
    const turn = (name: string) => ({ role: 'assistant', content: null, tool_calls: [call('same', name)] })
    const messages = [turn('first'), { role: 'tool', tool_call_id: 'same', content: 'a' }, turn('second'), { role: 'tool', tool_call_id: 'same', content: 'b' }]
    await post(server.url, '/api/create', { model: 'ids', from: 'endless', template: idTemplate, stream: false })
    const { body } = await chat({ model: 'ids', messages, _debug_render_only: true })
    expect((body._debug_info as { rendered_template: string }).rendered_template).toBe('(first same)[first same a](second same)[second same b]')
    const { message } = await choice({ messages: [user('What is the weather in Paris?')], tools: [weather] })
    expect(message.tool_calls).toMatchObject([{ id: expect.stringMatching(/^call_\w+$/), index: 0, type: 'function' }])
  })

  test('mixed thinking+content (or +calls) split into two chunks; logprobs once for each token; metrics-only trailer adds no chunk', async () => {
    const messages = [user('What is 2 + 3?'), { role: 'assistant', content: 'It is 5.' }, user('What is 1 + 1?')]
    const { chunks } = await stream({ messages, logprobs: true, stream_options: { include_usage: true } })
    const deltas = chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta))
    expect(deltas.filter((delta) => delta.reasoning && delta.content)).toEqual([])
    expect([
      deltas.some((delta) => delta.reasoning),
      deltas.some((delta) => delta.content),
      deltas.filter((delta) => Object.keys(delta).length === 0).length,
    ]).toEqual([true, true, 1])
    const scores = chunks.flatMap(({ choices }) => (choices[0]?.logprobs as { content: unknown[] } | undefined)?.content ?? [])
    // The token that ends the reply is counted, but has no text.
    expect((chunks.at(-1)?.usage?.completion_tokens ?? 0) - scores.length).toBe(1)
  })

  test('gif/other mime, bad base64, plain text → invalid image input', async () => {
    const images = ['data:image/gif;base64,R0lGODlhAQABAAAAACw=', 'data:image/png;base64,%%%', 'hello']
    const answers = await Promise.all(images.map((url) => chat({ messages: [user([{ type: 'image_url', image_url: { url } }])] })))
    expect(answers).toEqual(images.map(() => ({ status: 400, body: envelope('invalid image input') })))
  })

  test('unknown parts and missing content are refused as the reference says', async () => {
    const messages = [
      user([{ type: 'wibble' }]),
      user(null),
      { role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: 'no json' } }] },
    ]
    const answers = await Promise.all(messages.map((message) => chat({ messages: [message] })))
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [400, envelope('invalid message format')],
      [400, envelope('invalid message content type: <nil>')],
      [400, envelope('invalid tool call arguments')],
    ])
  })

  test('assistant with tools + content / empty content / null content / reasoning all accepted; tool message by id or by name gets tool_name', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }
    const forms = [{ content: 'Let me see.' }, { content: '' }, { content: null }, { content: '', reasoning: 'I call the tool.' }]
    const results = [{ tool_call_id: 'call_1' }, { name: 'get_weather' }]
    for (const form of forms) {
      for (const result of results) {
        const reply = await choice({
          messages: [
            user('What is the weather in Paris?'),
            { role: 'assistant', tool_calls: [call], ...form },
            { role: 'tool', content: '21 degrees and sunny', ...result },
          ],
          tools: [weather],
        })
        expect(reply.message.content.trim(), JSON.stringify({ form, result })).toContain('21 degrees')
      }
    }
  })

  test('reasoning effort table; invalid → 400 text', async () => {
    const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'max', 'xhigh', 'ultra', '']
    const answers = await Promise.all(efforts.map((reasoning_effort) => chat({ messages: [question], reasoning_effort, max_tokens: 2 })))
    expect(answers.map(({ status }) => status)).toEqual(efforts.map(() => 200))
    expect(await chat({ messages: [question], reasoning: { effort: 'banana' } })).toEqual({
      status: 400,
      body: envelope('invalid reasoning value: "banana" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'),
    })
    expect(await chat({ model: 'smollm2:135m', messages: [question], reasoning_effort: 'high' })).toEqual({
      status: 400,
      body: envelope('"smollm2:135m" does not support thinking'),
    })
  })

  test('logprobs off by default; on → present non-stream and stream; omitted when none; top_logprobs 0–20', async () => {
    const off = await choice({ messages: [question], max_tokens: 2 })
    const on = await choice({ messages: [question], max_tokens: 2, logprobs: true })
    const { chunks } = await stream({ messages: [question], max_tokens: 2, logprobs: true, top_logprobs: 1 })
    expect(['logprobs' in off, on.logprobs?.content.length]).toEqual([false, 2])
    expect(chunks.flatMap(({ choices }) => (choices[0]?.logprobs as { content: unknown[] } | undefined)?.content ?? [])).toHaveLength(2)
    expect(await chat({ messages: [question], logprobs: true, top_logprobs: 21 })).toEqual({
      status: 400,
      body: envelope('top_logprobs must be between 0 and 20'),
    })
  })

  test("stream: role only in the first chunk; one timestamp; finish chunk's delta is exactly {}; no usage without include_usage; [DONE] last", async () => {
    const { chunks, done } = await stream({ messages: [question] })
    expect(chunks.map(({ choices }) => 'role' in (choices[0]?.delta ?? {}))).toEqual(chunks.map((_, index) => index === 0))
    expect([new Set(chunks.map(({ created }) => created)).size, new Set(chunks.map(({ id }) => id)).size, done]).toEqual([1, 1, true])
    expect(chunks.at(-1)?.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' })
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false)
  })

  test('usage chunk choices:[]', async () => {
    const { chunks } = await stream({ messages: [question], stream_options: { include_usage: true } })
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 17, completion_tokens: 12, total_tokens: 29 } })
    expect(chunks.slice(0, -1).some((chunk) => 'usage' in chunk && chunk.usage !== null)).toBe(false)
  })

  test('content chunk with empty string still has "content":"": reasoning chunks carry it', async () => {
    const messages = [user('What is 2 + 3?'), { role: 'assistant', content: 'It is 5.' }, user('What is 1 + 1?')]
    const { chunks } = await stream({ messages, reasoning_effort: 'high' })
    const reasoning = chunks.filter(({ choices }) => choices[0]?.delta.reasoning)
    expect(reasoning.length).toBeGreaterThan(0)
    expect(reasoning.every(({ choices }) => choices[0]?.delta.content === '')).toBe(true)
  })

  test('wholly empty completion still opens with a role chunk', async () => {
    const { chunks } = await stream({ messages: [question], stop: ['The'] })
    expect([chunks[0]?.choices[0]?.delta.role, chunks.at(-1)?.choices[0]?.finish_reason]).toEqual(['assistant', 'stop'])
  })

  test('finish reasons: stop, length, tool_calls (only overrides stop)', async () => {
    const reasons = [
      (await choice({ messages: [question] })).finish_reason,
      (await choice({ messages: [question], max_tokens: 1 })).finish_reason,
      (await choice({ messages: [user('What is the weather in Paris?')], tools: [weather] })).finish_reason,
      (await stream({ messages: [user('What is the weather in Paris?')], tools: [weather] })).chunks.at(-1)?.choices[0]?.finish_reason,
    ]
    expect(reasons).toEqual(['stop', 'length', 'tool_calls', 'tool_calls'])
  })

  test('response_format json_object on a model that thinks gives reasoning first, then text that begins as JSON', async () => {
    const { message } = await choice({ messages: [user('Give the capital of France as JSON.')], response_format: { type: 'json_object' }, max_tokens: 60 })
    expect([message.reasoning?.trim(), message.content.trimStart()[0]]).toEqual(['The user asks for the capital of France. It is Paris.', '{'])
  })

  test('native 400/404/500 converted to the envelope with the same status', async () => {
    expect([await chat({ model: 'nothing', messages: [question] }), await chat({ model: 'all-minilm', messages: [question] })]).toEqual([
      { status: 404, body: envelope("model 'nothing' not found", 'not_found_error') },
      { status: 400, body: envelope('"all-minilm" does not support chat') },
    ])
  })

  test('developer role and a system message in the middle are accepted', async () => {
    const reply = await choice({
      messages: [{ role: 'developer', content: 'Be brief.' }, question, { role: 'system', content: 'Be kind.' }, question],
      max_tokens: 8,
    })
    expect(typeof reply.message.content).toBe('string')
  })
})

describe('completions', () => {
  const complete = (body: Record<string, unknown>) =>
    post(server.url, '/v1/completions', { model: 'cria', prompt: 'What is the capital of France?', temperature: 0, ...body })

  test('prompt, suffix, stop list', async () => {
    const plain = await complete({ stop: ['zz', ' of'] })
    expect([(plain.body.choices as { text: string }[])[0]?.text, (await complete({ suffix: 'b' })).status]).toEqual(['The capital', 400])
    expect(await complete({ stop: [5] })).toEqual({ status: 400, body: envelope("invalid type for 'stop' field: float64") })
  })

  test("temperature defaults: 1.0 where nothing is said, the model's own parameter over it", async () => {
    const texts = async (model: string) => {
      const replies = await Promise.all([1, 2, 3, 4].map(() => complete({ model, temperature: undefined, max_tokens: 24 })))
      return new Set(replies.map(({ body }) => (body.choices as { text: string }[])[0]?.text))
    }
    expect(await texts('cold')).toEqual(new Set([answer]))
    expect((await texts('endless')).size).toBeGreaterThan(1)
  })

  test('stream with and without usage (zeroed usage on normal chunks)', async () => {
    const plain = await postEvents(server.url, '/v1/completions', { model: 'cria', prompt: 'What is the capital of France?', temperature: 0, stream: true })
    const counted = await postEvents(server.url, '/v1/completions', {
      model: 'cria',
      prompt: 'What is the capital of France?',
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    })
    const usages = (events: unknown[]) =>
      events.filter((event) => event !== '[DONE]').map((event) => (event as { usage?: { total_tokens: number } }).usage?.total_tokens)
    expect([plain.at(-1), new Set(usages(plain))]).toEqual(['[DONE]', new Set([undefined])])
    expect([counted.at(-1), new Set(usages(counted).slice(0, -1)), usages(counted).at(-1)]).toEqual(['[DONE]', new Set([0]), 29])
  })

  test('error forwarding', async () => {
    expect(await complete({ model: 'nothing' })).toEqual({ status: 404, body: envelope("model 'nothing' not found", 'not_found_error') })
  })
})

describe('embeddings', () => {
  const embed = (body: Record<string, unknown>) => post(server.url, '/v1/embeddings', { model: 'all-minilm', ...body })

  test('empty slice → empty string: "" is embedded, nothing is refused', async () => {
    const { status, body } = await embed({ input: '' })
    expect([status, (body.data as { embedding: number[] }[]).map(({ embedding }) => embedding.length)]).toEqual([200, [384]])
    expect([await embed({ input: [] }), await embed({})]).toEqual([
      { status: 400, body: envelope('invalid input') },
      { status: 400, body: envelope('invalid input') },
    ])
  })

  test('invalid format error; error forwarding', async () => {
    expect(await embed({ input: 'a', encoding_format: 'hex' })).toEqual({
      status: 400,
      body: envelope("Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']."),
    })
    expect((await embed({ input: 'a', model: 'nothing' })).body).toEqual(envelope('model "nothing" not found, try pulling it first', 'not_found_error'))
  })
})

describe('models', () => {
  test('list ids equal /api/tags model; created from modified_at; owner = namespace', async () => {
    const { models } = await get<{ models: { model: string; modified_at: string }[] }>(server.url, '/api/tags')
    const { data } = await get<{ data: { id: string; created: number; owned_by: string }[] }>(server.url, '/v1/models')
    expect(data.map(({ id, created }) => [id, created])).toEqual(models.map(({ model, modified_at }) => [model, Math.floor(Date.parse(modified_at) / 1000)]))
    expect(data.find(({ id }) => id === 'mine/cria:v1')?.owned_by).toBe('mine')
  })

  test('retrieve, ids with slashes too; unknown → 404 envelope', async () => {
    const one = await exchange(server.url, { method: 'GET', path: '/v1/models/mine/cria:v1' })
    const none = await exchange(server.url, { method: 'GET', path: '/v1/models/nothing' })
    expect([one.status, JSON.parse(one.text)]).toEqual([200, { id: 'mine/cria:v1', object: 'model', created: expect.any(Number), owned_by: 'mine' }])
    expect([none.status, JSON.parse(none.text)]).toEqual([404, envelope("model 'nothing:latest' not found", 'not_found_error')])
  })
})
