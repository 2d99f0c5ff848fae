import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post, postLines } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { runners } from '../../helpers/processes.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, that the recorded exchanges do not prove.

let server: TestServer
const greedy = { temperature: 0 }
const user = (content: string) => ({ role: 'user', content })
const question = user('What is the capital of France?')
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}
const askWeather = user('What is the weather in Paris?')
interface Message {
  role: string
  content: string
  thinking?: string
  tool_calls?: { id: string; function: { index: number; name: string; arguments: Record<string, unknown> } }[]
}
async function chat(body: Record<string, unknown>): Promise<Message> {
  const answer = await post(server.url, '/api/chat', { model: 'cria', stream: false, options: greedy, ...body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.message as Message
}
const rendered = async (body: Record<string, unknown>) => {
  const { body: answer } = await post(server.url, '/api/chat', { model: 'cria', stream: false, _debug_render_only: true, ...body })
  return (answer._debug_info as { rendered_template: string }).rendered_template
}

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'pirate', criaFile, { system: 'You are a pirate.', messages: [user('model turn'), { role: 'assistant', content: 'model reply' }] })
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('chat', () => {
  test('streaming: role assistant in each chunk; final chunk has metrics; done_reason non-empty', async () => {
    const chunks = await postLines(server.url, '/api/chat', { model: 'cria', messages: [question], options: greedy })
    expect(chunks.every(({ message }) => (message as Message).role === 'assistant')).toBe(true)
    expect(chunks.at(-1)).toMatchObject({
      done: true,
      done_reason: 'stop',
      eval_count: expect.any(Number),
      prompt_eval_count: expect.any(Number),
      total_duration: expect.any(Number),
    })
  })

  test('request system first → model SYSTEM not added; otherwise prepended', async () => {
    const own = await rendered({ model: 'pirate', messages: [question] })
    expect(own.startsWith('<|im_start|>system\nYou are a pirate.<|im_end|>')).toBe(true)
  })

  test('interleaved system messages keep their place', async () => {
    const text = await rendered({ messages: [user('one'), { role: 'system', content: 'Now be brief.' }, user('two')] })
    expect(text).toMatch(/one[\s\S]*Now be brief\.[\s\S]*two/)
  })

  test('model MESSAGES precede request messages', async () => {
    expect(await rendered({ model: 'pirate', messages: [question] })).toMatch(/model turn[\s\S]*model reply[\s\S]*capital of France/)
  })

  test('chat after history of 2 turns answers from context (multi-turn recall)', async () => {
    const { content } = await chat({
      messages: [question, { role: 'assistant', content: 'The capital of France is Paris.' }, user('What is the capital of Italy?')],
    })
    expect(content).toContain('Rome')
  })

  test('sharing one model blob between names does not reload it', async () => {
    await chat({ messages: [question] })
    const before = (await runners(process.pid)).map(({ pid }) => pid)
    await chat({ model: 'pirate', messages: [question] })
    expect((await runners(process.pid)).map(({ pid }) => pid)).toEqual(before)
  })

  test('structured output after thinking: thinking first, then JSON valid against the schema (stream and non-stream)', async () => {
    const format = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'] }
    const messages = [user('Give the capital of France as JSON.')]
    const whole = await chat({ messages, format })
    const chunks = await postLines(server.url, '/api/chat', { model: 'cria', messages, format, options: greedy })
    const content = chunks.map(({ message }) => (message as Message).content).join('')
    const order = chunks.map(({ message }) => ((message as Message).thinking ? 'thinking' : (message as Message).content ? 'content' : '')).filter(Boolean)
    expect([JSON.parse(whole.content), JSON.parse(content)]).toEqual([{ capital: 'Paris' }, { capital: 'Paris' }])
    expect(order.lastIndexOf('thinking')).toBeLessThan(order.indexOf('content'))
  })

  test('think:false + format constrains immediately', async () => {
    const message = await chat({
      messages: [user('Give the capital of France as JSON.')],
      think: false,
      format: 'json',
      options: { ...greedy, num_predict: 40 },
    })
    expect([message.thinking ?? '', message.content.trimStart()[0]]).toEqual(['', '{'])
  })

  test('format: "json" on a model that thinks gives thinking first, then text that begins as JSON', async () => {
    const message = await chat({ messages: [user('Give the capital of France as JSON.')], format: 'json', options: { ...greedy, num_predict: 60 } })
    expect(message.thinking?.trim()).toBe('The user asks for the capital of France. It is Paris.')
    expect(message.content.trimStart()).toMatch(/^\{/)
    expect(message.content).not.toContain('think>')
  })
})

describe('tools', () => {
  test('tools non-stream: one message with tool_calls, content empty', async () => {
    const message = await chat({ messages: [askWeather], tools: [weather] })
    expect(message).toMatchObject({ content: '', tool_calls: [{ function: { index: 0, name: 'get_weather', arguments: { city: 'Paris' } } }] })
  })

  test('tools stream: call delivered in its own chunk, JSON never leaks into content; index starts at 0', async () => {
    const chunks = await postLines(server.url, '/api/chat', { model: 'cria', messages: [askWeather], tools: [weather], options: greedy })
    const messages = chunks.map(({ message }) => message as Message)
    expect(messages.map(({ content }) => content).join('')).toBe('')
    expect(messages.filter(({ tool_calls }) => tool_calls).map(({ tool_calls }) => tool_calls?.map((call) => call.function.index))).toEqual([[0]])
  })

  test('weather tool: right function, arguments contain the city; tool result turn yields prose; with an id and array content in the OpenAI route too', async () => {
    const native = await chat({
      messages: [
        askWeather,
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'get_weather', arguments: { city: 'Paris' } } }] },
        { role: 'tool', tool_name: 'get_weather', content: '21 degrees and sunny' },
      ],
      tools: [weather],
    })
    const openai = await post(server.url, '/v1/chat/completions', {
      model: 'cria',
      temperature: 0,
      tools: [weather],
      messages: [
        askWeather,
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }],
        },
        { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: '21 degrees and sunny' }] },
      ],
    })
    const [choice] = openai.body.choices as { message: Message }[]
    expect([native.content.trim(), choice?.message.content.trim()]).toEqual(['It is 21 degrees and sunny in Paris.', 'It is 21 degrees and sunny in Paris.'])
  })

  test('no raw tags in content; first, cached and follow-up requests behave alike with long system prompts and dozens of tools', async () => {
    const tools = [weather, ...Array.from({ length: 12 }, (_, index) => ({ ...weather, function: { ...weather.function, name: `other_${index}` } }))]
    const messages = [{ role: 'system', content: 'You are a helpful assistant. '.repeat(20) }, askWeather]
    const replies = [
      await chat({ messages, tools }),
      await chat({ messages, tools }),
      await chat({ messages: [...messages, { role: 'assistant', content: 'One moment.' }, askWeather], tools }),
    ]
    expect(replies.map(({ content }) => /<\/?(tool_call|think)|<\|/.test(content))).toEqual([false, false, false])
    expect(replies[1]?.content).toBe(replies[0]?.content)
  })

  test('tool_choice: none hides the tools', async () => {
    const answer = await post(server.url, '/v1/chat/completions', {
      model: 'cria',
      messages: [askWeather],
      tools: [weather],
      tool_choice: 'none',
      temperature: 0,
    })
    expect(JSON.stringify(answer.body.choices)).not.toContain('tool_calls')
  })

  test('JSON: argument and property order preserved, function.index always present, role lower-cased, type string or list', async () => {
    const properties = { zulu: { type: ['string', 'null'] }, alpha: { type: 'integer' } }
    const text = await rendered({
      messages: [
        { role: 'User', content: 'a' },
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: { zulu: 'z', alpha: 1 } } }] },
        { role: 'tool', content: 'ok' },
      ],
      tools: [{ type: 'function', function: { name: 'f', description: 'F', parameters: { type: 'object', properties } } }],
    })
    expect(text).toMatch(/f\(zulu, alpha\)/)
    expect(text).toMatch(/"zulu": ?"z", ?"alpha": ?1/)
    expect(text).toContain('<|im_start|>user\na')
  })
})

