import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '../../../../main/generation/events.ts'
import { api, post, says } from '../services.ts'

// Rows of the checklist for Responses (openai-anthropic-api §15b) are quoted in the names.

/** What the chat service is asked for a body, or the status and message of the refusal. */
async function asked(body: object): Promise<ChatRequest | [number, string]> {
  let request: ChatRequest | null = null
  const app = api({
    chat: (given) => {
      request = given
      return says([])
    },
  })
  const answer = await post(app, '/v1/responses', { model: 'm', ...body })
  return request ?? [answer.status, ((await answer.json()) as { error: { message: string } }).error.message]
}

async function messagesOf(...items: object[]): Promise<ChatRequest['messages']> {
  const request = await asked({ input: items })
  if (Array.isArray(request)) throw new Error(request[1])
  return request.messages
}

const user = (content: unknown) => ({ role: 'user', content })
const assistant = (content: unknown) => ({ role: 'assistant', content })
const reasoning = (text: string) => ({ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: text })
const call = (id: string, name = 'f', given = '{"a":1}') => ({ type: 'function_call', id: `fc_${id}`, call_id: id, name, arguments: given })
const result = (id: string, output: unknown = 'done') => ({ type: 'function_call_output', call_id: id, output })
const called = (id: string, index = 0, name = 'f', given: object = { a: 1 }) => ({ id, index, name, arguments: given })
const png = `data:image/png;base64,${Buffer.from('hello').toString('base64')}`
const picture = Buffer.from('hello')

describe('input', () => {
  test.each([
    ['hi', [user('hi')]],
    ['', []],
    [undefined, []],
    [null, []],
    [[user('hi')], [user('hi')]],
    [[{ type: 'message', ...user('hi') }], [user('hi')]],
    [
      [
        user([
          { type: 'input_text', text: 'a' },
          { type: 'input_text', text: 'b' },
        ]),
      ],
      [user('ab')],
    ],
    [[assistant([{ type: 'output_text', text: 'a', annotations: [] }])], [assistant('a')]],
    [[{ role: 'Developer', content: 'd' }], [{ role: 'developer', content: 'd' }]],
  ])('%j (string and array input, shorthand messages without `type`, string content, `output_text` history)', async (input, messages) => {
    expect(await asked({ input })).toMatchObject({ messages })
  })

  test('a picture is of its message; one that lies in a file elsewhere is skipped', async () => {
    const content = [
      { type: 'input_text', text: 'a' },
      { type: 'input_image', image_url: png },
      { type: 'input_image', file_id: 'file_1' },
    ]
    expect(await messagesOf(user(content))).toEqual([{ ...user('a'), images: [picture] }])
  })

  test('instructions come first, as a system message', async () => {
    expect(await asked({ instructions: 'Be brief.', input: 'hi' })).toMatchObject({ messages: [{ role: 'system', content: 'Be brief.' }, user('hi')] })
  })

  test('a search that ran elsewhere is skipped', async () => {
    expect(await messagesOf(user('a'), { type: 'web_search_call', id: 'ws_1', status: 'completed' })).toEqual([user('a')])
  })
})

describe('function_call merging rules', () => {
  test('with previous assistant: a call belongs to the words before it', async () => {
    expect(await messagesOf(user('q'), assistant('I look.'), call('c1'))).toEqual([user('q'), { ...assistant('I look.'), toolCalls: [called('c1')] }])
  })

  test('several calls are one turn, numbered', async () => {
    expect(await messagesOf(user('q'), call('c1'), call('c2', 'g', ''))).toEqual([
      user('q'),
      { ...assistant(''), toolCalls: [called('c1'), called('c2', 1, 'g', {})] },
    ])
  })

  test('with thinking: reasoning is of the call that follows', async () => {
    expect(await messagesOf(user('q'), reasoning('hm'), call('c1'))).toEqual([user('q'), { ...assistant(''), thinking: 'hm', toolCalls: [called('c1')] }])
  })

  test('calls before and after a result are two turns', async () => {
    expect(await messagesOf(call('c1'), result('c1'), call('c2'))).toEqual([
      { ...assistant(''), toolCalls: [called('c1')] },
      { role: 'tool', content: 'done', toolName: 'f', toolCallId: 'c1' },
      { ...assistant(''), toolCalls: [called('c2')] },
    ])
  })

  test('a call of a namespace goes by its whole name', async () => {
    expect(await messagesOf({ ...call('c1'), namespace: 'ns' })).toEqual([{ ...assistant(''), toolCalls: [called('c1', 0, 'ns.f')] }])
  })

  test('arguments keep the order of their keys', async () => {
    const [message] = await messagesOf(call('c1', 'f', '{"b":1,"a":2}'))
    expect(Object.keys(message?.toolCalls?.[0]?.arguments ?? {})).toEqual(['b', 'a'])
  })
})

