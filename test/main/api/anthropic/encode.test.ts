import { describe, expect, test } from 'vitest'
import { AppError, type ErrorCode } from '../../../../main/errors.ts'
import type { GenerationEvent } from '../../../../main/generation/events.ts'
import { api, doneEvent, fails, post, promptEvent } from '../services.ts'

// Rows of the checklist in the protocol's reference (openai-anthropic-api §15b) are quoted.

const text = (words: string): GenerationEvent => ({ type: 'text', text: words })
const thinking = (words: string): GenerationEvent => ({ type: 'thinking', text: words })
const call = (id: string, index: number, city: string): GenerationEvent => ({
  type: 'tool-call',
  call: { id, index, name: 'get_weather', arguments: { city } },
})
const done = (more: Partial<ReturnType<typeof doneEvent>> = {}): GenerationEvent => ({ ...doneEvent(), ...more })
const body = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
const truncation = { droppedMessages: 2, droppedTokens: 9, keptTokens: 7, contextLength: 10 }

async function* events(list: GenerationEvent[]): AsyncGenerator<GenerationEvent> {
  yield* list
}
const ask = (list: GenerationEvent[], more: Record<string, unknown> = {}) => post(api({ chat: () => events(list) }), '/v1/messages', { ...body, ...more })
const whole = async (list: GenerationEvent[], more: Record<string, unknown> = {}) =>
  (await (await ask([promptEvent(), ...list], more)).json()) as Record<string, unknown>

interface Streamed {
  type: string
  [field: string]: unknown
}
/** The events of a stream; each is named as its data says. */
function read(stream: string): Streamed[] {
  return stream
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => {
      const [, name, data = ''] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? []
      const event = JSON.parse(data) as Streamed
      expect(name).toBe(event.type)
      return event
    })
}
const stream = async (list: GenerationEvent[], more: Record<string, unknown> = {}) =>
  read(await (await ask([promptEvent(), ...list], { stream: true, ...more })).text())

/** One line an event: what a reader of the stream follows. */
const outline = (list: Streamed[]) =>
  list.map(({ type, index, content_block: block, delta }) => {
    if (block !== undefined) return `${index} start ${JSON.stringify(block)}`
    return type === 'content_block_delta' ? `${index} ${(delta as Streamed).type}` : type === 'content_block_stop' ? `${index} stop` : type
  })

describe('response', () => {
  test('text, tools (stop_reason:"tool_use"), thinking first', async () => {
    const answer = await whole([thinking('hm'), text('I '), text('look.'), call('c1', 0, 'Paris'), call('c2', 1, 'Rome'), done()])
    expect(answer).toEqual({
      id: expect.stringMatching(/^msg_[0-9a-f]{24}$/),
      type: 'message',
      role: 'assistant',
      model: 'm',
      content: [
        { type: 'thinking', thinking: 'hm', signature: expect.stringMatching(/.{20}/) },
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: 'c1', name: 'get_weather', input: { city: 'Paris' } },
        { type: 'tool_use', id: 'c2', name: 'get_weather', input: { city: 'Rome' } },
      ],
      stop_reason: 'tool_use',
      stop_sequence: null,
      usage: { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 2 },
    })
  })

  test('an empty completion has an empty list of blocks', async () => {
    expect(await whole([done()])).toMatchObject({ content: [], stop_reason: 'end_turn' })
    expect(outline(await stream([done()]))).toEqual(['message_start', 'ping', 'message_delta', 'message_stop'])
  })

  test('stop mapping', async () => {
    const stop = async (more: Parameters<typeof done>[0]) => {
      const { stop_reason, stop_sequence } = await whole([text('a'), done(more)], { stop_sequences: ['END'] })
      const last = (await stream([text('a'), done(more)], { stop_sequences: ['END'] })).find(({ type }) => type === 'message_delta')
      expect(last?.delta).toEqual({ stop_reason, stop_sequence })
      return [stop_reason, stop_sequence]
    }
    expect([await stop({}), await stop({ reason: 'length' }), await stop({ stopString: 'END' }), await stop({ stopString: '<|im_end|>' })]).toEqual([
      ['end_turn', null],
      ['max_tokens', null],
      ['stop_sequence', 'END'],
      ['end_turn', null],
    ])
  })

  test('ids unique with prefixes', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => ask([promptEvent(), done()])))
    const ids = [...answers.map((answer) => answer.headers.get('request-id')), ...(await Promise.all(answers.map(async (answer) => (await answer.json()).id)))]
    expect(ids.map((id) => /^(req|msg)_[0-9a-f]{24}$/.exec(id)?.[1])).toEqual(['req', 'req', 'req', 'msg', 'msg', 'msg'])
    expect(new Set(ids).size).toBe(6)
  })

  test('what came from the cache is told apart where the request marks something for it', async () => {
    const marked = [
      { cache_control: { type: 'ephemeral' } },
      { system: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }] },
      { tools: [{ name: 'a', cache_control: { type: 'ephemeral' } }] },
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a', cache_control: { type: 'ephemeral' } }] }] },
    ]
    for (const more of marked) {
      expect((await whole([done()], more)).usage).toEqual({
        input_tokens: 4,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 3,
        output_tokens: 2,
      })
    }
    const [start] = await stream([done()], marked[0])
    expect(start).toMatchObject({ message: { usage: { input_tokens: 4, cache_read_input_tokens: 3, output_tokens: 0 } } })
  })

  test('a cut prompt is told in the header and in the answer', async () => {
    const list = [{ ...promptEvent(), truncation } as GenerationEvent, text('a'), done({ truncation })]
    for (const streamed of [false, true]) {
      const answer = await ask(list, { stream: streamed })
      expect(answer.headers.get('x-context-truncated')).toBe('messages=2; tokens=9')
      expect(await answer.text()).toContain('"truncation":{"dropped_messages":2,')
    }
  })
})

