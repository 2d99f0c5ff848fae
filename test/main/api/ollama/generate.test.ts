import { expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import type { ChatRequest, GenerationEvent } from '../../../../main/generation/events.ts'
import type { ToolCall } from '../../../../main/prompt/messages.ts'
import { api, doneEvent, fails, ndjsonOf, notFound, post, promptEvent, says } from '../services.ts'

const user = [{ role: 'user', content: 'hi' }]
const call = (index: number): ToolCall => ({ id: `call_${index}`, index, name: 'get_weather', arguments: { city: 'Paris' } })
const wireCall = (index: number) => ({ id: `call_${index}`, function: { index, name: 'get_weather', arguments: { city: 'Paris' } } })
const created_at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
const final = {
  done: true,
  done_reason: 'stop',
  total_duration: 4_000_000,
  load_duration: 250_000,
  prompt_eval_count: 7,
  prompt_eval_cached_count: 3,
  prompt_eval_duration: 1_500_000,
  eval_count: 2,
  eval_duration: 2_000_000,
}

async function* events(...list: GenerationEvent[]): AsyncGenerator<GenerationEvent> {
  yield* list
}

test('a generate stream is a line per piece and a last line with the figures', async () => {
  const answer = await post(api({ complete: () => says(['a', 'b\n']) }), '/api/generate', { model: 'm', prompt: 'x' })
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
  expect(await ndjsonOf(answer)).toEqual([
    { model: 'm', created_at, response: 'a', done: false },
    { model: 'm', created_at, response: 'b\n', done: false },
    { model: 'm', created_at, response: '', ...final },
  ])
})

test('without a stream the same events are one object', async () => {
  const answer = await post(api({ complete: () => says(['a', 'b']) }), '/api/generate', { model: 'm', prompt: 'x', stream: false })
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(await answer.json()).toEqual({ model: 'm', created_at, response: 'ab', ...final })
})

test('the ids of prompt and reply are the context of the last object', async () => {
  const withTokens = () => events(promptEvent(), { ...doneEvent(), tokens: [1, 2] })
  const answer = await post(api({ complete: withTokens }), '/api/generate', { model: 'm', prompt: 'x', stream: false })
  expect(await answer.json()).toMatchObject({ context: [1, 2] })
})

test.each(['load', 'unload'] as const)('%s is one object even when a stream is asked for', async (reason) => {
  const idle = () => events({ type: 'load', fraction: 1 }, doneEvent('none', reason))
  const app = api({ complete: idle, chat: idle })
  const generated = await post(app, '/api/generate', { model: 'm' })
  expect(generated.headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(await generated.json()).toEqual({ model: 'm', created_at, response: '', done: true, done_reason: reason })
  const chatted = await post(app, '/api/chat', { model: 'm' })
  expect(await chatted.json()).toEqual({ model: 'm', created_at, message: { role: 'assistant', content: '' }, done: true, done_reason: reason })
})

test('_debug_render_only gives the prompt alone', async () => {
  const rendered = () => events({ type: 'rendered', prompt: '<s>x', imageCount: 2 })
  const app = api({ complete: rendered, chat: rendered })
  const _debug_info = { rendered_template: '<s>x', image_count: 2 }
  const generated = await post(app, '/api/generate', { model: 'm', prompt: 'x', _debug_render_only: true })
  expect(await generated.json()).toEqual({ model: 'm', created_at, response: '', done: false, _debug_info })
  const chatted = await post(app, '/api/chat', { model: 'm', messages: user, _debug_render_only: true })
  expect(await chatted.json()).toEqual({ model: 'm', created_at, message: { role: '', content: '' }, done: false, _debug_info })
})

test('tool calls of a Jinja model are in the last line', async () => {
  const chat = () =>
    events(
      promptEvent('jinja'),
      { type: 'thinking', text: 'hm' },
      { type: 'tool-call', call: call(0) },
      { type: 'tool-call', call: call(1) },
      doneEvent('jinja'),
    )
  expect(await ndjsonOf(await post(api({ chat }), '/api/chat', { model: 'm', messages: user }))).toEqual([
    { model: 'm', created_at, message: { role: 'assistant', content: '', thinking: 'hm' }, done: false },
    { model: 'm', created_at, message: { role: 'assistant', content: '', tool_calls: [wireCall(0), wireCall(1)] }, ...final },
  ])
})

test('tool calls of a Go template have lines of their own', async () => {
  const chat = () => events(promptEvent('go'), { type: 'tool-call', call: call(0) }, doneEvent('go'))
  expect(await ndjsonOf(await post(api({ chat }), '/api/chat', { model: 'm', messages: user }))).toEqual([
    { model: 'm', created_at, message: { role: 'assistant', content: '', tool_calls: [wireCall(0)] }, done: false },
    { model: 'm', created_at, message: { role: 'assistant', content: '' }, ...final },
  ])
})

test('without a stream thinking, text and calls are one message', async () => {
  const chat = () =>
    events(
      promptEvent(),
      { type: 'thinking', text: 'h' },
      { type: 'thinking', text: 'm' },
      { type: 'text', text: 'ok' },
      { type: 'tool-call', call: call(0) },
      doneEvent(),
    )
  expect(await (await post(api({ chat }), '/api/chat', { model: 'm', messages: user, stream: false })).json()).toMatchObject({
    message: { role: 'assistant', content: 'ok', thinking: 'hm', tool_calls: [wireCall(0)] },
  })
})

test('log-probabilities ride on their line, and all of them on the whole answer', async () => {
  const top = [{ token: 'a', bytes: [97], logprob: -0.1 }]
  const complete = () =>
    events(
      promptEvent(),
      { type: 'text', text: 'a', logprobs: [{ token: 'a', bytes: [97], logprob: -0.1, top }] },
      { type: 'text', text: '', logprobs: [{ token: '', bytes: [], logprob: -2, top: [] }] },
      doneEvent(),
    )
  const one = { token: 'a', bytes: [97], logprob: -0.1, top_logprobs: [{ token: 'a', bytes: [97], logprob: -0.1 }] }
  const lines = await ndjsonOf(await post(api({ complete }), '/api/generate', { model: 'm', prompt: 'x', logprobs: true }))
  expect(lines.map(({ response, logprobs }) => [response, logprobs])).toEqual([
    ['a', [one]],
    ['', [{ token: '', logprob: -2 }]],
    ['', undefined],
  ])
  const whole = await post(api({ complete }), '/api/generate', { model: 'm', prompt: 'x', logprobs: true, stream: false })
  expect(await whole.json()).toMatchObject({ logprobs: [one, { token: '', logprob: -2 }] })
})

test('what was cut from the prompt is in a header and in the last object', async () => {
  const truncation = { droppedMessages: 2, droppedTokens: 713, keptTokens: 90, contextLength: 256 }
  const chat = () => events({ ...promptEvent(), truncation } as GenerationEvent, { type: 'text', text: 'a' }, { ...doneEvent(), truncation })
  const answer = await post(api({ chat }), '/api/chat', { model: 'm', messages: user })
  expect(answer.headers.get('x-context-truncated')).toBe('messages=2; tokens=713')
  expect((await ndjsonOf(answer)).at(-1)).toMatchObject({ truncation: { dropped_messages: 2, dropped_tokens: 713, kept_tokens: 90, num_ctx: 256 } })
  const whole = await post(api({ chat }), '/api/chat', { model: 'm', messages: user, stream: false })
  expect(whole.headers.get('x-context-truncated')).toBe('messages=2; tokens=713')
})

test('a failure before the first word has its own status, streaming or not', async () => {
  const app = api({ chat: () => fails(notFound, [{ type: 'load', fraction: 0.5 }, promptEvent()]) })
  for (const stream of [true, false]) {
    const answer = await post(app, '/api/chat', { model: 'x', messages: user, stream })
    expect([answer.status, await answer.json()]).toEqual([404, { error: "model 'x' not found" }])
  }
})

test('a failure after the first word is a line, and the stream ends properly', async () => {
  const crash = new AppError('runner-crashed', 'model runner has unexpectedly stopped')
  const answer = await post(api({ chat: () => fails(crash, [promptEvent(), { type: 'text', text: 'a' }]) }), '/api/chat', { model: 'm', messages: user })
  expect([answer.status, await ndjsonOf(answer)]).toEqual([
    200,
    [{ model: 'm', created_at, message: { role: 'assistant', content: 'a' }, done: false }, { error: 'model runner has unexpectedly stopped' }],
  ])
})

test('a failure after the first word of a whole answer has its status', async () => {
  const crash = new AppError('runner-crashed', 'gone')
  const answer = await post(api({ chat: () => fails(crash, [{ type: 'text', text: 'a' }]) }), '/api/chat', { model: 'm', messages: user, stream: false })
  expect([answer.status, await answer.json()]).toEqual([500, { error: 'gone' }])
})

test('a chat says what the service needs: roles in lower case, calls, pictures, tools as they were', async () => {
  const seen: ChatRequest[] = []
  const app = api({
    chat: (request) => {
      seen.push(request)
      return says([])
    },
  })
  const tool = {
    type: 'function',
    function: { name: 'f', parameters: { type: 'object', properties: { z: { default: null, minimum: 1 }, a: {} }, additionalProperties: false } },
  }
  await post(app, '/api/chat', {
    model: 'm',
    messages: [
      { Role: 'User', content: 'hi', images: ['aGVsbG8='] },
      { role: 'assistant', thinking: 't', tool_calls: [{ function: { name: 'f', arguments: { b: null, a: 1 } } }] },
      { role: 'tool', content: 'r', tool_name: 'f', tool_call_id: 'c' },
    ],
    tools: [tool],
    options: { num_ctx: 9, wibble: null },
    keep_alive: '1m',
    think: 'high',
    truncate: false,
    shift: false,
    logprobs: true,
    format: { type: 'object' },
  })
  expect(seen).toEqual([
    {
      model: 'm',
      messages: [
        { role: 'user', content: 'hi', images: [Buffer.from('hello')] },
        { role: 'assistant', content: '', thinking: 't', toolCalls: [{ id: '', index: 0, name: 'f', arguments: { b: null, a: 1 } }] },
        { role: 'tool', content: 'r', toolName: 'f', toolCallId: 'c' },
      ],
      tools: [tool],
      toolChoice: 'auto',
      options: { num_ctx: 9, wibble: null },
      keepAliveMs: 60_000,
      format: { type: 'schema', schema: { type: 'object' } },
      think: 'high',
      truncate: false,
      shift: false,
      topLogprobs: 0,
      renderOnly: false,
    },
  ])
  expect(JSON.stringify(seen[0]?.tools)).toBe(JSON.stringify([tool]))
})

test.each([
  ['/api/chat', {}, 400, 'model is required'],
  ['/api/chat', { model: 'm', messages: {} }, 400, 'messages must be an array, not an object'],
  ['/api/chat', { model: 'm', messages: [{ role: 'user', content: [{ type: 'text' }] }] }, 400, 'messages[0].content must be a string, not an array'],
  ['/api/chat', { model: 'm', messages: [], tools: 'weather' }, 400, 'tools must be an array, not a string'],
  [
    '/api/chat',
    { model: 'm', messages: [{ role: 'a', tool_calls: [{ function: { name: 'f', arguments: '{}' } }] }] },
    400,
    'messages[0].tool_calls[0].function.arguments must be an object, not a string',
  ],
  ['/api/chat', { model: 'm', top_logprobs: 21 }, 400, 'top_logprobs must be between 0 and 20'],
  ['/api/generate', { model: 'm', top_logprobs: -1 }, 400, 'top_logprobs must be between 0 and 20'],
])('%s with %j is %s %s', async (where, body, status, error) => {
  const answer = await post(api(), where, body)
  expect([answer.status, await answer.json()]).toEqual([status, { error }])
})

test('hanging up aborts the signal of the generation and closes its events', async () => {
  const ends: string[] = []
  const app = api({
    chat: async function* (_request, signal) {
      try {
        yield { type: 'text', text: 'a' }
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      } finally {
        ends.push(String((signal.reason as Error).message))
      }
    },
  })
  const caller = new AbortController()
  const answer = await app.request('/api/chat', {
    method: 'POST',
    body: JSON.stringify({ model: 'm', messages: user }),
    headers: { host: 'localhost' },
    signal: caller.signal,
  })
  const reader = answer.body!.getReader()
  await reader.read()
  caller.abort()
  await expect.poll(() => ends).toEqual(['request canceled'])
})
