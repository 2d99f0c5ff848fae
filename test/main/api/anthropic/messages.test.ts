import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '../../../../main/generation/events.ts'
import { api, post, says } from '../services.ts'

// Rows of the checklist in the protocol's reference (openai-anthropic-api §15b) are quoted.

const user = (content: unknown) => ({ role: 'user', content })
const png = Buffer.from('picture').toString('base64')
const picture = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }
const call = { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Paris', days: 2 } }
const result = (content: unknown, more = {}) => ({ type: 'tool_result', tool_use_id: 'toolu_1', content, ...more })

/** What the waist is asked for by a body. */
async function asked(body: Record<string, unknown>): Promise<ChatRequest> {
  const requests: ChatRequest[] = []
  const app = api({
    chat: (request) => {
      requests.push(request)
      return says(['ok'])
    },
  })
  const answer = await post(app, '/v1/messages', { model: 'm', max_tokens: 5, messages: [user('hi')], ...body })
  expect(answer.status, await answer.clone().text()).toBe(200)
  const [request] = requests
  if (request === undefined) throw new Error('nothing was asked for')
  return request
}
const messages = async (...turns: unknown[]) => (await asked({ messages: turns })).messages

/** Status and text of a refusal, whose envelope is checked. */
async function refusal(body: unknown) {
  const answer = await post(api(), '/v1/messages', body)
  const { request_id, ...rest } = (await answer.json()) as { request_id: string; error: { type: string; message: string } }
  expect(request_id).toMatch(/^req_[0-9a-f]{24}$/)
  expect(answer.headers.get('request-id')).toBe(request_id)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/json; charset=utf-8'])
  expect(rest).toEqual({ type: 'error', error: { type: 'invalid_request_error', message: rest.error.message } })
  return rest.error.message
}
const refused = (more: Record<string, unknown>) => refusal({ model: 'm', max_tokens: 5, messages: [user('hi')], ...more })

describe('what a request says', () => {
  test('basic, options: only what was sent, so that the model keeps its own', async () => {
    expect(await asked({})).toEqual({
      model: 'm',
      messages: [user('hi')],
      tools: [],
      toolChoice: 'auto',
      options: { num_predict: 5 },
      keepAliveMs: null,
      format: null,
      think: null,
      lenientThink: true,
      truncate: true,
      shift: true,
      topLogprobs: null,
      renderOnly: false,
    })
    const { options, keepAliveMs } = await asked({
      temperature: 0,
      top_p: 0.5,
      top_k: 3,
      stop_sequences: ['a', 'b'],
      num_ctx: 512,
      keep_alive: '1m',
      options: { seed: 7, top_k: 9 },
      metadata: { user_id: 'x' },
      service_tier: 'auto',
    })
    expect(options).toEqual({ seed: 7, num_predict: 5, temperature: 0, top_p: 0.5, top_k: 3, num_ctx: 512, stop: ['a', 'b'] })
    expect(keepAliveMs).toBe(60_000)
  })

  test('system string/array', async () => {
    const system = async (given: unknown) => (await asked({ system: given })).messages
    expect(await system('Be brief.')).toEqual([{ role: 'system', content: 'Be brief.' }, user('hi')])
    const blocks = [
      { type: 'text', text: 'Be ' },
      { type: 'text', text: 'brief.', cache_control: { type: 'ephemeral' } },
    ]
    expect(await system(blocks)).toEqual([{ role: 'system', content: 'Be brief.' }, user('hi')])
    expect(await system('')).toEqual([user('hi')])
  })

  test('image: the text of a turn is one text, its pictures are beside it', async () => {
    expect(await messages(user([{ type: 'text', text: 'what ' }, picture, { type: 'text', text: 'is it?' }]))).toEqual([
      { role: 'user', content: 'what is it?', images: [Buffer.from('picture')] },
    ])
  })

  test('tool_use, thinking blocks', async () => {
    const turn = { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 'x' }, { type: 'text', text: 'I look.' }, call] }
    expect(await messages(user('hi'), turn)).toEqual([
      user('hi'),
      {
        role: 'assistant',
        content: 'I look.',
        thinking: 'hm',
        toolCalls: [{ id: 'toolu_1', index: 0, name: 'get_weather', arguments: { city: 'Paris', days: 2 } }],
      },
    ])
  })

  test('tool_result (text, image, followed by user text → tool message first)', async () => {
    const turn = user([{ type: 'text', text: 'and now?' }, result([{ type: 'text', text: 'sunny' }, { type: 'text', text: ', 21' }, picture])])
    const [, , ...rest] = await messages(user('hi'), { role: 'assistant', content: [call] }, turn)
    expect(rest).toEqual([
      { role: 'tool', content: 'sunny, 21', images: [Buffer.from('picture')], toolName: 'get_weather', toolCallId: 'toolu_1' },
      user('and now?'),
    ])
    expect(await messages(user([result('sunny')]))).toEqual([{ role: 'tool', content: 'sunny', toolCallId: 'toolu_1' }])
  })

  test('a tool that failed is shown to have failed', async () => {
    expect(await messages(user([result('no such city', { is_error: true })]))).toEqual([
      { role: 'tool', content: 'Error: no such city', toolCallId: 'toolu_1' },
    ])
  })

  test('a search that ran elsewhere is a call and its result', async () => {
    const search = { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'q' } }
    const found = { type: 'web_search_tool_result', tool_use_id: 's1', content: [{ type: 'web_search_result', title: 'T', url: 'http://u' }] }
    const failed = { type: 'web_search_tool_result', tool_use_id: 's1', content: { type: 'web_search_tool_result_error', error_code: 'unavailable' } }
    const [, turn, one, two] = await messages(user('hi'), { role: 'assistant', content: [search, found, failed, { type: 'text', text: 'so' }] })
    expect(turn).toMatchObject({ role: 'assistant', content: 'so', toolCalls: [{ id: 's1', name: 'web_search' }] })
    expect([one?.content, two?.content]).toEqual(['- T: http://u', 'web_search_tool_result_error: unavailable'])
  })

  test('blocks that no model reads are left out, and a turn of nothing else with them', async () => {
    const sealed = { role: 'assistant', content: [{ type: 'redacted_thinking', data: 'x' }] }
    expect(await messages(user('hi'), sealed, user([{ type: 'text', text: 'go on' }]))).toEqual([user('hi'), user('go on')])
  })

  test('effort mapping (disabled beats effort, adaptive uses effort, xhigh → high)', async () => {
    const think = async (type: string | null, effort: string | null) =>
      (await asked({ ...(type && { thinking: { type, budget_tokens: 1024 } }), ...(effort && { output_config: { effort } }) })).think
    expect([await think('enabled', null), await think('disabled', 'high'), await think('adaptive', 'low'), await think('adaptive', null)]).toEqual([
      true,
      false,
      'low',
      null,
    ])
    const efforts = ['low', 'medium', 'high', 'xhigh', 'max', 'constructor', 'odd']
    expect(await Promise.all(efforts.map((effort) => think(null, effort)))).toEqual(['low', 'medium', 'high', 'high', 'max', null, null])
  })

  test('tools keep every keyword of their schemas, in order', async () => {
    const schema = { type: 'object', $defs: { x: {} }, required: ['city'], properties: { city: { type: 'string' } } }
    const { tools } = await asked({ tools: [{ name: 'get_weather', description: 'The weather', input_schema: schema }, { name: 'bare' }] })
    expect(JSON.stringify(tools)).toBe(
      JSON.stringify([
        { type: 'function', function: { name: 'get_weather', description: 'The weather', parameters: schema } },
        { type: 'function', function: { name: 'bare', parameters: { type: 'object', properties: {} } } },
      ]),
    )
  })

  test('tool_choice reaches the model', async () => {
    const choice = async (tool_choice: unknown) => (await asked({ tools: [{ name: 'a' }], tool_choice })).toolChoice
    expect([await choice({ type: 'auto' }), await choice({ type: 'none' }), await choice({ type: 'any' }), await choice({ type: 'tool', name: 'a' })]).toEqual([
      'auto',
      'none',
      'required',
      { name: 'a' },
    ])
    expect(await refused({ tools: [{ name: 'a' }], tool_choice: { type: 'tool', name: 'b' } })).toBe('tool_choice: no tool is named "b"')
    expect(await refused({ tool_choice: { type: 'any' } })).toBe('tool_choice asks for a call, but no tool is declared that can be called here')
    expect(await refused({ tool_choice: { type: 'required' } })).toBe('tool_choice.type must be "auto", "any", "tool" or "none", not "required"')
  })

  test('output_config.format shapes the answer', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } } }
    expect((await asked({ output_config: { format: { type: 'json_schema', schema } } })).format).toEqual({ type: 'schema', schema })
  })
})

