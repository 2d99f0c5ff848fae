import OpenAI from 'openai'
import type { ChatCompletionMessageParam, ChatCompletionTool } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// What OpenAI's own interface has and Ollama's leaves out.

let server: TestServer
let client: OpenAI
const question: ChatCompletionMessageParam = { role: 'user', content: 'What is the capital of France?' }
const answer = 'The capital of France is Paris.'
const asksWeather: ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
const sums: ChatCompletionMessageParam[] = [
  { role: 'user', content: 'What is 2 + 3?' },
  { role: 'assistant', content: 'It is 5.' },
  { role: 'user', content: 'What is 1 + 1?' },
]

function weather(more: object = {}): ChatCompletionTool {
  const parameters = {
    type: 'object',
    required: ['city'],
    properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
    additionalProperties: false,
    ...more,
  }
  return { type: 'function', function: { name: 'get_weather', description: 'Get the weather of a city', parameters } }
}

async function tokensOf(text: string, model = 'cria'): Promise<number[]> {
  return (await post(server.url, '/api/tokenize', { model, text })).body.tokens as number[]
}

beforeAll(async () => {
  server = await startTestServer()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'any', maxRetries: 0 })
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('n', () => {
  const three = { model: 'cria', messages: [question], n: 3 }

  test('gives as many choices, counts the prompt once and the replies together', async () => {
    const { choices, usage } = await client.chat.completions.create({ ...three, temperature: 0 })
    expect(choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual(
      [0, 1, 2].map((index) => [index, answer, 'stop']),
    )
    expect(usage).toMatchObject({ prompt_tokens: 17, completion_tokens: 36, total_tokens: 53 })
  })

  test('with a seed gives texts that differ', async () => {
    const reply = await client.chat.completions.create({ model: 'endless', messages: [question], n: 3, seed: 5, temperature: 1.5, max_tokens: 12 })
    expect(new Set(reply.choices.map(({ message }) => message.content)).size).toBe(3)
  })

  test('streams the choices side by side, each with a role, its words and an end', async () => {
    const stream = await client.chat.completions.create({ ...three, temperature: 0, stream: true, stream_options: { include_usage: true } })
    const texts = ['', '', '']
    const roles: number[] = []
    const ends: unknown[] = []
    let total: number | undefined
    for await (const { choices, usage } of stream) {
      total = usage?.total_tokens ?? total
      for (const { index, delta, finish_reason } of choices) {
        texts[index] += delta.content ?? ''
        if (delta.role) roles.push(index)
        if (finish_reason) ends.push([index, finish_reason])
      }
    }
    expect([texts, roles.sort(), ends.sort(), total]).toEqual([
      [answer, answer, answer],
      [0, 1, 2],
      [
        [0, 'stop'],
        [1, 'stop'],
        [2, 'stop'],
      ],
      53,
    ])
  })

  test('leaving the stream frees all slots', async () => {
    const stream = await client.chat.completions.create({ model: 'endless', messages: [question], n: 4, stream: true })
    const seen = new Set<number>()
    for await (const { choices } of stream) {
      for (const { index } of choices) seen.add(index)
      if (seen.size > 1) break
    }
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('more than there are slots wait for their turn', async () => {
    const { choices } = await client.chat.completions.create({ ...three, n: 20, temperature: 0 })
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual(Array.from({ length: 20 }, (_, index) => [index, answer]))
  })
})

describe('tools', () => {
  test('parallel_tool_calls: false keeps to one call, which ends the reply', async () => {
    const [end] = await tokensOf('<|im_end|>')
    const calls = async (parallel: boolean, tool: ChatCompletionTool, stream: boolean) => {
      // A model that may not end its turn calls again and again.
      const body = { model: 'cria', messages: asksWeather, tools: [tool], temperature: 0, max_tokens: 100, logit_bias: { [String(end)]: -100 } }
      const request = { ...body, parallel_tool_calls: parallel }
      const choice = stream
        ? (await client.chat.completions.stream(request).finalChatCompletion()).choices[0]
        : (await client.chat.completions.create(request)).choices[0]
      return [choice?.message.tool_calls?.length, choice?.finish_reason]
    }
    const [many] = await calls(true, weather(), false)
    expect(many).toBeGreaterThan(1)
    // A schema with references has no grammar: there the reply is ended at its first call.
    const free = weather({ $defs: { a: { $ref: '#/$defs/b' } } })
    expect([
      await calls(false, weather(), false),
      await calls(false, weather(), true),
      await calls(false, free, false),
      await calls(false, free, true),
    ]).toEqual(Array.from({ length: 4 }, () => [1, 'tool_calls']))
    expect(server.slotsInUse()).toBe(0)
  })

  test('tool_choice of a name makes the model call that tool, a name that is none is refused', async () => {
    const rename = (name: string): ChatCompletionTool => ({ type: 'function', function: { name, parameters: { type: 'object', properties: {} } } })
    const tools = [rename('first'), rename('second')]
    const choose = (name: string) =>
      client.chat.completions.create({ model: 'cria', messages: [question], tools, tool_choice: { type: 'function', function: { name } }, max_tokens: 60 })
    const [call] = (await choose('second')).choices[0]?.message.tool_calls ?? []
    expect(call?.type === 'function' && call.function.name).toBe('second')
    await expect(choose('third')).rejects.toMatchObject({ status: 400, message: expect.stringContaining('no tool is named "third"') })
  })
})

describe('thinking_budget', () => {
  type Thoughtful = OpenAI.Chat.ChatCompletionMessage & { reasoning?: string }
  const think = async (thinking_budget: number | undefined) => {
    const body = { model: 'cria', messages: sums, temperature: 0, max_tokens: 120, ...(thinking_budget !== undefined && { thinking_budget }) }
    const { choices, usage } = await client.chat.completions.create(body)
    return { message: choices[0]?.message as Thoughtful, usage }
  }

  test('closes the thinking, and the answer follows', async () => {
    const free = (await think(undefined)).message.reasoning ?? ''
    const { message } = await think(3)
    const [kept = '', rest = ''] = (message.reasoning ?? '').split(/\n\n(?=Considering the limited time)/)
    expect([kept !== '' && free.startsWith(kept), rest.startsWith('Considering'), message.content?.trim() !== '']).toEqual([true, true, true])
    expect((await tokensOf(kept)).length).toBeLessThanOrEqual(3)
    expect(message.content).not.toMatch(/<\/?think>/)
  })

  test('0 is no thinking at all', async () => {
    const { message } = await think(0)
    expect([message.reasoning, message.content?.trim() !== '']).toEqual([undefined, true])
  })

  test('larger than the thinking changes nothing', async () => {
    expect((await think(500)).message).toEqual((await think(undefined)).message)
  })

  test('a schema holds the answer behind thinking that was closed', async () => {
    const schema = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const body = {
      model: 'cria',
      messages: [{ role: 'user' as const, content: 'Give the capital of France as JSON.' }],
      response_format: { type: 'json_schema' as const, json_schema: { name: 'city', schema } },
      temperature: 0,
      thinking_budget: 2,
    }
    const message = (await client.chat.completions.create(body)).choices[0]?.message as Thoughtful
    expect(message.reasoning).toContain('Considering the limited time')
    expect(['Paris', 'Rome']).toContain(JSON.parse(message.content ?? '').capital)
  })
})

describe('sampling', () => {
  test('logit_bias of -100 keeps a token out', async () => {
    const [paris] = await tokensOf(' Paris')
    const { choices } = await client.chat.completions.create({
      model: 'cria',
      messages: [question],
      temperature: 0,
      max_tokens: 20,
      logit_bias: { [String(paris)]: -100 },
    })
    expect(choices[0]?.message.content).toMatch(/^The capital of France is(?! Paris)/)
  })

  test('a bias on a token that the vocabulary lacks is refused', async () => {
    const biased = client.chat.completions.create({ model: 'cria', messages: [question], logit_bias: { 999999: 1 } })
    await expect(biased).rejects.toMatchObject({ status: 400, message: expect.stringContaining('999999') })
  })

  test('max_completion_tokens, stop lists and fields that change nothing here are taken', async () => {
    const { choices } = await client.chat.completions.create({
      model: 'cria',
      messages: [{ role: 'developer', content: [{ type: 'text', text: 'Be brief.' }] }, question],
      temperature: 0,
      max_completion_tokens: 3,
      stop: ['zzz'],
      user: 'someone',
      store: true,
      metadata: { a: 'b' },
      service_tier: 'auto',
      safety_identifier: 'x',
      prompt_cache_key: 'y',
      verbosity: 'low',
      modalities: ['text'],
    })
    expect(choices[0]?.finish_reason).toBe('length')
  })
})

describe('completions', () => {
  const prompt = 'What is the capital of France?'
  const complete = (more: object) => client.completions.create({ model: 'cria', prompt, temperature: 0, ...more }) as Promise<OpenAI.Completion>

  test('several prompts, several replies to each: in the order of the prompts', async () => {
    const { choices, usage } = await complete({ prompt: [prompt, 'What is the capital of Italy?'], n: 2 })
    const italy = 'The capital of Italy is Rome.'
    expect(choices.map(({ index, text }) => [index, text])).toEqual([answer, answer, italy, italy].map((text, index) => [index, text]))
    const alone = await Promise.all([complete({}), complete({ prompt: 'What is the capital of Italy?' })])
    expect(usage?.prompt_tokens).toBe(alone.reduce((sum, reply) => sum + (reply.usage?.prompt_tokens ?? 0), 0))
    expect(usage?.completion_tokens).toBe(2 * alone.reduce((sum, reply) => sum + (reply.usage?.completion_tokens ?? 0), 0))
  })

  test('token ids are the prompt as it is, without a template; echo gives their text', async () => {
    const text = `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n`
    const ids = await tokensOf(text)
    const { choices, usage } = await complete({ prompt: ids, echo: true })
    expect([choices[0]?.text, usage?.prompt_tokens]).toEqual([text + answer, ids.length])
    const both = await complete({ prompt: [ids, ids] })
    expect(both.choices.map((choice) => choice.text)).toEqual([answer, answer])
    await expect(complete({ prompt: [999999] })).rejects.toMatchObject({ status: 400, message: expect.stringContaining('999999') })
  })

  test('echo puts the prompt before the words, streamed too', async () => {
    expect((await complete({ echo: true })).choices[0]?.text).toBe(prompt + answer)
    const stream = await client.completions.create({
      model: 'cria',
      prompt: [prompt, 'What is the capital of Italy?'],
      temperature: 0,
      echo: true,
      stream: true,
    })
    const texts = ['', '']
    for await (const { choices } of stream) for (const { index, text } of choices) texts[index] += text
    expect(texts).toEqual([prompt + answer, 'What is the capital of Italy?The capital of Italy is Rome.'])
  })

  test('logprobs tell tokens, their probabilities, the alternatives and where they stand', async () => {
    const { choices } = await complete({ logprobs: 2, max_tokens: 3 })
    expect(choices[0]?.logprobs).toEqual({
      tokens: ['The', ' capital', ' of'],
      token_logprobs: [expect.any(Number), expect.any(Number), expect.any(Number)],
      top_logprobs: [expect.objectContaining({ The: expect.any(Number) }), expect.objectContaining({ ' capital': expect.any(Number) }), expect.anything()],
      text_offset: [0, 3, 11],
    })
    expect(choices[0]?.logprobs?.top_logprobs?.map((top) => Object.keys(top).length)).toEqual([2, 2, 2])
    const stream = await client.completions.create({ model: 'cria', prompt, temperature: 0, logprobs: 0, max_tokens: 3, stream: true })
    const chunks = await Array.fromAsync(stream)
    expect(chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.text_offset ?? [])).toEqual([0, 3, 11])
  })

  test('best_of gives the most probable of the replies, best first, and counts them all', async () => {
    const { choices, usage } = await complete({ model: 'endless', seed: 3, temperature: 1.5, max_tokens: 8, best_of: 4, n: 3, logprobs: 0 })
    const sums = choices.map(({ logprobs }) => (logprobs?.token_logprobs ?? []).reduce((sum, value) => sum + value, 0))
    expect([choices.map(({ index }) => index), sums.length, usage?.completion_tokens]).toEqual([[0, 1, 2], 3, 32])
    expect(sums).toEqual(sums.toSorted((a, b) => b - a))
    const alone = await complete({ best_of: 2 })
    expect(alone.choices.map(({ text, logprobs }) => [text, logprobs ?? null])).toEqual([[answer, null]])
  })
})

describe('embeddings', () => {
  const embed = async (more: object) =>
    (await client.embeddings.create({ model: 'all-minilm', input: 'hello', ...more })).data.map(({ embedding }) => embedding)

  test('token ids give the vector of their text', async () => {
    const ids = await post(server.url, '/api/tokenize', { model: 'all-minilm', text: 'hello', add_special: true })
    const tokens = ids.body.tokens as number[]
    const [text = []] = await embed({})
    const vectors = [...(await embed({ input: tokens })), ...(await embed({ input: [tokens, tokens] }))]
    const likeness = vectors.map((vector) => vector.reduce((sum, value, at) => sum + value * (text[at] ?? 0), 0))
    expect(likeness).toEqual([1, 1, 1].map(() => expect.closeTo(1, 5)))
  })

  test('ids that the vocabulary lacks are refused by name', async () => {
    await expect(embed({ input: [[100257]] })).rejects.toMatchObject({ status: 400, message: expect.stringContaining('100257') })
  })

  test('base64 and floats are the same numbers, dimensions cut them', async () => {
    const [plain, packed, short] = [await embed({ encoding_format: 'float' }), await embed({ encoding_format: 'base64' }), await embed({ dimensions: 8 })]
    const bytes = Buffer.from(packed[0] as unknown as string, 'base64')
    expect(Array.from({ length: 384 }, (_, at) => bytes.readFloatLE(4 * at))).toEqual(plain[0]?.map(Math.fround))
    expect([short[0]?.length, Math.hypot(...(short[0] ?? []))]).toEqual([8, expect.closeTo(1, 4)])
  })
})
