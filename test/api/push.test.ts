import { execFile } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFaultyProxy } from '../helpers/faulty-proxy.ts'
import { get, post, postLines } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startProgram } from '../helpers/program.ts'
import { hasRegistry, type Registry, startRegistry } from '../helpers/registry.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

const run = promisify(execFile)
const program = path.resolve(import.meta.dirname, '../../main/serve.ts')

/** The command line, as a user types it. */
async function paddock(url: string, ...args: string[]): Promise<{ code: number; errors: string }> {
  await using home = await temporaryFolder()
  const env = { PATH: process.env.PATH, HOME: home.path, PADDOCK_HOME: home.path, OLLAMA_HOST: url }
  return run(process.execPath, [program, ...args], { env, timeout: 120_000 }).then(
    ({ stderr }) => ({ code: 0, errors: stderr }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, errors: stderr }),
  )
}

const digestOf = async (url: string, model: string) => {
  const { models } = await get<{ models: { name: string; digest: string }[] }>(url, '/api/tags')
  return models.find(({ name }) => name === model)?.digest
}

describe.runIf(hasRegistry)('POST /api/push', () => {
  let registry: Registry
  let server: TestServer

  beforeAll(async () => {
    ;[registry, server] = await Promise.all([startRegistry(), startTestServer()])
    await addModel(server.url, `${registry.host}/me/cria`, criaFile, { system: 'You are small.', parameters: { temperature: 0.5 } })
  })
  afterAll(async () => {
    await Promise.all([registry?.[Symbol.asyncDispose](), server?.[Symbol.asyncDispose]()])
  })

  test('brings a model to where another server pulls it, the same to the last byte, and runs it', async () => {
    const model = `${registry.host}/me/cria:latest`
    const lines = await postLines(server.url, '/api/push', { model, insecure: true })
    expect([lines[0], ...lines.slice(-2)]).toEqual([{ status: 'retrieving manifest' }, { status: 'pushing manifest' }, { status: 'success' }])
    await using other = await startTestServer()
    expect(await post(other.url, '/api/pull', { model, insecure: true, stream: false })).toEqual({ status: 200, body: { status: 'success' } })
    expect(await digestOf(other.url, model)).toBe(await digestOf(server.url, model))
    expect((await post(other.url, '/api/show', { model })).body).toMatchObject({ system: 'You are small.' })
    const answer = await post(other.url, '/api/generate', { model, prompt: 'hello', stream: false, options: { num_predict: 3 } })
    expect(answer).toMatchObject({ status: 200, body: { done: true } })
  })

  test('sends a model that ships under a second name', async () => {
    const model = `${registry.host}/me/small`
    await post(server.url, '/api/copy', { source: 'all-minilm', destination: model })
    expect(await post(server.url, '/api/push', { model, insecure: true, stream: false })).toEqual({ status: 200, body: { status: 'success' } })
  })

  test('answers with the last line alone where no stream is wanted, and tells of an unknown model', async () => {
    expect(await post(server.url, '/api/push', { model: `${registry.host}/me/none`, insecure: true, stream: false })).toEqual({
      status: 500,
      body: { error: `model '${registry.host}/me/none:latest' not found` },
    })
    expect((await postLines(server.url, '/api/push', { model: `${registry.host}/me/none`, insecure: true })).map(({ status }) => status)).toEqual([
      'retrieving manifest',
      "couldn't retrieve manifest",
      undefined,
    ])
  })

  test('refuses a registry without TLS unless told otherwise', async () => {
    const lines = await postLines(server.url, '/api/push', { model: `${registry.host}/me/cria` })
    expect(lines.at(-1)).toEqual({ error: expect.stringMatching(/: http: server gave HTTP response to HTTPS client$/) })
  })

  test('is `paddock push`, and `paddock pull` brings it back', async () => {
    const model = `${registry.host}/me/typed`
    await addModel(server.url, model, criaFile)
    expect(await paddock(server.url, 'push', model, '--insecure')).toMatchObject({ code: 0, errors: expect.stringContaining('pushing manifest') })
    await using other = await startTestServer()
    expect(await paddock(other.url, 'pull', model, '--insecure')).toMatchObject({ code: 0 })
    expect(await digestOf(other.url, `${model}:latest`)).toBe(await digestOf(server.url, `${model}:latest`))
    const missing = await paddock(server.url, 'push', `${registry.host}/me/none`, '--insecure')
    expect(missing).toMatchObject({ code: 1, errors: expect.stringContaining('not found') })
  })

  test('stops when its caller leaves', async () => {
    await using proxy = await startFaultyProxy(registry.url, [{ method: 'PATCH', fault: { type: 'hold-upload' } }])
    const model = `${proxy.host}/me/left`
    await addModel(server.url, model, criaFile)
    const leaving = new AbortController()
    const pushing = fetch(`${server.url}/api/push`, { method: 'POST', body: JSON.stringify({ model, insecure: true }), signal: leaving.signal }).then(
      (answer) => answer.text(),
    )
    pushing.catch(() => undefined)
    await expect.poll(() => proxy.seen.filter(({ method }) => method === 'PATCH').length, { timeout: 20_000 }).toBeGreaterThan(0)
    leaving.abort()
    await expect(pushing).rejects.toThrow()
    await expect.poll(() => proxy.seen.filter(({ status }) => status === 0), { timeout: 20_000 }).toEqual([])
    expect(proxy.seen.map(({ status }) => status)).toContain(499)
  })

  test('goes on where it was when the program is killed', async () => {
    await using folder = await temporaryFolder()
    const home = { PADDOCK_HOME: folder.path, OLLAMA_MODELS: path.join(folder.path, 'models') }
    await using proxy = await startFaultyProxy(registry.url)
    const model = `${proxy.host}/me/killed`
    {
      await using first = await startProgram({ env: home })
      await post(first.url, '/api/copy', { source: 'smollm2:135m', destination: model })
      // Its 98 MB go in parts of 32.
      proxy.rules.push({ method: 'PATCH', fromBytes: 2 ** 20, after: 2, fault: { type: 'hold-upload' } })
      const pushing = postLines(first.url, '/api/push', { model, insecure: true })
      pushing.catch(() => undefined)
      await expect.poll(() => large(proxy.seen).length, { timeout: 60_000 }).toBe(3)
      first.process.kill('SIGKILL')
      await once(first.process, 'exit')
      await expect(pushing).rejects.toThrow()
    }
    const [, , held] = large(proxy.seen)
    proxy.rules.length = 0
    proxy.seen.length = 0
    await using second = await startProgram({ env: home })
    expect((await postLines(second.url, '/api/push', { model, insecure: true })).at(-1)).toEqual({ status: 'success' })
    expect(large(proxy.seen)[0]).toBe(held)
    expect(held).not.toMatch(/^0-/)
  }, 120_000)
})

/** The parts of weights that were sent. */
function large(seen: readonly { method: string; headers: Record<string, string | string[] | undefined> }[]) {
  return seen.filter(({ method, headers }) => method === 'PATCH' && Number(headers['content-length']) > 2 ** 20).map(({ headers }) => headers['content-range'])
}