describe('validation errors and order', () => {
  test('the model first, then max_tokens, then the messages', async () => {
    expect([
      await refusal({}),
      await refusal({ model: 'm' }),
      await refusal({ model: 'm', max_tokens: -1 }),
      await refusal({ model: 'm', max_tokens: 5 }),
      await refusal({ model: 'm', max_tokens: 5, messages: [] }),
    ]).toEqual([
      'model is required',
      'max_tokens is required and must be positive',
      'max_tokens is required and must be positive',
      'messages is required',
      'messages is required',
    ])
  })

  test('blocks that cannot be read are named', async () => {
    const block = async (content: unknown) => await refused({ messages: [user([content])] })
    expect([
      await block({ ...call, id: undefined }),
      await block({ ...call, name: '' }),
      await block({ ...call, input: 'x' }),
      await block({ type: 'image' }),
      await block({ type: 'image', source: { type: 'url', url: 'http://x' } }),
      await block({ type: 'image', source: { type: 'base64', data: 'ab!' } }),
      await block(result([{ type: 'image' }])),
      await block({ type: 'text' }),
    ]).toEqual([
      "tool_use block missing required 'id' field",
      "tool_use block missing required 'name' field",
      "tool_use block 'input' must be an object",
      'invalid image source',
      'invalid image source type: url. Only base64 images are supported.',
      'invalid base64 image data: illegal base64 data at input byte 2',
      'invalid tool_result image source',
      "text block missing required 'text' field",
    ])
    expect(await refused({ tools: [{ name: 'x', input_schema: 'y' }] })).toBe('invalid input_schema for tool "x": it must be an object, not string')
    expect(await refused({ messages: [user(null)] })).toBe('invalid message content type: <nil>')
  })

  test('invalid JSON', async () => {
    expect([await refusal(''), await refusal('{'), await refusal('[]'), await refused({ messages: 'hi' })]).toEqual([
      'EOF',
      'unexpected end of the request body: the JSON is not complete',
      'the request body must be a JSON object, not an array',
      'messages must be an array, not a string',
    ])
  })

  test('a conversation that the server should hold is refused, not forgotten', async () => {
    const answer = await post(api(), '/v1/messages', { model: 'm', max_tokens: 5, messages: [user('hi')], thread: { type: 'create' } })
    expect([answer.status, await answer.json()]).toEqual([
      400,
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'message threads are not supported: send the whole conversation without `thread`',
          details: { error_code: 'thread_unsupported_request', unsupported: ['thread'] },
        },
        request_id: answer.headers.get('request-id'),
      },
    ])
  })

  test('count_tokens asks for no max_tokens', async () => {
    const app = api({ count: async ({ messages: list }) => list.length })
    const count = async (body: unknown) => await (await post(app, '/v1/messages/count_tokens', body)).json()
    expect(await count({ model: 'm', system: 'a', messages: [user('b')] })).toEqual({ input_tokens: 2 })
    expect(await count({ model: 'm' })).toMatchObject({ type: 'error', error: { type: 'invalid_request_error', message: 'messages is required' } })
  })
})
