import { describe, expect, test } from 'vitest'
import { checkUpstreamKey, checkUpstreamName, checkUpstreamUrl } from '../../../main/upstream/names.ts'
import { chat, failure, rawEngine, registry, sendJson } from './raw-engine.ts'

const soon = () => AbortSignal.timeout(20_000)
const list = (...ids: string[]) => ({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created: 1700000000, max_model_len: 4096 })) })

describe('find()', () => {
  test("takes the first segment, in any case; all behind it is the engine's own id", async () => {
    await using engine = await rawEngine((_, response) => sendJson(response, list()))
    using engines = registry()
    await engines.add({ name: 'vllm', url: engine.url })
    expect(engines.upstreams.find('VLLM/Qwen/Qwen3-8B:x/y ')).toMatchObject({ upstream: 'vllm', model: 'Qwen/Qwen3-8B:x/y' })
    for (const name of ['vllm', 'vllm/', '/vllm/a', 'library/vllm/a', 'other/a']) expect([name, engines.upstreams.find(name)]).toEqual([name, null])
    engines.upstreams.remove('vllm')
    expect(engines.upstreams.find('vllm/a')).toBeNull()
  })
})

describe('add()', () => {
  test('finds out what an engine speaks', async () => {
    const speaking = async (routes: Record<string, unknown>) => {
      await using engine = await rawEngine(({ path }, response) => sendJson(response, routes[path] ?? { error: 'not found' }, path in routes ? 200 : 404))
      using engines = registry()
      return await engines.add({ url: engine.url, protocol: null }).then(({ protocol }) => protocol)
    }
    const tags = { models: [] }
    expect(await speaking({ '/api/version': { version: '0.9' }, '/api/tags': tags, '/v1/models': list() })).toBe('ollama')
    // As llama.cpp's server does.
    expect(await speaking({ '/api/tags': tags, '/v1/models': list() })).toBe('openai')
    await expect(speaking({ '/api/tags': tags })).rejects.toThrow('no protocol of engines is spoken there')
  })

  test('keeps nothing of an engine that it refuses', async () => {
    using engines = registry(['mine/model:latest'])
    const refused = [{ name: 'mine' }, { name: 'A' }, { key: 'two words' }, { url: 'ftp://x' }, { url: 'http://user:password@x' }]
    for (const wrong of refused) await expect(engines.add({ url: 'http://127.0.0.1:9', ...wrong })).rejects.toThrow()
    expect(engines.records).toEqual([])
  })
})

test('names, addresses and keys are checked', () => {
  expect(checkUpstreamUrl('gpu.lan:8000/')).toBe('http://gpu.lan:8000')
  expect(checkUpstreamUrl('https://Host.example/openai/v1/')).toBe('https://host.example/openai')
  for (const url of ['', 'ftp://x', 'http://a b', 'http://x?key=1', 'http://x#y', 'file:///etc']) expect(() => checkUpstreamUrl(url), url).toThrow()
  for (const name of ['a', 'vllm-2', '0.x_y']) expect(() => checkUpstreamName(name)).not.toThrow()
  for (const name of ['', 'A', '.a', 'a/b', 'a:b', 'a'.repeat(65), 'library', 'hf.co']) expect(() => checkUpstreamName(name), name).toThrow()
  for (const key of ['a\r\nb', 'ä', 'a b', 'a'.repeat(5000)]) expect(() => checkUpstreamKey(key)).toThrow()
})

