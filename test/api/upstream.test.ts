import { readdir, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI, { APIUserAbortError, NotFoundError } from 'openai'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../helpers/endless.ts'
import { get, post, postLines } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'
import { run as runLine } from '../main/cli/fake-terminal.ts'

let engine: TestServer
let front: TestServer

beforeAll(async () => {
  engine = await startTestServer()
  front = await startTestServer()
  await addModel(engine.url, 'cria', criaFile)
  await addEndlessModel(engine.url)
  expect(await post(front.url, '/api/upstreams', { name: 'near', url: engine.url })).toMatchObject({ status: 200, body: { protocol: 'ollama', state: 'up' } })
  expect(await post(front.url, '/api/upstreams', { name: 'far', url: `${engine.url}/v1/` })).toMatchObject({
    status: 200,
    body: { protocol: 'openai', state: 'up' },
  })
})
afterAll(async () => {
  await front?.[Symbol.asyncDispose]()
  await engine?.[Symbol.asyncDispose]()
})

const question = { role: 'user' as const, content: 'What is the capital of France?' }
const answer = 'The capital of France is Paris.'
const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'Get the weather of a city',
    parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string', description: 'The city' } } },
  },
}
const greedy = { temperature: 0 }

/** The same request to the engine itself and through the front, without what differs from run to run. */
async function both(path: string, body: Record<string, unknown>, name: string) {
  const direct = await post(engine.url, path, body)
  const through = await post(front.url, path, { ...body, model: name })
  return { direct: direct.body, through: through.body }
}

