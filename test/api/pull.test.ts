import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFaultyProxy } from '../helpers/faulty-proxy.ts'
import { post } from '../helpers/http.ts'
import { startProgram } from '../helpers/program.ts'
import { criaModel, publish } from '../helpers/publish.ts'
import { hasRegistry, type Registry, startRegistry } from '../helpers/registry.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

describe.runIf(hasRegistry)('POST /api/pull', () => {
  let registry: Registry
  let server: TestServer

  beforeAll(async () => {
    ;[registry, server] = await Promise.all([startRegistry(), startTestServer()])
    await publish(registry.url, 'library/cria:latest', await criaModel())
  })
  afterAll(async () => {
    await Promise.all([registry?.[Symbol.asyncDispose](), server?.[Symbol.asyncDispose]()])
  })

  test('brings a model that answers', async () => {
    const model = `${registry.host}/library/cria`
    const lines = await stream(server.url, '/api/pull', { model, insecure: true })
    expect(lines.at(0)).toEqual({ status: 'pulling manifest' })
    expect(lines.at(-1)).toEqual({ status: 'success' })
    const answer = await post(server.url, '/api/generate', { model, prompt: 'hello', stream: false, options: { num_predict: 3 } })
    expect(answer).toMatchObject({ status: 200, body: { done: true } })
  })

  test('answers with the last line alone where no stream is wanted', async () => {
    expect(await post(server.url, '/api/pull', { model: `${registry.host}/library/cria`, insecure: true, stream: false })).toMatchObject({
      status: 200,
      body: { status: 'success' },
    })
  })

  test('is what FROM does with a model that is not here', async () => {
    await using proxy = await startFaultyProxy(registry.url)
    const answer = await post(server.url, '/api/create', { model: 'mine', from: `${proxy.host}/library/cria`, stream: false })
    // Without TLS only for who says so, and create has no word for it.
    expect(answer).toMatchObject({
      status: 500,
      body: { error: expect.stringContaining(`pull model manifest: Get "https://${proxy.host}/v2/library/cria/manifests/latest"`) },
    })
  })

  test('is shared: two callers of one name have one download', async () => {
    await publish(registry.url, 'library/shared:latest', await criaModel({ system: randomBytes(8).toString('hex') }))
    await using proxy = await startFaultyProxy(registry.url)
    const body = { model: `${proxy.host}/library/shared`, insecure: true }
    const both = await Promise.all([stream(server.url, '/api/pull', body), stream(server.url, '/api/pull', body)])
    expect(both.map((lines) => lines.at(-1))).toEqual([{ status: 'success' }, { status: 'success' }])
    expect(proxy.seen.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1)
  })

  test('stops when its caller leaves, keeps what has come, and stands in the list as paused', async () => {
    await using proxy = await startFaultyProxy(registry.url, [{ path: /\/blobs\//, fault: { type: 'slow', bytesPerSecond: 100_000 } }])
    await using own = await startTestServer()
    const model = `${proxy.host}/library/cria`
    const leaving = new AbortController()
    const lines = await fetch(`${own.url}/api/pull`, { method: 'POST', body: JSON.stringify({ model, insecure: true }), signal: leaving.signal })
    const reader = lines.body?.getReader()
    await expect
      .poll(() => downloads(own.url), { timeout: 20_000 })
      .toMatchObject([{ state: 'running', completed: expect.toSatisfy((bytes: number) => bytes > 100_000) }])
    leaving.abort()
    await reader?.closed.catch(() => undefined)
    await expect.poll(() => downloads(own.url), { timeout: 20_000 }).toMatchObject([{ model: `${model}:latest`, state: 'paused' }])
    const [{ id, completed }] = (await downloads(own.url)) as [{ id: string; completed: number }]
    proxy.rules.length = 0
    proxy.seen.length = 0
    await fetch(`${own.url}/api/downloads/${id}/resume`, { method: 'POST' })
    await expect.poll(() => downloads(own.url), { timeout: 20_000 }).toMatchObject([{ state: 'done' }])
    const [range] = proxy.seen.filter(({ headers }) => headers.range !== undefined && !headers.range.startsWith('bytes=0-'))
    expect(Number(/bytes=(\d+)/.exec(String(range?.headers.range))?.[1])).toBeGreaterThan(completed / 2)
  }, 60_000)
})

describe.runIf(hasRegistry)('the queue of downloads', () => {
  test('goes on after the program was killed in the middle, from where it was', async () => {
    await using registry = await startRegistry()
    await publish(registry.url, 'library/cria:latest', await criaModel())
    await using proxy = await startFaultyProxy(registry.url, [{ path: /\/blobs\//, fault: { type: 'slow', bytesPerSecond: 500_000 } }])
    const model = `${proxy.host}/library/cria`
    await using first = await startProgram()
    await post(first.url, '/api/downloads', { model, insecure: true })
    // The tables of the parts are written every second.
    await expect.poll(() => downloads(first.url), { timeout: 30_000 }).toMatchObject([{ completed: expect.toSatisfy((bytes: number) => bytes > 1_200_000) }])
    first.process.kill('SIGKILL')
    await expect.poll(() => first.process.signalCode).toBe('SIGKILL')
    proxy.rules.length = 0
    proxy.seen.length = 0
    await using second = await startProgram({ env: { PADDOCK_HOME: first.home, OLLAMA_MODELS: first.models } })
    await expect.poll(() => downloads(second.url), { timeout: 30_000 }).toMatchObject([{ state: 'done' }])
    const ranges = proxy.seen.map(({ headers }) => Number(/bytes=(\d+)/.exec(String(headers.range))?.[1] ?? 0))
    expect(Math.max(...ranges)).toBeGreaterThan(100_000)
    const answer = await post(second.url, '/api/generate', { model, prompt: 'hello', stream: false, options: { num_predict: 3 } })
    expect(answer).toMatchObject({ status: 200, body: { done: true } })
  }, 120_000)

  test('can be paused, resumed and cancelled, with what has come or without', async () => {
    await using registry = await startRegistry()
    await publish(registry.url, 'library/cria:latest', await criaModel())
    await using proxy = await startFaultyProxy(registry.url, [{ path: /\/blobs\//, fault: { type: 'slow', bytesPerSecond: 300_000 } }])
    await using server = await startTestServer()
    const started = await post(server.url, '/api/downloads', { model: `${proxy.host}/library/cria`, insecure: true })
    expect(started).toMatchObject({ status: 202, body: { state: expect.stringMatching(/queued|running/) } })
    const { id } = started.body as { id: string }
    await expect.poll(() => downloads(server.url), { timeout: 20_000 }).toMatchObject([{ completed: expect.toSatisfy((bytes: number) => bytes > 100_000) }])
    expect(await post(server.url, `/api/downloads/${id}/pause`, {})).toMatchObject({ body: { state: 'paused' } })
    expect(await post(server.url, `/api/downloads/${id}/resume`, {})).toMatchObject({ body: { state: 'running' } })
    const gone = await fetch(`${server.url}/api/downloads/${id}`, { method: 'DELETE' })
    expect(gone.status).toBe(200)
    expect(await downloads(server.url)).toEqual([])
    expect((await post(server.url, `/api/downloads/${id}/pause`, {})).status).toBe(404)
    const disk = (await (await fetch(`${server.url}/api/disk`)).json()) as { partial: { count: number } }
    expect(disk.partial.count).toBe(0)
  }, 60_000)
})

async function stream(url: string, path: string, body: object): Promise<{ status?: string }[]> {
  const answer = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
  return (await answer.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { status?: string })
}

async function downloads(url: string): Promise<unknown[]> {
  const answer = await fetch(`${url}/api/downloads`)
  return ((await answer.json()) as { downloads: unknown[] }).downloads
}