describe('stream', () => {
  test('event order', async () => {
    const list = await stream([thinking('h'), thinking('m'), text('a'), text('b'), done()])
    expect(outline(list)).toEqual([
      'message_start',
      'ping',
      '0 start {"type":"thinking","thinking":"","signature":""}',
      '0 thinking_delta',
      '0 thinking_delta',
      '0 signature_delta',
      '0 stop',
      '1 start {"type":"text","text":""}',
      '1 text_delta',
      '1 text_delta',
      '1 stop',
      'message_delta',
      'message_stop',
    ])
    expect(list[0]).toEqual({
      type: 'message_start',
      message: {
        id: expect.stringMatching(/^msg_/),
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 },
      },
    })
    expect(list.at(-2)).toEqual({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { input_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 2 },
    })
  })

  test('the signature of a thought is the same streamed and whole', async () => {
    const list = [thinking('h'), thinking('m'), done()]
    const streamed = (await stream(list)).map(({ delta }) => (delta as Streamed | undefined)?.signature).find(Boolean)
    expect((await whole(list)).content).toEqual([{ type: 'thinking', thinking: 'hm', signature: streamed }])
  })

  test('thinking → tool without text closes thinking; several calls; empty input:{} present in start blocks', async () => {
    const list = await stream([thinking('hm'), call('c1', 0, 'Paris'), call('c2', 1, 'Rome'), done()])
    expect(outline(list).slice(2, -2)).toEqual([
      '0 start {"type":"thinking","thinking":"","signature":""}',
      '0 thinking_delta',
      '0 signature_delta',
      '0 stop',
      '1 start {"type":"tool_use","id":"c1","name":"get_weather","input":{}}',
      '1 input_json_delta',
      '1 stop',
      '2 start {"type":"tool_use","id":"c2","name":"get_weather","input":{}}',
      '2 input_json_delta',
      '2 stop',
    ])
    expect(list.map(({ delta }) => (delta as Streamed | undefined)?.partial_json).filter(Boolean)).toEqual(['{"city":"Paris"}', '{"city":"Rome"}'])
    expect(list.at(-2)).toMatchObject({ delta: { stop_reason: 'tool_use' } })
  })

  test('text before thinking closes text; thinking that comes later is not lost', async () => {
    expect(outline(await stream([text('a'), thinking('hm'), text('b'), done()])).slice(2, -2)).toEqual([
      '0 start {"type":"text","text":""}',
      '0 text_delta',
      '0 stop',
      '1 start {"type":"thinking","thinking":"","signature":""}',
      '1 thinking_delta',
      '1 signature_delta',
      '1 stop',
      '2 start {"type":"text","text":""}',
      '2 text_delta',
      '2 stop',
    ])
  })

  test('streaming headers set', async () => {
    const { headers } = await ask([promptEvent(), done()], { stream: true })
    expect([headers.get('content-type'), headers.get('cache-control'), headers.get('x-accel-buffering')]).toEqual(['text/event-stream', 'no-cache', 'no'])
  })

  test('a long prompt is read under pings', async () => {
    expect(outline(await stream([promptEvent(), promptEvent(), text('a'), done()])).slice(0, 4)).toEqual(['message_start', 'ping', 'ping', 'ping'])
  })

  test('a failure in the middle is an error event', async () => {
    const broken = () => fails(new AppError('runner-crashed', 'the runner stopped'), [promptEvent(), text('a')])
    const answer = await post(api({ chat: broken }), '/v1/messages', { ...body, stream: true })
    expect(read(await answer.text()).at(-1)).toEqual({
      type: 'error',
      error: { type: 'api_error', message: 'the runner stopped' },
      request_id: answer.headers.get('request-id'),
    })
  })
})

test('error type per status', async () => {
  const types: [ErrorCode, number, string][] = [
    ['invalid-request', 400, 'invalid_request_error'],
    ['unauthorized', 401, 'authentication_error'],
    ['forbidden', 403, 'permission_error'],
    ['model-not-found', 404, 'not_found_error'],
    ['too-large', 413, 'request_too_large'],
    ['queue-full', 503, 'overloaded_error'],
    ['out-of-memory', 500, 'api_error'],
  ]
  for (const [code, status, type] of types) {
    for (const streamed of [false, true]) {
      const answer = await post(api({ chat: () => fails(new AppError(code, 'why')) }), '/v1/messages', { ...body, stream: streamed })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/json'])
      expect(await answer.json()).toEqual({ type: 'error', error: { type, message: 'why' }, request_id: answer.headers.get('request-id') })
    }
  }
})