describe.each(['near', 'far'])('models of the engine %s', (name) => {
  const cria = `${name}/cria:latest`

  test('/api/tags, /v1/models and /api/show say where they run', async () => {
    const { models } = await get<{ models: Record<string, unknown>[] }>(front.url, '/api/tags')
    const where = { remote_model: 'cria:latest', remote_host: engine.url, upstream: { name, state: 'up' } }
    expect(models.find((model) => model.name === cria)).toMatchObject({ model: cria, ...where, capabilities: expect.arrayContaining(['completion', 'tools']) })
    expect(models.map((model) => String(model.digest).length)).toEqual(models.map(() => 64))
    const { data } = await get<{ data: Record<string, unknown>[] }>(front.url, '/v1/models')
    expect(data.find(({ id }) => id === cria)).toMatchObject({ object: 'model', owned_by: name, ...where })
    expect(await get(front.url, `/v1/models/${cria}`)).toMatchObject({ id: cria, ...where })
    expect((await post(front.url, '/api/show', { model: cria })).body).toMatchObject({ ...where, details: {}, model_info: {}, capabilities: expect.any(Array) })
    expect(await get(front.url, '/api/ps')).toEqual({ models: [] })
  })

  test('/api/chat answers as the engine does, whole and streamed', async () => {
    const { direct, through } = await both('/api/chat', { model: 'cria', messages: [question], options: greedy, stream: false }, cria)
    expect(through).toMatchObject({
      model: cria,
      message: direct.message,
      done_reason: 'stop',
      eval_count: direct.eval_count,
      prompt_eval_count: direct.prompt_eval_count,
    })
    const lines = await postLines(front.url, '/api/chat', { model: cria, messages: [question], options: greedy })
    expect(lines.map(({ message }) => (message as { content: string }).content).join('')).toBe(answer)
    expect(lines.length).toBeGreaterThan(5)
    expect(lines.at(-1)).toMatchObject({ done: true, done_reason: 'stop', eval_count: direct.eval_count })
  })

  test('thinking is split off, switched off and sent back', async () => {
    const messages = [
      { role: 'user', content: 'What is 2 + 3?' },
      { role: 'assistant', content: 'It is 5.', thinking: 'I need 2 + 3, which is 5.' },
      { role: 'user', content: 'What is 1 + 1?' },
    ]
    for (const think of [true, false]) {
      const { direct, through } = await both('/api/chat', { model: 'cria', messages, options: greedy, think, stream: false }, cria)
      expect([think, through.message, through.prompt_eval_count]).toEqual([think, direct.message, direct.prompt_eval_count])
      expect([think, 'thinking' in (through.message as object)]).toEqual([think, think])
    }
  })

  test('/api/generate answers a prompt, and a raw one as it is', async () => {
    const turn = await both('/api/generate', { model: 'cria', prompt: question.content, options: greedy, think: false, stream: false }, cria)
    // The engine's two routes differ in the white space that they leave in front.
    expect(String(turn.through.response).trim()).toBe(String(turn.direct.response).trim())
    const raw = await both(
      '/api/generate',
      { model: 'cria', prompt: '<|im_start|>user\nWhat', raw: true, options: { ...greedy, num_predict: 5 }, stream: false },
      cria,
    )
    expect(raw.through).toMatchObject({ done_reason: 'length' })
  })

  test("the 'ollama' package streams, and stops by a stop string", async () => {
    const client = new Ollama({ host: front.url })
    const pieces = await Array.fromAsync(
      await client.chat({ model: cria, messages: [question], options: { ...greedy, stop: [' is'] }, think: false, stream: true }),
    )
    expect(
      pieces
        .map(({ message }) => message.content)
        .join('')
        .trim(),
    ).toBe('The capital of France')
  })

  test("the 'openai' package: a conversation with a tool comes to its end", async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is the weather in Paris?' }]
    const first = await client.chat.completions.create({ model: cria, messages, tools: [weather], temperature: 0 })
    const [choice] = first.choices
    const call = choice?.message.tool_calls?.[0]
    if (choice === undefined || call?.type !== 'function') throw new Error('no function was called')
    expect([choice.finish_reason, call.function]).toEqual(['tool_calls', { name: 'get_weather', arguments: '{"city":"Paris"}' }])
    messages.push(choice.message, { role: 'tool', tool_call_id: call.id, content: '21 degrees and sunny' })
    const stream = client.chat.completions.stream({ model: cria, messages, tools: [weather], temperature: 0 })
    expect((await stream.finalContent())?.trim()).toBe('It is 21 degrees and sunny in Paris.')
  })

  test("the '@anthropic-ai/sdk' package: thinking, text and a tool call as blocks", async () => {
    const client = new Anthropic({ baseURL: front.url, apiKey: 'any', maxRetries: 0 })
    const tools = [{ name: 'get_weather', description: 'Get the weather of a city', input_schema: { ...weather.function.parameters, type: 'object' as const } }]
    const message = await client.messages
      .stream({ model: cria, max_tokens: 200, temperature: 0, tools, messages: [{ role: 'user', content: 'What is the weather in Paris?' }] })
      .finalMessage()
    expect(message.stop_reason).toBe('tool_use')
    expect(message.content.find(({ type }) => type === 'tool_use')).toMatchObject({
      name: 'get_weather',
      input: { city: 'Paris' },
      id: expect.stringMatching(/./),
    })
    expect(message.usage.output_tokens).toBeGreaterThan(5)
  })

  test('a thinking budget, several choices and one call at most are kept to', async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const sums = [
      { role: 'user' as const, content: 'What is 2 + 3?' },
      { role: 'assistant' as const, content: 'It is 5.' },
      { role: 'user' as const, content: 'What is 1 + 1?' },
    ]
    const bounded = { model: cria, messages: sums, temperature: 0, thinking_budget: 3 }
    const [thought] = (await client.chat.completions.create(bounded)).choices
    expect((thought?.message as { reasoning?: string } | undefined)?.reasoning).toContain('Considering the limited time')
    const { choices } = await client.chat.completions.create({ model: cria, messages: [question], temperature: 0, n: 2 })
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, answer],
      [1, answer],
    ])
    const { body } = await post(engine.url, '/api/tokenize', { model: 'cria', text: '<|im_end|>' })
    const asked = {
      model: cria,
      messages: [{ role: 'user' as const, content: 'What is the weather in Paris?' }],
      tools: [weather],
      parallel_tool_calls: false,
      temperature: 0,
      max_tokens: 100,
      logit_bias: { [String((body.tokens as number[])[0])]: -100 },
    }
    expect((await client.chat.completions.create(asked)).choices[0]?.message.tool_calls).toHaveLength(1)
  })

  test('/v1/responses goes on with a conversation', async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const response = await client.responses.create({ model: cria, input: question.content, temperature: 0 })
    expect(response.output_text.trim()).toBe(answer)
  })

  test('a JSON Schema shapes the answer', async () => {
    const format = { type: 'object', properties: { capital: { type: 'string', enum: ['Paris', 'Rome'] } }, required: ['capital'], additionalProperties: false }
    const { body } = await post(front.url, '/api/chat', { model: cria, messages: [question], format, options: greedy, think: false, stream: false })
    expect(JSON.parse((body.message as { content: string }).content)).toEqual({ capital: 'Paris' })
  })

  test('log-probabilities come with their alternatives', async () => {
    const body = { model: 'cria', messages: [question], options: { ...greedy, num_predict: 2 }, logprobs: true, top_logprobs: 3, think: false, stream: false }
    const { direct, through } = await both('/api/chat', body, cria)
    expect(through.logprobs).toEqual(direct.logprobs)
  })

  test("/api/embed and /v1/embeddings give the engine's vectors", async () => {
    const input = ['why is the sky blue?', 'hello']
    const direct = (await post(engine.url, '/api/embed', { model: 'all-minilm', input })).body as { embeddings: number[][]; prompt_eval_count: number }
    const through = (await post(front.url, '/api/embed', { model: `${name}/all-minilm`, input })).body as { embeddings: number[][]; prompt_eval_count: number }
    expect(through.prompt_eval_count).toBe(direct.prompt_eval_count)
    expect(through.embeddings.flat().every((value, at) => Math.abs(value - (direct.embeddings.flat()[at] ?? 9)) < 1e-6)).toBe(true)
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const { data } = await client.embeddings.create({ model: `${name}/all-minilm`, input, dimensions: 100 })
    expect(data.map(({ embedding }) => embedding.length)).toEqual([100, 100])
  })

  test('an unknown model is a 404 in the words of the engine', async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const asking = client.chat.completions.create({ model: `${name}/nothing-here`, messages: [question] })
    await expect(asking).rejects.toThrow(NotFoundError)
    await expect(asking).rejects.toThrow(`${name}: model 'nothing-here' not found`)
    expect(await post(front.url, '/api/show', { model: `${name}/nothing-here` })).toMatchObject({ status: 404 })
  })

  test('what belongs to the engine is refused with 400', async () => {
    const asked = [
      ['/api/chat', { model: cria, keep_alive: 0 }, 'it is loaded and unloaded there'],
      ['/api/copy', { source: cria, destination: 'mine' }, 'cannot copy'],
      ['/api/copy', { source: 'smollm2:135m', destination: `${name}/mine` }, 'cannot copy'],
      ['/api/create', { model: `${name}/mine`, from: 'smollm2:135m' }, 'cannot create'],
      ['/api/create', { model: `registry.ollama.ai/${name.toUpperCase()}/mine:latest`, from: 'smollm2:135m', stream: false }, 'cannot be made'],
      ['/api/pull', { model: `${name}/mine` }, 'cannot pull'],
      ['/api/chat', { model: cria, messages: [question], _debug_render_only: true }, 'cannot be shown'],
    ] as const
    for (const [path, body, words] of asked) {
      expect([path, await post(front.url, path, body)]).toMatchObject([path, { status: 400, body: { error: expect.stringContaining(words) } }])
    }
    const deletion = await fetch(`${front.url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model: cria }) })
    expect([deletion.status, await deletion.json()]).toMatchObject([400, { error: expect.stringContaining('cannot delete') }])
  })

  test('a request without a prompt finds out whether the model is there', async () => {
    expect(await post(front.url, '/api/chat', { model: cria })).toMatchObject({ status: 200, body: { done_reason: 'load' } })
    expect(await post(front.url, '/api/generate', { model: `${name}/nothing` })).toMatchObject({ status: 404 })
  })

  test('aborting a reply ends it in the engine', async () => {
    const client = new OpenAI({ baseURL: `${front.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const leave = new AbortController()
    const stream = await client.chat.completions.create({ model: `${name}/endless`, messages: [question], stream: true }, { signal: leave.signal })
    expect(engine.slotsInUse()).toBe(1)
    let chunks = 0
    const reading = (async () => {
      for await (const _ of stream) if (++chunks === 3) leave.abort()
    })()
    await reading.catch((error) => expect(error).toBeInstanceOf(APIUserAbortError))
    await expect.poll(() => engine.slotsInUse()).toBe(0)
  })

  test('the request log keeps the request as any other', async () => {
    await fetch(`${front.url}/api/chat`, {
      method: 'POST',
      headers: { 'x-request-id': `log-${name}` },
      body: JSON.stringify({ model: cria, messages: [question], options: greedy, stream: false }),
    }).then((response) => response.text())
    const logged = { model: cria, status: 200, stopReason: 'stop', completionTokens: expect.any(Number), promptTokens: 17 }
    expect(front.services.requests.recent(20).find(({ id }) => id === `log-${name}`)).toMatchObject(logged)
  })
})

