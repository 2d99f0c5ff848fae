import { describe, expect, test } from 'vitest'
import type { UpstreamChat } from '../../../main/upstream/engine.ts'
import { chatBody, completionBody, messagesBody } from '../../../main/upstream/openai-request.ts'
import { chat, events, failure, rawEngine, registry, sendJson, sse, streaming } from './raw-engine.ts'

const delta = (fields: object, more: object = {}) => ({ choices: [{ index: 0, delta: fields, finish_reason: null, ...more }] })
const finish = (reason: string, more: object = {}) => ({ choices: [{ index: 0, delta: {}, finish_reason: reason, ...more }] })
const unknownUsage = { promptTokens: null, cachedTokens: null, thinkingTokens: null, loadMs: null, promptMs: null, generateMs: null }

async function said(text: string, request: Partial<UpstreamChat> = {}) {
  await using engine = await streaming([text])
  return await events(engine.url, request)
}

describe('chatEvents', () => {
  test("vLLM's reasoning and usage", async () => {
    const told = await said(
      sse(
        delta({ role: 'assistant', content: '' }),
        delta({ reasoning: 'Hm', reasoning_content: 'Hm' }),
        delta({ reasoning: '.' }),
        delta({ content: 'Yes' }),
        finish('stop', { stop_reason: '\n\n' }),
        { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10, prompt_tokens_details: { cached_tokens: 4 } } },
      ),
    )
    expect(told).toEqual([
      { type: 'accepted' },
      { type: 'thinking', text: 'Hm' },
      { type: 'thinking', text: '.' },
      { type: 'text', text: 'Yes' },
      { type: 'done', reason: 'stop', stopString: '\n\n', usage: { ...unknownUsage, promptTokens: 7, cachedTokens: 4, completionTokens: 3 } },
    ])
  })

  test("llama.cpp's timings, CRLF, comments and an end without [DONE]", async () => {
    const timings = { cache_n: 2, prompt_n: 5, prompt_ms: 1.5, predicted_n: 1, predicted_ms: 2.5 }
    const lines = [delta({ content: 'A' }), { ...finish('length'), timings }].map((event) => `: ping\r\n\r\ndata: ${JSON.stringify(event)}\r\n\r\n`)
    expect((await said(lines.join(''))).slice(1)).toEqual([
      { type: 'text', text: 'A' },
      {
        type: 'done',
        reason: 'length',
        stopString: null,
        usage: { ...unknownUsage, cachedTokens: 2, completionTokens: 1, promptMs: 1.5, generateMs: 2.5 },
      },
    ])
  })

  test('pieces of tool calls are joined by their index, and by their ids where an engine counts none', async () => {
    const call = (index: number | undefined, id: string | undefined, name: string | undefined, given: string) =>
      delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: given } }] })
    const joined = await said(
      sse(
        call(0, 'a', 'one', ''),
        call(0, undefined, undefined, '{"x"'),
        call(0, undefined, undefined, ':1}'),
        call(1, 'b', 'two', '{}'),
        finish('tool_calls'),
      ),
    )
    const alone = await said(sse(call(0, 'a', 'one', '{"x":1}'), call(0, 'b', 'two', ''), finish('tool_calls')))
    const calls = [
      { type: 'tool-call', call: { id: 'a', index: 0, name: 'one', arguments: { x: 1 } } },
      { type: 'tool-call', call: { id: 'b', index: 1, name: 'two', arguments: {} } },
    ]
    expect(joined.filter(({ type }) => type === 'tool-call')).toEqual(calls)
    expect(alone.filter(({ type }) => type === 'tool-call')).toEqual(calls)
  })

  test('a call that is cut off is told, not lost', async () => {
    const told = await said(sse(delta({ tool_calls: [{ index: 0, id: 'a', function: { name: 'one', arguments: '{"x": "lo' } }] }), finish('length')))
    expect(told.slice(1)).toMatchObject([
      { type: 'broken-call', text: 'one{"x": "lo' },
      { type: 'done', reason: 'length' },
    ])
  })

  test('log-probabilities ride on their text', async () => {
    const content = [{ token: 'Yes', logprob: -0.5, bytes: null, top_logprobs: [{ token: 'No', logprob: -1.5, bytes: [78, 111] }] }]
    const told = await said(sse(delta({ content: 'Yes' }, { logprobs: { content } }), finish('stop')))
    const logprobs = [{ token: 'Yes', logprob: -0.5, bytes: [89, 101, 115], top: [{ token: 'No', logprob: -1.5, bytes: [78, 111] }] }]
    expect(told[1]).toEqual({ type: 'text', text: 'Yes', logprobs })
  })

  test('the same stream in any cutting gives the same events', async () => {
    const text = sse(delta({ content: 'zwölf' }), delta({ content: '🥊' }), finish('stop'))
    const whole = await said(text)
    for (const size of [1, 7, 50]) {
      const bytes = Buffer.from(text)
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
      await using engine = await streaming(pieces)
      expect(await events(engine.url)).toEqual(whole)
    }
  })

  test.each([
    ['a stream that ends in the middle', `data: ${JSON.stringify(delta({ content: 'A' }))}\n\n`, 'ended its answer before it was finished'],
    ['[DONE] before the end', `data: ${JSON.stringify(delta({ content: 'A' }))}\n\ndata: [DONE]\n\n`, 'ended its answer before it was finished'],
    ['broken JSON', 'data: {"choices": [\n\n', 'sends JSON that is broken'],
    ['another shape', sse({ choices: [{ delta: { content: 5 } }] }), 'sends JSON of another shape (choices.0.delta.content'],
    ['an endless line', `data: ${'a'.repeat(17 * 1024 * 1024)}`, 'sends a line of more than 16 MB'],
  ])('%s is a failure of the engine, never a short reply', async (_, text, words) => {
    expect(await failure(said(text))).toEqual({ code: 'upstream-failed', message: expect.stringContaining(words) })
  })

  test('an error in the middle of a stream is told in its words', async () => {
    const text = sse(delta({ content: 'A' }), { error: { message: 'out of blocks', type: 'BadRequestError', code: 400 } })
    expect(await failure(said(text))).toEqual({ code: 'invalid-request', message: 'e: out of blocks' })
  })

  test.each([
    [400, { object: 'error', message: 'too long' }, 'invalid-request', 'e: too long'],
    [422, { detail: [{ loc: ['body'], msg: 'field required' }] }, 'invalid-request', 'e: field required'],
    [404, { error: { message: 'The model `m` does not exist.' } }, 'model-not-found', 'e: The model `m` does not exist.'],
    [401, { error: 'Unauthorized' }, 'upstream-failed', 'e: Unauthorized (it asks for a key: add the engine again with --key)'],
    [429, { error: { message: 'slow down' } }, 'upstream-busy', 'e: slow down'],
    [500, {}, 'upstream-failed', 'e: HTTP 500'],
    [503, { error: { message: 'Loading model' } }, 'unavailable', 'e: Loading model'],
  ])('a refusal with %i keeps its class and its words', async (status, body, code, message) => {
    await using engine = await rawEngine(({ path }, response) =>
      sendJson(response, path === '/v1/models' ? { data: [] } : body, path === '/v1/models' ? 200 : status),
    )
    expect(await failure(events(engine.url))).toEqual({ code, message })
  })
})

