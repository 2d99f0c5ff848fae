import { expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import type { ChatRequest, CompletionRequest, GenerationEvent } from '../../../../main/generation/events.ts'
import type { displayName } from '../../../../main/models/name.ts'
import { api, doneEvent, fails, notFound, post, promptEvent, says, sseOf, summary } from '../services.ts'

const user = [{ role: 'user', content: 'hi' }]
const id = expect.stringMatching(/^chatcmpl-\w+$/)
const created = expect.any(Number)
const usage = { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9, prompt_tokens_details: { cached_tokens: 3 } }
const chunkOf = (delta: object, finish_reason: string | null = null, more: object = {}) => ({
  id,
  object: 'chat.completion.chunk',
  created,
  model: 'm',
  system_fingerprint: 'fp_ollama',
  choices: [{ index: 0, delta, finish_reason, ...more }],
})

async function* events(...list: GenerationEvent[]): AsyncGenerator<GenerationEvent> {
  yield* list
}

/** What the chat service is asked for a body, or the status and message of the refusal. */
async function asked(body: object): Promise<ChatRequest | [number, string]> {
  let request: ChatRequest | null = null
  const app = api({
    chat: (given) => {
      request = given
      return says([])
    },
  })
  const answer = await post(app, '/v1/chat/completions', { model: 'm', messages: user, ...body })
  return request ?? [answer.status, ((await answer.json()) as { error: { message: string } }).error.message]
}

test('a chat stream: the role once, words, an empty delta with the reason, [DONE]', async () => {
  const answer = await post(api({ chat: () => says(['a', 'b']) }), '/v1/chat/completions', { model: 'm', messages: user, stream: true })
  expect(answer.headers.get('content-type')).toBe('text/event-stream')
  const sent = await sseOf(answer)
  expect(sent).toEqual([chunkOf({ role: 'assistant', content: 'a' }), chunkOf({ content: 'b' }), chunkOf({}, 'stop'), '[DONE]'])
  const named = (sent.slice(0, -1) as { id: string; created: number }[]).map((chunk) => `${chunk.id} ${chunk.created}`)
  expect(new Set(named).size).toBe(1)
})

test('include_usage adds a chunk without choices before the end', async () => {
  const body = { model: 'm', messages: user, stream: true, stream_options: { include_usage: true } }
  const sent = await sseOf(await post(api({ chat: () => says(['a']) }), '/v1/chat/completions', body))
  expect(sent.slice(-2)).toEqual([{ id, object: 'chat.completion.chunk', created, model: 'm', system_fingerprint: 'fp_ollama', choices: [], usage }, '[DONE]'])
  expect(sent.slice(0, -2).some((chunk) => 'usage' in (chunk as object))).toBe(false)
})

test('thinking is reasoning, a call has its arguments as text, and the reason becomes tool_calls', async () => {
  const call = { id: 'call_1', index: 0, name: 'f', arguments: { city: 'Paris' } }
  const chat = () => events(promptEvent(), { type: 'thinking', text: 'hm' }, { type: 'tool-call', call }, doneEvent())
  const tool_calls = [{ id: 'call_1', index: 0, type: 'function', function: { name: 'f', arguments: '{"city":"Paris"}' } }]
  const body = { model: 'm', messages: user }
  expect(await sseOf(await post(api({ chat }), '/v1/chat/completions', { ...body, stream: true }))).toEqual([
    chunkOf({ role: 'assistant', content: '', reasoning: 'hm' }),
    chunkOf({ content: '', tool_calls }),
    chunkOf({}, 'tool_calls'),
    '[DONE]',
  ])
  const whole = await post(api({ chat }), '/v1/chat/completions', body)
  expect(whole.headers.get('content-type')).toBe('application/json')
  expect(await whole.json()).toEqual({
    id,
    object: 'chat.completion',
    created,
    model: 'm',
    system_fingerprint: 'fp_ollama',
    choices: [{ index: 0, message: { role: 'assistant', content: '', reasoning: 'hm', tool_calls }, finish_reason: 'tool_calls' }],
    usage,
  })
})

test('length stays length even when tools were called', async () => {
  const call = { id: 'c', index: 0, name: 'f', arguments: {} }
  const chat = () => events(promptEvent(), { type: 'tool-call', call }, doneEvent('jinja', 'length'))
  expect(await (await post(api({ chat }), '/v1/chat/completions', { model: 'm', messages: user })).json()).toMatchObject({
    choices: [{ finish_reason: 'length' }],
  })
})

test('an empty reply still opens with a role', async () => {
  const sent = await sseOf(await post(api({ chat: () => says([]) }), '/v1/chat/completions', { model: 'm', messages: user, stream: true }))
  expect(sent).toEqual([chunkOf({ role: 'assistant', content: '' }), chunkOf({}, 'stop'), '[DONE]'])
})

test('log-probabilities are in the choice, streamed or whole', async () => {
  const logprob = { token: 'a', bytes: [97], logprob: -0.5, top: [] }
  const chat = () => events(promptEvent(), { type: 'text', text: 'a', logprobs: [logprob] }, doneEvent())
  const logprobs = { content: [{ token: 'a', bytes: [97], logprob: -0.5 }] }
  const body = { model: 'm', messages: user, logprobs: true, top_logprobs: 0 }
  expect((await sseOf(await post(api({ chat }), '/v1/chat/completions', { ...body, stream: true })))[0]).toEqual(
    chunkOf({ role: 'assistant', content: 'a' }, null, { logprobs }),
  )
  expect(await (await post(api({ chat }), '/v1/chat/completions', body)).json()).toMatchObject({ choices: [{ logprobs }] })
})

test('an error after the first word is an error event without [DONE]', async () => {
  const crash = new AppError('runner-crashed', 'gone')
  const app = api({ chat: () => fails(crash, [promptEvent(), { type: 'text', text: 'a' }]) })
  expect((await sseOf(await post(app, '/v1/chat/completions', { model: 'm', messages: user, stream: true }))).at(-1)).toEqual({
    error: { message: 'gone', type: 'api_error', param: null, code: null },
  })
})

test('an error before it has its status, and the envelope without a charset', async () => {
  const answer = await post(api({ chat: () => fails(notFound) }), '/v1/chat/completions', { model: 'x', messages: user, stream: true })
  expect([answer.status, answer.headers.get('content-type'), await answer.json()]).toEqual([
    404,
    'application/json',
    { error: { message: "model 'x' not found", type: 'not_found_error', param: null, code: null } },
  ])
})

test.each([
  ['', 'EOF'],
  ['{', 'unexpected end of the request body: the JSON is not complete'],
  ['{"model":"m","messages":[]}', "[] is too short - 'messages'"],
  ['{"model":"m"}', "[] is too short - 'messages'"],
])('body %j is refused with a charset: %s', async (body, message) => {
  const answer = await post(api(), '/v1/chat/completions', body)
  expect([answer.status, answer.headers.get('content-type'), await answer.json()]).toEqual([
    400,
    'application/json; charset=utf-8',
    { error: { message, type: 'invalid_request_error', param: null, code: null } },
  ])
})

test('options go by the native names; what was not given is left to model and dialect', async () => {
  expect(await asked({})).toMatchObject({
    options: {},
    dialectDefaults: { temperature: 1, top_p: 1 },
    keepAliveMs: null,
    think: null,
    toolChoice: 'auto',
    tools: [],
  })
  expect(
    await asked({
      max_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      seed: 7,
      frequency_penalty: 1,
      presence_penalty: -1,
      stop: 'x',
      logit_bias: { 5: -100 },
      num_ctx: 512,
      options: { mirostat: 1, temperature: 2 },
      keep_alive: '1m',
    }),
  ).toMatchObject({
    options: {
      mirostat: 1,
      num_predict: 5,
      temperature: 0,
      top_p: 0.5,
      seed: 7,
      frequency_penalty: 1,
      presence_penalty: -1,
      stop: ['x'],
      logit_bias: { 5: -100 },
      num_ctx: 512,
    },
    keepAliveMs: 60_000,
  })
  expect(await asked({ stop: ['a', 5, 'b'], max_completion_tokens: 3 })).toMatchObject({ options: { stop: ['a', 'b'], num_predict: 3 } })
})

test.each([
  ['none', false],
  ['minimal', 'low'],
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'max'],
  ['ultra', 'max'],
  ['max', 'max'],
  ['', null],
])('reasoning_effort %j is think %j', async (effort, think) => {
  expect(await asked({ reasoning_effort: effort })).toMatchObject({ think })
  expect(await asked({ reasoning: { effort }, reasoning_effort: effort === '' ? '' : 'low' })).toMatchObject({ think })
})