test('a Paddock counts and tokenizes for another by its own protocol; by the other that is 501', async () => {
  const direct = await post(engine.url, '/api/tokenize', { model: 'cria', text: 'Hello there' })
  expect((await post(front.url, '/api/tokenize', { model: 'near/cria', text: 'Hello there' })).body).toEqual(direct.body)
  expect((await post(front.url, '/api/detokenize', { model: 'near/cria', tokens: direct.body.tokens })).body).toMatchObject({ text: 'Hello there' })
  const counted = { messages: [question] }
  const there = await post(engine.url, '/v1/messages/count_tokens', { model: 'cria', ...counted })
  expect((await post(front.url, '/v1/messages/count_tokens', { model: 'near/cria', ...counted })).body).toEqual(there.body)
  expect(await post(front.url, '/api/tokenize', { model: 'far/cria', text: 'Hello' })).toMatchObject({ status: 501 })
  expect(await post(front.url, '/v1/messages/count_tokens', { model: 'far/cria', ...counted })).toMatchObject({ status: 501 })
  const rerank = { query: 'sky', documents: ['Eggs.', 'The sky is blue.'] }
  const ranked = await post(front.url, '/api/rerank', { model: 'near/all-minilm', ...rerank })
  expect(ranked.body).toMatchObject({ results: [{ index: 1 }, { index: 0 }] })
})