describe('chatBody()', () => {
  test('sends what the caller gave and no more', () => {
    expect(chatBody(chat())).toEqual({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: true, stream_options: { include_usage: true } })
  })

  test('names the samplers as engines know them', () => {
    const options = {
      temperature: 0.5,
      top_k: 20,
      min_p: 0.1,
      repeat_penalty: 1.1,
      num_predict: 9,
      seed: 4,
      stop: ['x'],
      num_ctx: 4096,
      num_gpu: 1,
      mirostat: 2,
    }
    expect(chatBody(chat({ options }))).toMatchObject({
      temperature: 0.5,
      top_k: 20,
      min_p: 0.1,
      repetition_penalty: 1.1,
      repeat_penalty: 1.1,
      max_tokens: 9,
      seed: 4,
      stop: ['x'],
      mirostat: 2,
    })
    expect(Object.keys(chatBody(chat({ options })))).not.toEqual(expect.arrayContaining(['num_ctx']))
    expect(chatBody(chat({ options: { num_predict: -1, seed: -1 } }))).not.toHaveProperty('max_tokens')
  })

  test('bounds thinking by the names that engines have for it', () => {
    const bounds = { thinking_budget: 7, thinking_budget_tokens: 7, thinking_token_budget: 7 }
    expect(chatBody(chat({ options: { thinking_budget: 7 } }))).toMatchObject(bounds)
    expect(chatBody(chat({ options: { thinking_budget: -1 } }))).not.toHaveProperty('thinking_budget')
  })

  test('switches thinking by the variables of chat templates, its depth by effort', () => {
    expect(chatBody(chat({ think: false }))).toMatchObject({ chat_template_kwargs: { enable_thinking: false, thinking: false } })
    expect(chatBody(chat({ think: 'max', templateVariables: { a: 1 } }))).toMatchObject({
      reasoning_effort: 'high',
      chat_template_kwargs: { enable_thinking: true, thinking: true, a: 1 },
    })
  })

  test('holds a reply to a schema or a grammar', () => {
    const schema = { type: 'object' }
    expect(chatBody(chat({ format: { type: 'schema', schema } }))).toMatchObject({
      response_format: { type: 'json_schema', json_schema: { name: 'reply', schema, strict: true } },
    })
    expect(chatBody(chat({ format: { type: 'json' } }))).toMatchObject({ response_format: { type: 'json_object' } })
    expect(chatBody(chat({ options: { grammar: 'root ::= "a"' } }))).toMatchObject({ grammar: 'root ::= "a"', structured_outputs: { grammar: 'root ::= "a"' } })
  })

  test('offers tools, hides them, or demands one', () => {
    const tools = [{ type: 'function', function: { name: 'f' } }]
    expect(chatBody(chat({ tools, toolChoice: 'none' }))).not.toHaveProperty('tools')
    expect(chatBody(chat({ tools }))).not.toHaveProperty('tool_choice')
    expect(chatBody(chat({ tools }))).not.toHaveProperty('parallel_tool_calls')
    expect(chatBody(chat({ tools, parallelCalls: false }))).toMatchObject({ parallel_tool_calls: false })
    expect(chatBody(chat({ tools, toolChoice: { name: 'f' } }))).toMatchObject({ tools, tool_choice: { type: 'function', function: { name: 'f' } } })
  })

  test('completionBody() keeps prompt and suffix', () => {
    const request = { ...chat(), prompt: 'a', promptTokens: null, suffix: 'z', raw: true, bare: false, system: null, template: null, context: null, images: [] }
    expect(completionBody(request)).toMatchObject({ prompt: 'a', suffix: 'z', stream: true })
    expect(completionBody({ ...request, prompt: '', promptTokens: [5, 6] })).toMatchObject({ prompt: [5, 6] })
  })
})