test.each([
  [undefined, null],
  [{ type: 'text' }, null],
  [{ type: ' JSON_object ' }, { type: 'json' }],
  [
    { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'object' } } },
    { type: 'schema', schema: { type: 'object' } },
  ],
])('response_format %j is format %j', async (response_format, format) => {
  expect(await asked({ response_format })).toMatchObject({ format })
})

test.each([
  ['json', 'response_format must be an object, not a string'],
  [{ type: 'json_schema' }, 'response_format.json_schema.schema must be an object'],
  [{ type: 'json_schema', json_schema: { name: 'a', schema: 'b' } }, 'response_format.json_schema.schema must be an object'],
])('response_format %j is refused in words', async (response_format, message) => {
  const answer = await post(api(), '/v1/chat/completions', { model: 'x', messages: [{ role: 'user', content: 'a' }], response_format })
  expect([answer.status, await answer.json()]).toMatchObject([400, { error: { message, type: 'invalid_request_error' } }])
})

test.each([
  ['none', 'none'],
  ['required', 'required'],
  ['auto', 'auto'],
  [{ type: 'function', function: { name: 'f' } }, { name: 'f' }],
])('tool_choice %j is %j', async (tool_choice, toolChoice) => {
  const tools = [{ type: 'function', function: { name: 'f' } }]
  expect(await asked({ tool_choice, tools })).toMatchObject({ toolChoice })
})