test("a prompt of token ids reaches an engine that speaks OpenAI's protocol, and is refused where Ollama's has none", async () => {
  const { body } = await post(engine.url, '/api/tokenize', {
    model: 'cria',
    text: '<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
  })
  const complete = (model: string) => post(front.url, '/v1/completions', { model, prompt: body.tokens, temperature: 0 })
  expect([await complete('far/cria'), await complete('near/cria')]).toMatchObject([
    { status: 200, body: { choices: [{ text: answer }] } },
    { status: 400, body: { error: { message: expect.stringContaining('takes no token ids') } } },
  ])
})

test("tool_choice reaches an engine that speaks OpenAI's protocol, and is refused where Ollama's has none", async () => {
  const request = { messages: [question], tools: [weather], tool_choice: 'required', temperature: 0, max_tokens: 100 }
  const { body } = await post(front.url, '/v1/chat/completions', { model: 'far/cria', ...request })
  expect(body).toMatchObject({ choices: [{ message: { tool_calls: [{ function: { name: 'get_weather' } }] } }] })
  expect(await post(front.url, '/v1/chat/completions', { model: 'near/cria', ...request })).toMatchObject({ status: 400 })
})

test('what a Paddock elsewhere left out of a prompt is told here', async () => {
  const messages = Array.from({ length: 12 }, (_, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: 'word '.repeat(60) }))
  const options = { num_ctx: 256, num_predict: 4 }
  const { body } = await post(front.url, '/api/chat', { model: 'near/cria', messages: [...messages, question], options, stream: false })
  expect(body).toMatchObject({ truncation: { num_ctx: 256, dropped_messages: expect.any(Number) } })
})

