import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import type { ChatRequest, GenerationEvent } from '../../../../main/generation/events.ts'
import { api, doneEvent, fails, notFound, post, promptEvent, says } from '../services.ts'

// Rows of the checklist for Responses (openai-anthropic-api §15b) are quoted in the names.

type Event = Record<string, unknown> & { type: string; sequence_number: number }
interface Answer {
  id: string
  status: string
  output: Record<string, unknown>[]
  usage: unknown
  [field: string]: unknown
}

const body = { model: 'm', input: 'hi' }
const call = (id: string, name = 'f'): GenerationEvent => ({ type: 'tool-call', call: { id, index: 0, name, arguments: { city: 'Paris' } } })
const text = (said: string): GenerationEvent => ({ type: 'text', text: said })
const thinking = (thought: string): GenerationEvent => ({ type: 'thinking', text: thought })

async function* events(...list: GenerationEvent[]): AsyncGenerator<GenerationEvent> {
  yield promptEvent()
  yield* list
}
const ending = (reason: 'stop' | 'length' = 'stop') => {
  const done = doneEvent('jinja', reason)
  return { ...done, usage: { ...done.usage, thinkingTokens: 1 } }
}

/** The events of a stream; each frame's name is its event's type. */
async function streamOf(list: GenerationEvent[], more: object = {}): Promise<Event[]> {
  const answer = await post(api({ chat: () => events(...list) }), '/v1/responses', { ...body, stream: true, ...more })
  return framesOf(await answer.text())
}

function framesOf(stream: string): Event[] {
  expect(stream.endsWith('\n\n')).toBe(true)
  return stream
    .slice(0, -2)
    .split('\n\n')
    .map((frame) => {
      const [, name, data = ''] = /^event: (.+)\ndata: (.+)$/.exec(frame) ?? []
      const event = JSON.parse(data) as Event
      expect(event.type).toBe(name)
      return event
    })
}

async function wholeOf(list: GenerationEvent[], more: object = {}): Promise<Answer> {
  return (await (await post(api({ chat: () => events(...list) }), '/v1/responses', { ...body, ...more })).json()) as Answer
}

const endOf = (stream: Event[]) => stream.at(-1)!.response as Answer
const typesOf = (stream: Event[]) => stream.map(({ type }) => type.replace(/^response\./, ''))
/** Without the ids that are drawn. */
const bare = (items: unknown[]) =>
  JSON.parse(JSON.stringify(items), (key, value) => (key === 'id' && /^(rs|msg|fc)_/.test(value) ? undefined : value)) as unknown[]

const messageItem = (said: string, status = 'completed') => ({
  type: 'message',
  status,
  role: 'assistant',
  content: [{ type: 'output_text', text: said, annotations: [], logprobs: [] }],
})
const reasoningItem = (thought: string) => ({ type: 'reasoning', summary: [{ type: 'summary_text', text: thought }], encrypted_content: thought })
const callItem = (id: string, name = 'f') => ({ type: 'function_call', status: 'completed', call_id: id, name, arguments: '{"city":"Paris"}' })