test('tool_choice that names no tool is refused; allowed_tools leaves those that it names', async () => {
  const tools = ['f', 'g'].map((name) => ({ type: 'function', function: { name } }))
  expect(await asked({ tools, tool_choice: { type: 'function', function: { name: 'x' } } })).toEqual([400, 'tool_choice: no tool is named "x"'])
  expect(await asked({ tools, tool_choice: { type: 'allowed_tools', allowed_tools: { tools: [{ type: 'function', function: { name: 'x' } }] } } })).toEqual([
    400,
    'tool_choice: no tool is named "x"',
  ])
  const allowed = { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] }
  expect(await asked({ tools, tool_choice: { type: 'allowed_tools', allowed_tools: allowed } })).toMatchObject({ tools: [tools[1]], toolChoice: 'required' })
})

test('parallel_tool_calls, thinking_budget and n go on as they are meant', async () => {
  expect(await asked({ parallel_tool_calls: false, thinking_budget: 7 })).toMatchObject({ parallelCalls: false, options: { thinking_budget: 7 } })
  expect(await asked({ parallel_tool_calls: true, seed: 4 })).not.toHaveProperty('parallelCalls')
  expect(await asked({ n: 0 })).toEqual([400, 'n: must be between 1 and 128'])
})

const png = `data:image/png;base64,${Buffer.from('hello').toString('base64')}`

test('each part of a list is a message of its own; calls and ids belong to the last', async () => {
  expect(
    await asked({
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'image_url', image_url: { url: png } },
            { type: 'image_url', image_url: png.replace('image/png', '') },
          ],
        },
        { role: 'Assistant', content: null, reasoning: 'r', tool_calls: [{ id: 'c1', function: { name: 'f', arguments: '{"b":1,"a":2}' } }] },
        { role: 'assistant', content: '', tool_calls: [{ id: 'c1', function: { name: 'g', arguments: '{}' } }] },
        { role: 'tool', content: 'x', tool_call_id: 'c1' },
        { role: 'tool', content: 'x', name: 'h', tool_call_id: 'c1' },
        { role: 'developer', content: 'd' },
      ],
    }),
  ).toMatchObject({
    messages: [
      { role: 'user', content: 'a' },
      { role: 'user', content: '', images: [Buffer.from('hello')] },
      { role: 'user', content: '', images: [Buffer.from('hello')] },
      { role: 'assistant', content: '', thinking: 'r', toolCalls: [{ id: 'c1', index: 0, name: 'f', arguments: { b: 1, a: 2 } }] },
      { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'g' }] },
      { role: 'tool', content: 'x', toolName: 'g', toolCallId: 'c1' },
      { role: 'tool', toolName: 'h' },
      { role: 'developer', content: 'd' },
    ],
  })
})