describe('the key', () => {
  const key = 'sk-very-secret'

  test('goes to the engine in a header, and to nobody that it points at', async () => {
    await using thief = await rawEngine((_, response) => sendJson(response, list('stolen')))
    await using engine = await rawEngine(({ path }, response) => response.writeHead(307, { location: thief.url + path }).end())
    using engines = registry()
    const added = await engines.add({ url: engine.url, key })
    expect(added).toMatchObject({ state: 'down', hasKey: true, problem: expect.stringContaining(`sends elsewhere (to "${thief.url}/v1/models")`) })
    const target = engines.upstreams.find('e/m')
    expect(await failure(Array.fromAsync(target?.client.chat(chat(), soon()) ?? []))).toMatchObject({ code: 'upstream-failed' })
    expect(engine.asked.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${key}`, `Bearer ${key}`])
    expect(thief.asked).toEqual([])
  })

  test('is not repeated when the engine repeats it', async () => {
    await using engine = await rawEngine((_, response) => sendJson(response, { error: { message: `Incorrect API key provided: ${key}` } }, 401))
    using engines = registry()
    const { problem } = await engines.add({ url: engine.url, key })
    expect(problem).toBe('e: Incorrect API key provided: … (it does not take the key that it was added with)')
    expect(JSON.stringify([await engines.upstreams.list(), await engines.upstreams.models()])).not.toContain(key)
  })
})

describe('lists', () => {
  test('say what engines tell', async () => {
    await using engine = await rawEngine((_, response) => sendJson(response, list('Qwen/Qwen3-8B', 'BAAI/bge-m3')))
    using engines = registry()
    await engines.add({ url: engine.url })
    expect(await engines.upstreams.models()).toMatchObject([
      {
        name: 'e/Qwen/Qwen3-8B',
        id: 'Qwen/Qwen3-8B',
        contextLength: 4096,
        capabilities: ['tools', 'thinking', 'completion'],
        upstream: { state: 'up', url: engine.url },
      },
      { name: 'e/BAAI/bge-m3', capabilities: ['embedding'] },
    ])
    expect(engine.asked).toHaveLength(1)
  })

  test.each([
    ['another shape', (): unknown => ({ data: [{ id: 7 }] }), 'another shape (data.0.id'],
    ['a name with a line break', () => list('a\nb'), 'another shape (data.0.id'],
    ['too many models', () => list(...Array.from({ length: 5001 }, (_, at) => `m${at}`)), 'another shape (data'],
    ['too many bytes', () => ({ data: [], more: 'a'.repeat(9 * 1024 * 1024) }), 'more than 8 MB'],
    ['no JSON', () => null, 'another shape'],
  ])('an engine that lists %s is down, and says why', async (_, answer, words) => {
    await using engine = await rawEngine((_asked, response) => sendJson(response, answer()))
    using engines = registry()
    expect(await engines.add({ url: engine.url })).toMatchObject({ state: 'down', problem: expect.stringContaining(words) })
    expect(await engines.upstreams.models()).toEqual([])
  })

  test.each(['ollama', 'openai'] as const)('leave out what a Paddock that speaks as %s has from elsewhere itself', async (protocol) => {
    const upstream = { name: 'back', state: 'up' }
    const cloud = { remote_model: 'b', remote_host: 'https://ollama.com' }
    const entries = [{ id: 'own' }, { id: 'back/own', upstream }, { id: 'cloud', ...cloud }].map(({ id, ...more }) => ({ id, name: id, ...more }))
    await using engine = await rawEngine((_, response) => sendJson(response, { data: entries, models: entries }))
    using engines = registry()
    await engines.add({ url: engine.url, protocol })
    expect((await engines.upstreams.models()).map(({ name }) => name)).toEqual(['e/own', 'e/cloud'])
  })

  test('do not wait for an engine that does not answer', async () => {
    let silent = false
    await using slow = await rawEngine((_, response) => (silent ? undefined : sendJson(response, list('old'))))
    await using quick = await rawEngine((_, response) => sendJson(response, list('new')))
    using before = registry()
    await before.add({ name: 'slow', url: slow.url })
    silent = true
    using engines = registry()
    await engines.add({ name: 'quick', url: quick.url })
    const [kept] = before.records
    if (kept === undefined) throw new Error('nothing is kept')
    engines.records.push(kept)
    expect(await engines.upstreams.list()).toMatchObject([
      { name: 'quick', state: 'up', models: ['new'] },
      { name: 'slow', state: 'unknown', models: [] },
    ])
  })
})

test('a request is sent again when the engine closed a kept connection, and only then', async () => {
  let answers = 0
  await using engine = await rawEngine(({ path }, response) => {
    if (path !== '/v1/models' && ++answers === 1) return response.destroy()
    return sendJson(response, path === '/v1/models' ? list('m') : { data: [{ index: 0, embedding: [3, 4] }] })
  })
  using engines = registry()
  await engines.add({ url: engine.url })
  const target = engines.upstreams.find('e/m')
  const embedding = { model: 'm', input: ['a'], truncate: true, dimensions: 0, options: {}, keepAliveMs: null }
  expect(await target?.client.embed(embedding, soon())).toEqual({ embeddings: [[3, 4]], promptTokens: 0 })
  expect(answers).toBe(2)
})

test('vectors that are too few are a failure of the engine', async () => {
  await using engine = await rawEngine(({ path }, response) =>
    sendJson(response, path === '/v1/models' ? list('m') : { data: [{ index: 0, embedding: [3, 4] }] }),
  )
  using engines = registry()
  await engines.add({ url: engine.url })
  const embedding = { model: 'm', input: ['a', 'b'], truncate: true, dimensions: 0, options: {}, keepAliveMs: null }
  expect(await failure(engines.upstreams.find('e/m')?.client.embed(embedding, soon()) ?? Promise.resolve())).toMatchObject({
    code: 'upstream-failed',
    message: expect.stringContaining('gives 1 vectors for 2 texts'),
  })
})

test('leaving a stream closes the connection to the engine', async () => {
  const closed = Promise.withResolvers<void>()
  await using engine = await rawEngine(({ path }, response) => {
    if (path === '/v1/models') return sendJson(response, list('m'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.on('close', closed.resolve)
    return response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: 'A' } }] })}\n\n`)
  })
  using engines = registry()
  await engines.add({ url: engine.url })
  for await (const event of engines.upstreams.find('e/m')?.client.chat(chat(), soon()) ?? []) if (event.type === 'text') break
  await closed.promise
})