describe('the order of events', () => {
  test('exact event order for text', async () => {
    const stream = await streamOf([text('a'), text('b'), ending()])
    expect(typesOf(stream)).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ])
  })

  test('exact event order for tools, each call at its own index', async () => {
    const stream = await streamOf([call('c1'), call('c2'), ending()])
    const one = ['output_item.added', 'function_call_arguments.delta', 'function_call_arguments.done', 'output_item.done']
    expect(typesOf(stream)).toEqual(['created', 'in_progress', ...one, ...one, 'completed'])
    expect(stream.slice(2, -1).map(({ output_index }) => output_index)).toEqual([0, 0, 0, 0, 1, 1, 1, 1])
  })

  test('exact event order for reasoning', async () => {
    const stream = await streamOf([thinking('h'), thinking('m'), text('a'), ending()])
    expect(typesOf(stream).slice(2, 9)).toEqual([
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
    ])
    expect(stream.slice(9, -1).every(({ output_index }) => output_index === 1)).toBe(true)
  })

  test('a call closes the message before it; words after it are a message of their own', async () => {
    const stream = await streamOf([text('I look.'), call('c1'), text('Done.'), ending()])
    const marks = stream
      .filter(({ type }) => /output_item/.test(type))
      .map(({ type, output_index, item }) => [type.slice(21), output_index, (item as { type: string }).type])
    expect(marks).toEqual([
      ['added', 0, 'message'],
      ['done', 0, 'message'],
      ['added', 1, 'function_call'],
      ['done', 1, 'function_call'],
      ['added', 2, 'message'],
      ['done', 2, 'message'],
    ])
  })

  test('sequence numbers consecutive', async () => {
    const stream = await streamOf([thinking('hm'), text('a'), call('c1'), ending()])
    expect(stream.map(({ sequence_number }) => sequence_number)).toEqual(stream.map((_, at) => at))
  })

  test('every event of an item names that item', async () => {
    const stream = await streamOf([thinking('hm'), text('a'), call('c1'), ending()])
    const { output } = endOf(stream)
    const named = stream.filter(({ type }) => /added|delta|done/.test(type))
    expect(named.map(({ item, item_id }) => (item as { id: string } | undefined)?.id ?? item_id)).toEqual(
      named.map(({ output_index }) => output[output_index as number]?.id),
    )
  })
})

describe('what events carry', () => {
  test('created/in_progress carry `output:[]`, no usage and no end', async () => {
    const [created, progress] = await streamOf([text('a'), ending()])
    for (const event of [created, progress]) {
      expect(event?.response).toMatchObject({ id: expect.stringMatching(/^resp_\w+$/), status: 'in_progress', output: [], usage: null, completed_at: null })
    }
  })

  test('item.added has `content:[]`, and the part that is added is empty', async () => {
    const stream = await streamOf([text('a'), ending()])
    expect(stream[2]).toMatchObject({ output_index: 0, item: { type: 'message', status: 'in_progress', role: 'assistant', content: [] } })
    expect(stream[3]).toMatchObject({ output_index: 0, content_index: 0, part: { type: 'output_text', text: '', annotations: [], logprobs: [] } })
    expect(stream[4]).toMatchObject({ content_index: 0, delta: 'a', logprobs: [] })
    expect(stream[5]).toMatchObject({ content_index: 0, text: 'a' })
  })

  test('function item `in_progress` then `completed`', async () => {
    const stream = await streamOf([call('c1'), ending()])
    expect(stream[2]).toMatchObject({ item: { type: 'function_call', status: 'in_progress', call_id: 'c1', name: 'f', arguments: '' } })
    expect(stream[3]).toMatchObject({ delta: '{"city":"Paris"}' })
    expect(stream[4]).toMatchObject({ arguments: '{"city":"Paris"}' })
    expect(stream[5]?.item).toMatchObject(callItem('c1'))
  })

  test('completed carries full output in streamed order and usage', async () => {
    const stream = await streamOf([thinking('hm'), text('I look.'), call('c1'), thinking('so'), text('Done.'), ending()])
    const { output, usage, status } = endOf(stream)
    expect(output).toEqual(stream.filter(({ type }) => type === 'response.output_item.done').map(({ item }) => item))
    expect(bare(output)).toEqual([reasoningItem('hm'), messageItem('I look.'), callItem('c1'), reasoningItem('so'), messageItem('Done.')])
    expect([status, usage]).toEqual([
      'completed',
      {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 3 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 1 },
        total_tokens: 9,
      },
    ])
  })

  test('a call of a namespace is named as the client declared it', async () => {
    const tools = [{ type: 'namespace', name: 'ns', tools: [{ type: 'function', name: 'f' }] }]
    const { output } = await wholeOf([call('c1', 'ns.f'), ending()], { tools })
    expect(bare(output)).toEqual([{ ...callItem('c1'), namespace: 'ns' }])
  })

  test('log-probabilities are with their words, those of held-back tokens too', async () => {
    const logprob = (token: string) => ({ token, bytes: [97], logprob: -0.5, top: [] })
    const entry = (token: string) => ({ token, bytes: [97], logprob: -0.5, top_logprobs: [] })
    const list: GenerationEvent[] = [{ type: 'text', text: '', logprobs: [logprob('a')] }, { type: 'text', text: 'ab', logprobs: [logprob('b')] }, ending()]
    const stream = await streamOf(list, { include: ['message.output_text.logprobs'] })
    expect(stream.find(({ type }) => type === 'response.output_text.delta')?.logprobs).toEqual([entry('a'), entry('b')])
    expect(endOf(stream).output[0]).toMatchObject({ content: [{ text: 'ab', logprobs: [entry('a'), entry('b')] }] })
  })
})