const parts = (...content: unknown[]) => ({ messages: [{ role: 'user', content }] })

test.each([
  [{ messages: [{ role: 'user', content: 5 }] }, 'invalid message content type: float64'],
  [{ messages: [{ role: 'user' }] }, 'invalid message content type: <nil>'],
  [{ messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: '' } }] }] }, 'invalid tool call arguments'],
  [parts({ type: 'video' }), 'invalid message format'],
  [parts('x'), 'invalid message format'],
  [parts({ type: 'image_url', image_url: { url: 'https://a.b/c.png' } }), 'image URLs are not currently supported, please use base64 encoded data instead'],
  [parts({ type: 'image_url', image_url: 'data:image/gif;base64,aGk=' }), 'invalid image input'],
  [parts({ type: 'image_url', image_url: 'data:image/png;base64,%%%' }), 'invalid image input'],
  [parts({ type: 'input_audio', input_audio: { format: 'wav' } }), 'invalid input_audio format: missing data'],
  [parts({ type: 'input_audio' }), 'invalid input_audio format'],
  [{ temperature: 'hot' }, 'temperature must be a number, not a string'],
  [{ top_logprobs: 21, logprobs: true }, 'top_logprobs must be between 0 and 20'],
  [{ model: '' }, 'model is required'],
  [{ reasoning_effort: 'banana' }, 'invalid reasoning value: "banana" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'],
])('%j is refused: %s', async (body, message) => {
  expect(await asked(body)).toEqual([400, message])
})

test('a text stream carries zeros until the last chunk where usage is wanted', async () => {
  const complete = () => events(promptEvent(), { type: 'thinking', text: 'hm' }, { type: 'text', text: 'a' }, doneEvent())
  const body = { model: 'm', prompt: 'x', stream: true, stream_options: { include_usage: true } }
  const sent = (await sseOf(await post(api({ complete }), '/v1/completions', body))) as { choices: unknown[]; usage: unknown }[]
  const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }
  expect(sent.slice(0, -1).map((chunk) => [chunk.choices, chunk.usage])).toEqual([
    [[{ text: 'a', index: 0, finish_reason: null }], zero],
    [[{ text: '', index: 0, finish_reason: 'stop' }], zero],
    [[], usage],
  ])
  expect(sent.at(-1)).toBe('[DONE]')
})

test('a text completion is one object; an empty prompt only loads', async () => {
  const whole = await post(api({ complete: () => says(['a', 'b']) }), '/v1/completions', { model: 'm', prompt: 'x' })
  expect(await whole.json()).toMatchObject({ object: 'text_completion', choices: [{ text: 'ab', index: 0, finish_reason: 'stop' }], usage })
  const loaded = await post(api({ complete: () => events(doneEvent('none', 'load')) }), '/v1/completions', { model: 'm' })
  expect(await loaded.json()).toMatchObject({ choices: [{ text: '', finish_reason: 'load' }] })
})