describe('thinking', () => {
  const messages = [user('What is 2 + 3?'), { role: 'assistant', content: 'It is 5.' }, user('What is 1 + 1?')]

  test('on → both thinking and content non-empty; off → thinking empty and no tags in content', async () => {
    const on = await chat({ messages, think: true })
    const off = await chat({ messages, think: false })
    expect([on.thinking?.trim() !== '', on.content.trim() !== '', off.thinking ?? '', /<\/?think>/.test(off.content)]).toEqual([true, true, '', false])
  })

  test('think:true without capability → 400; think:false on the same model → works', async () => {
    const ask = (think: boolean) =>
      post(server.url, '/api/chat', { model: 'smollm2:135m', messages: [user('Hi')], think, stream: false, options: { num_predict: 2 } })
    expect([await ask(true), (await ask(false)).status]).toEqual([{ status: 400, body: { error: '"smollm2:135m" does not support thinking' } }, 200])
  })

  test('…</think> split across chunks works', async () => {
    const chunks = await postLines(server.url, '/api/chat', { model: 'cria', messages, think: true, options: greedy })
    const text = chunks.map(({ message }) => (message as Message).content).join('')
    const thinking = chunks.map(({ message }) => (message as Message).thinking ?? '').join('')
    expect([/think>|<\//.test(text), /think>|<\//.test(thinking), thinking.length > 0]).toEqual([false, false, true])
  })
})