describe('the end', () => {
  test('a reply that ran into its limit is incomplete, and so is its last item', async () => {
    const stream = await streamOf([thinking('hm'), text('a'), ending('length')])
    expect(stream.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, completed_at: null, usage: { total_tokens: 9 } },
    })
    expect(bare(endOf(stream).output)).toEqual([reasoningItem('hm'), messageItem('a', 'incomplete')])
  })

  test('a reply without words or calls has an empty message', async () => {
    const stream = await streamOf([thinking('hm'), ending()])
    expect(bare(endOf(stream).output)).toEqual([reasoningItem('hm'), messageItem('')])
  })

  test.each([
    [new AppError('runner-crashed', 'gone'), 'server_error', 'gone'],
    [new AppError('queue-full', 'busy'), 'rate_limit_exceeded', 'busy'],
    [new AppError('invalid-request', 'no'), 'invalid_prompt', 'no'],
  ])('%s after the first word is `response.failed`, with what was finished before', async (error, code, message) => {
    const app = api({ chat: () => fails(error, [promptEvent(), thinking('hm'), text('a')]) })
    const stream = framesOf(await (await post(app, '/v1/responses', { ...body, stream: true })).text())
    expect(stream.at(-1)).toMatchObject({
      type: 'response.failed',
      sequence_number: stream.length - 1,
      response: { status: 'failed', error: { code, message }, usage: null, completed_at: null },
    })
    expect(bare(endOf(stream).output)).toEqual([reasoningItem('hm')])
  })

  test('an error before the first word has its status, streamed or not', async () => {
    for (const stream of [true, false]) {
      const answer = await post(api({ chat: () => fails(notFound) }), '/v1/responses', { ...body, stream })
      expect([answer.status, await answer.json()]).toEqual([
        404,
        { error: { message: "model 'x' not found", type: 'not_found_error', param: null, code: null } },
      ])
    }
  })
})

describe('the answer that is not streamed', () => {
  test('says what the stream says', async () => {
    const list = [thinking('hm'), text('I look.'), call('c1'), ending()]
    const streamed = endOf(await streamOf(list))
    const whole = await wholeOf(list)
    const same = ({ id: _id, created_at: _created, completed_at: _completed, ...rest }: Answer) => ({ ...rest, output: bare(rest.output) })
    expect(same(whole)).toEqual(same(streamed))
  })

  test('repeats what was asked', async () => {
    const tools = [{ type: 'function', name: 'f', parameters: null }, { type: 'web_search' }]
    const asked = {
      instructions: 'Be brief.',
      tools,
      tool_choice: 'none',
      truncation: 'auto',
      temperature: 0.5,
      top_p: 0.25,
      max_output_tokens: 9,
      reasoning: { effort: 'none', summary: 'auto' },
      text: { format: { type: 'json_object' }, verbosity: 'low' },
      store: false,
      background: true,
      metadata: { a: 'b' },
      safety_identifier: 's',
      prompt_cache_key: 'p',
    }
    expect(await wholeOf([ending()], asked)).toMatchObject({ ...asked, model: 'm', tools: [{ ...tools[0], strict: null }, tools[1]], object: 'response' })
  })

  test('has the defaults that the peer tells', async () => {
    expect(await wholeOf([ending()])).toMatchObject({
      instructions: null,
      tools: [],
      tool_choice: 'auto',
      truncation: 'disabled',
      parallel_tool_calls: true,
      text: { format: { type: 'text' } },
      temperature: 1,
      top_p: 1,
      reasoning: null,
      max_output_tokens: null,
      store: false,
      metadata: {},
      incomplete_details: null,
      error: null,
    })
  })

  test('tells what was left out of the prompt, in a header and a field of its own', async () => {
    const truncation = { droppedMessages: 2, droppedTokens: 100, keptTokens: 50, contextLength: 64 }
    async function* cut(): AsyncGenerator<GenerationEvent> {
      yield { type: 'prompt', template: 'jinja', promptTokens: 50, cachedTokens: 0, evaluatedTokens: 0, truncation }
      yield { ...ending(), truncation }
    }
    const answer = await post(api({ chat: cut }), '/v1/responses', body)
    expect(answer.headers.get('x-context-truncated')).toBe('messages=2; tokens=100')
    expect(await answer.json()).toMatchObject({
      truncation: 'disabled',
      context_truncation: { dropped_messages: 2, dropped_tokens: 100, kept_tokens: 50, num_ctx: 64 },
    })
  })
})