test('a text request: top_p 0 counts as absent, a stop that is no text is refused', async () => {
  const seen: CompletionRequest[] = []
  const app = api({
    complete: (request) => {
      seen.push(request)
      return says([])
    },
  })
  await post(app, '/v1/completions', { model: 'm', prompt: 'p', suffix: 's', top_p: 0, stop: 'x' })
  expect(seen).toMatchObject([{ prompt: 'p', suffix: 's', options: { stop: ['x'] }, dialectDefaults: { top_p: 1 } }])
  expect(seen[0]?.options).not.toHaveProperty('top_p')
  const refusal = async (body: object) =>
    ((await (await post(app, '/v1/completions', { model: 'm', ...body })).json()) as { error: { message: string } }).error.message
  expect(await refusal({ stop: ['a', 5] })).toBe("invalid type for 'stop' field: float64")
  const odd = 'prompt must be a string, a list of token ids, or a list of such prompts'
  expect([await refusal({ prompt: ['a', 5] }), await refusal({ prompt: [] }), await refusal({ prompt: 5 })]).toEqual([odd, odd, odd])
  expect(await refusal({ prompt: [1], suffix: 's' })).toBe('a prompt of token ids takes no suffix')
  expect(await refusal({ n: 3, best_of: 2 })).toBe('best_of must not be smaller than n')
  expect(await refusal({ best_of: 2, stream: true })).toContain('best_of cannot be streamed')
  expect(await refusal({ echo: true, logprobs: 1 })).toContain('echo with logprobs is not supported')
  expect(await refusal({ prompt: Array.from({ length: 100 }, () => 'a'), n: 128 })).toContain('2048 replies at most, not 12800')
})

test('embeddings in floats and in base64 are the same numbers', async () => {
  const app = api({ embed: async () => ({ embeddings: [[0.25, -1.5]], promptTokens: 3, totalMs: 1, loadMs: 0 }) })
  const plain = await (await post(app, '/v1/embeddings', { model: 'm', input: 'a' })).json()
  expect(plain).toEqual({
    object: 'list',
    data: [{ object: 'embedding', embedding: [0.25, -1.5], index: 0 }],
    model: 'm',
    usage: { prompt_tokens: 3, total_tokens: 3 },
  })
  const packed = (await (await post(app, '/v1/embeddings', { model: 'm', input: 'a', encoding_format: 'BASE64' })).json()) as { data: { embedding: string }[] }
  const bytes = Buffer.from(packed.data[0]!.embedding, 'base64')
  expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([0.25, -1.5])
})

test.each([
  [{}, 'invalid input'],
  [{ input: [] }, 'invalid input'],
  [{ input: [1, 'a'] }, 'invalid input type'],
  [{ input: [1.5] }, 'invalid input type'],
  [{ input: 'a', encoding_format: 'hex' }, "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']."],
])('embeddings of %j are refused: %s', async (body, message) => {
  const answer = await post(api(), '/v1/embeddings', { model: 'm', ...body })
  expect([answer.status, ((await answer.json()) as { error: { message: string } }).error.message]).toEqual([400, message])
})

test('"" is embedded as one empty text', async () => {
  const inputs: unknown[] = []
  const app = api({
    embed: async ({ input }) => {
      inputs.push(input)
      return { embeddings: [[1]], promptTokens: 2, totalMs: 1, loadMs: 0 }
    },
  })
  await post(app, '/v1/embeddings', { model: 'm', input: '' })
  expect(inputs).toEqual([['']])
})

test('models are listed and found, by ids with slashes too', async () => {
  const library = {
    list: async () => [summary('cria')],
    resolve: async (name: Parameters<typeof displayName>[0]) => (name.model === 'none' ? null : (summary('b', { name }) as never)),
    copy: async () => false,
    delete: async () => false,
    hide: async () => false,
    restore: async () => 0,
    store: { offers: async () => false, blobs: { write: async () => Promise.reject(new Error()) } },
  }
  const get = async (where: string) => (await api({ library }).request(where, { headers: { host: 'localhost' } })).json()
  const entry = { object: 'model', created: 1_767_323_045 }
  expect(await get('/v1/models')).toEqual({ object: 'list', data: [{ id: 'cria:latest', owned_by: 'library', ...entry }] })
  expect(await get('/v1/models/hf.co/me/b:Q4_K_M')).toEqual({ id: 'hf.co/me/b:Q4_K_M', owned_by: 'me', ...entry })
  expect(await get('/v1/models/none')).toEqual({ error: { message: "model 'none:latest' not found", type: 'not_found_error', param: null, code: null } })
})