describe('messagesBody()', () => {
  test('ties results to calls that had no ids', () => {
    const call = (name: string, index: number) => ({ id: '', index, name, arguments: { a: index } })
    const [, asked, second, first] = messagesBody([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '', thinking: 'Hm', toolCalls: [call('one', 0), call('two', 1)] },
      { role: 'tool', content: '2', toolName: 'two' },
      { role: 'tool', content: '1' },
    ])
    expect(asked).toEqual({
      role: 'assistant',
      content: '',
      reasoning_content: 'Hm',
      reasoning: 'Hm',
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'one', arguments: '{"a":0}' } },
        { id: 'call_2', type: 'function', function: { name: 'two', arguments: '{"a":1}' } },
      ],
    })
    expect([second?.tool_call_id, first?.tool_call_id]).toEqual(['call_2', 'call_1'])
  })

  test('passes pictures and sound on by what they are', () => {
    const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    const wav = Buffer.from('RIFF\0\0\0\0WAVE')
    const [message] = messagesBody([{ role: 'user', content: 'What?', images: [png, wav] }])
    expect(message?.content).toEqual([
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
      { type: 'input_audio', input_audio: { data: wav.toString('base64'), format: 'wav' } },
      { type: 'text', text: 'What?' },
    ])
    expect(() => messagesBody([{ role: 'user', content: '', images: [Uint8Array.of(1, 2)] }])).toThrow('not known')
  })
})

test("count() asks as vLLM understands it, else as llama.cpp's server does", async () => {
  const counted = async (answer: (path: string) => unknown) => {
    await using engine = await rawEngine(({ path }, response) => sendJson(response, path === '/v1/models' ? { data: [] } : answer(path)))
    using engines = registry()
    await engines.add({ url: engine.url })
    return await engines.upstreams.find('e/m')?.client.count(chat(), AbortSignal.timeout(20_000))
  }
  expect(await counted(() => ({ count: 5, max_model_len: 100, tokens: [1, 2, 3, 4, 5] }))).toBe(5)
  expect(await counted((path) => (path === '/apply-template' ? { prompt: '<user>Hi' } : { tokens: [1, 2, 3] }))).toBe(3)
})