describe('previous_response_id', () => {
  /** An app whose model always thinks, speaks and calls, and what it was asked. */
  function conversing() {
    const requests: ChatRequest['messages'][] = []
    const app = api({
      chat: ({ messages }) => {
        requests.push(messages)
        return events(thinking('hm'), text('I look.'), call('c1'), ending())
      },
    })
    const send = async (more: object) => (await (await post(app, '/v1/responses', { model: 'm', ...more })).json()) as Answer
    return { app, requests, send }
  }
  const turn = {
    role: 'assistant',
    content: 'I look.',
    thinking: 'hm',
    toolCalls: [{ id: 'c1', index: 0, name: 'f', arguments: { city: 'Paris' } }],
  }

  test('goes on from that response, its input included, its instructions not', async () => {
    const { requests, send } = conversing()
    const first = await send({ input: 'hi', instructions: 'Be brief.' })
    const second = await send({ input: [{ type: 'function_call_output', call_id: 'c1', output: 'sunny' }], previous_response_id: first.id })
    expect(second.previous_response_id).toBe(first.id)
    expect(requests[1]).toEqual([{ role: 'user', content: 'hi' }, turn, { role: 'tool', content: 'sunny', toolName: 'f', toolCallId: 'c1' }])
  })

  test('may be gone on from twice', async () => {
    const { requests, send } = conversing()
    const { id } = await send({ input: 'hi' })
    await send({ input: [{ type: 'function_call', call_id: 'c2', name: 'g', arguments: '{}' }], previous_response_id: id })
    await send({ input: 'again', previous_response_id: id })
    expect(requests[2]).toEqual([{ role: 'user', content: 'hi' }, turn, { role: 'user', content: 'again' }])
  })

  test('of a stream is known as soon as its last event is', async () => {
    const { app, requests, send } = conversing()
    const stream = framesOf(await (await post(app, '/v1/responses', { ...body, stream: true })).text())
    await send({ input: 'again', previous_response_id: endOf(stream).id })
    expect(requests[1]).toEqual([{ role: 'user', content: 'hi' }, turn, { role: 'user', content: 'again' }])
  })

  test.each([
    ['is not known', 'resp_1', {}],
    ['was not to be stored', null, { store: false }],
  ])('that %s is passed over, and the answer says so', async (_, unknown, more) => {
    const { requests, send } = conversing()
    const first = await send({ input: 'hi', ...more })
    const second = await send({ input: 'again', previous_response_id: unknown ?? first.id })
    expect([second.previous_response_id, requests[1]]).toEqual([null, [{ role: 'user', content: 'again' }]])
  })
})

test('a stream is not to be kept back on its way', async () => {
  const answer = await post(api({ chat: () => says(['a']) }), '/v1/responses', { ...body, stream: true })
  expect([answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual(['text/event-stream', 'no-cache'])
})