describe('results', () => {
  test.each([
    ['string', 'sunny', { content: 'sunny' }],
    [
      'array',
      [
        { type: 'input_text', text: 'sun' },
        { type: 'input_text', text: 'ny' },
      ],
      { content: 'sunny' },
    ],
    ['images', [{ type: 'input_image', image_url: png }], { content: '', images: [picture] }],
  ])('outputs as %s', async (_, output, message) => {
    expect((await messagesOf(call('c1', 'weather'), result('c1', output))).at(-1)).toEqual({
      role: 'tool',
      toolName: 'weather',
      toolCallId: 'c1',
      ...message,
    })
  })

  test('of a call that is not in the conversation has no name', async () => {
    expect(await messagesOf(result('c9'))).toEqual([{ role: 'tool', content: 'done', toolCallId: 'c9' }])
  })

  test('replayed assistant message between call and output merged into the turn that calls', async () => {
    expect(await messagesOf(assistant('First.'), call('c1'), assistant('I look.'), result('c1'))).toEqual([
      { ...assistant('First.\nI look.'), toolCalls: [called('c1')] },
      { role: 'tool', content: 'done', toolName: 'f', toolCallId: 'c1' },
    ])
  })

  test('an assistant message after the results is a turn of its own', async () => {
    expect((await messagesOf(call('c1'), result('c1'), assistant('Sunny.'))).at(-1)).toEqual(assistant('Sunny.'))
  })
})

describe('reasoning', () => {
  test('merged forward, into the next words of the model', async () => {
    expect(await messagesOf(user('q'), reasoning('hm'), assistant('a'))).toEqual([user('q'), { ...assistant('a'), thinking: 'hm' }])
  })

  test('trailing reasoning separate', async () => {
    expect(await messagesOf(user('q'), reasoning('hm'))).toEqual([user('q'), { ...assistant(''), thinking: 'hm' }])
  })

  test('without encrypted content is read from its summary', async () => {
    const item = { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }] }
    expect(await messagesOf(item, assistant('a'))).toEqual([{ ...assistant('a'), thinking: 'hm' }])
  })
})

test.each([
  [{ input: 5 }, 'input must be a string or array: it is a number'],
  [{ input: ['a'] }, 'input[0]: an item must be an object, not a string'],
  [{ input: [user('a'), { type: 'banana' }] }, 'input[1]: unknown input item type: "banana"'],
  [{ input: [{ content: 'a' }] }, "input[0]: input item missing required 'type' field"],
  [{ input: [user(5)] }, 'input[0]: content must be a string or array: it is a number'],
  [{ input: [user([{ type: 'input_text', text: 'a' }, { type: 'video' }])] }, 'input[0]: content[1]: unknown content type: video'],
  [{ input: [result('c1', 5)] }, 'input[0]: output must be a string or array: it is a number'],
  [{ input: [result('c1', [{ type: 'video' }])] }, 'input[0]: output[0]: unknown content type: video'],
  [{ input: [user([{ type: 'input_file', file_id: 'f' }])] }, 'file inputs are not currently supported'],
  [{ input: [user([{ type: 'input_image', image_url: 'data:image/gif;base64,aGk=' }])] }, 'invalid image input'],
  [
    { input: [user([{ type: 'input_image', image_url: 'https://a.b/c.png' }])] },
    'image URLs are not currently supported, please use base64 encoded data instead',
  ],
  [{ input: [call('c1', 'f', '[]')] }, 'failed to parse function call arguments: they must be an object, not an array'],
])('%j is refused: %s (unknown item/content types and missing type rejected with indexed messages)', async (body, message) => {
  expect(await asked(body)).toEqual([400, message])
})

test('arguments that are no JSON are refused', async () => {
  expect(await asked({ input: [call('c1', 'f', '{"a"')] })).toEqual([400, expect.stringMatching(/^failed to parse function call arguments: .*JSON/)])
})

test('a hundred thousand items are placed within the time of a test', async () => {
  const items = Array.from({ length: 25_000 }, (_, at) => [call(`a${at}`), call(`b${at}`), assistant('x'), result(`a${at}`)]).flat()
  expect(await messagesOf(...items)).toHaveLength(50_000)
})