/** Engines that a test may stop, and a server before them. */
async function apart(env: { engine?: Record<string, string>; front?: Record<string, string> } = {}) {
  const stack = new AsyncDisposableStack()
  const own = stack.use(await startTestServer({ env: env.front ?? {} }))
  const other = await startTestServer({ env: env.engine ?? {} })
  stack.defer(() => other[Symbol.asyncDispose]())
  return { own, other, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

describe.each([
  ['ollama', ''],
  ['openai', '/v1'],
])('an engine that speaks %s and stops', (protocol, path) => {
  test('ends a reply with an error frame, is then said to be down, and slows nobody', async () => {
    await using servers = await apart()
    const { own, other } = servers
    await addEndlessModel(other.url)
    await post(own.url, '/api/upstreams', { name: 'gone', url: other.url + path })
    const client = new OpenAI({ baseURL: `${own.url}/v1`, apiKey: 'any', maxRetries: 0 })
    const stream = await client.chat.completions.create({ model: 'gone/endless', messages: [question], stream: true })
    const chunks = stream[Symbol.asyncIterator]()
    await chunks.next()
    const stopping = other[Symbol.asyncDispose]()
    await expect(Array.fromAsync({ [Symbol.asyncIterator]: () => chunks })).rejects.toThrow(/gone/)
    await stopping

    const after = await post(own.url, '/api/chat', { model: 'gone/endless', messages: [question] })
    expect(after).toMatchObject({ status: 503, body: { error: `the engine gone at ${other.url} does not answer: the connection is refused` } })
    const { models } = await get<{ models: Record<string, unknown>[] }>(own.url, '/api/tags')
    expect(models.map(({ name }) => name)).toContain('smollm2:135m')

    // Asked anew: one that is added while it is down is kept, with what is wrong.
    const down = await post(own.url, '/api/upstreams', { name: 'never', url: other.url + path, protocol })
    expect(down).toMatchObject({ status: 200, body: { state: 'down', error: expect.stringContaining('the connection is refused'), models: [] } })
    expect(await post(own.url, '/api/upstreams', { name: 'unasked', url: other.url })).toMatchObject({
      status: 503,
      body: { error: expect.stringContaining('--protocol') },
    })
  })
})

test('a key opens the engine, and is seen nowhere else', async () => {
  await using servers = await apart({ engine: { PADDOCK_REQUIRE_KEY: '1' }, front: { OLLAMA_DEBUG_LOG_REQUESTS: '1' } })
  const { own, other } = servers
  const secret = await other.services.keys.add('front', ['use'])
  const answers: string[] = []
  const ask = async (path: string, body?: unknown) => {
    const response = await fetch(own.url + path, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) })
    const text = await response.text()
    answers.push(text)
    return { status: response.status, body: JSON.parse(text) as Record<string, unknown> }
  }
  expect(await ask('/api/upstreams', { name: 'safe', url: other.url, protocol: 'ollama', key: `${secret}x` })).toMatchObject({
    body: { state: 'down', error: expect.stringContaining('does not take the key') },
  })
  await fetch(`${own.url}/api/upstreams/safe`, { method: 'DELETE' })
  expect(await ask('/api/upstreams', { name: 'safe', url: other.url, key: secret })).toMatchObject({ status: 200, body: { state: 'up', has_key: true } })
  expect(await ask('/api/generate', { model: 'safe/smollm2:135m', prompt: 'Hi', options: { num_predict: 2 }, stream: false })).toMatchObject({ status: 200 })
  await ask('/api/generate', { model: 'safe/nothing', prompt: 'Hi' })
  await ask('/api/upstreams')
  await ask('/api/tags')
  await ask('/api/show', { model: 'safe/smollm2:135m' })
  await ask('/v1/models')

  const kept = own.log.flatMap((line) => /folder="?([^" ]*paddock-requests-[^" ]+)/.exec(line)?.[1] ?? [])
  expect(kept).toHaveLength(1)
  const files = await Promise.all((await readdir(kept[0] as string)).map((name) => readFile(path.join(kept[0] as string, name), 'utf8')))
  await rm(kept[0] as string, { recursive: true })
  expect(files.length).toBeGreaterThan(0)
  for (const text of [...answers, ...own.log, ...files, JSON.stringify(own.services.requests.recent(50))]) expect(text).not.toContain(secret)
  const { file } = own.services.settings
  expect(await readFile(file, 'utf8')).toContain(secret)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('a name in use here cannot be the name of an engine', async () => {
  await addModel(front.url, 'mine/cria', criaFile)
  const add = (name: string) => post(front.url, '/api/upstreams', { name, url: engine.url })
  expect(await add('mine')).toMatchObject({ status: 409, body: { error: expect.stringContaining('mine/cria:latest') } })
  expect(await add('near')).toMatchObject({ status: 409 })
  for (const name of ['library', 'hf.co', 'Upper', '', 'a/b', '-x']) expect([name, await add(name)]).toMatchObject([name, { status: 400 }])
})

test('paddock upstream adds, lists and removes; list and show tell where a model runs', async () => {
  const line = (...argv: string[]) => runLine(argv, { url: front.url })
  expect(await line('upstream', 'add', 'typed', engine.url)).toMatchObject({ code: 0, output: expect.stringContaining('  typed/cria:latest\n') })
  expect((await line('upstream', 'list')).output).toMatch(new RegExp(`\\ntyped +${engine.url} +ollama +no +up +\\d+\\n`))
  expect((await line('list')).output).toMatch(new RegExp(`\\ntyped/cria:latest +[0-9a-f]{12} +3\\.\\d MB .* ${engine.url}\\n`))
  expect((await line('list')).output).toMatch(/\nfar\/cria:latest +[0-9a-f]{12} +- /)
  expect((await line('show', 'far/cria')).output).toContain(engine.url)
  expect((await line('run', 'typed/cria', question.content, '--think=false')).output).toContain(answer)
  expect((await line('upstream', 'remove', 'typed')).code).toBe(0)
  expect((await line('upstream', 'remove', 'typed')).errors).toContain('no engine named "typed"')
  expect((await line('list')).output).not.toContain('typed/')
})

test('paddock upstream add --key - reads the key from the input', async () => {
  const { code } = await runLine(['upstream', 'add', 'piped', engine.url, '--key', '-'], { url: front.url, piped: 'a-secret\n' })
  expect(code).toBe(0)
  expect(front.services.settings.value.upstreams.find(({ name }) => name === 'piped')?.key).toBe('a-secret')
  expect((await runLine(['upstream', 'list'], { url: front.url })).output).toMatch(/\npiped .* yes /)
})
