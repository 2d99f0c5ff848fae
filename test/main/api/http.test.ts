import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readConfig } from '../../../main/config.ts'
import { AppError } from '../../../main/errors.ts'
import { Log } from '../../../main/lib/log.ts'
import type { RequestRecord } from '../../../main/requests/request-log.ts'
import { api, fails, keysIn, notFound, post, says, temporaryFolder } from './services.ts'

interface Step {
  id: string
  request: { method: string; path: string; headers?: Record<string, string>; body?: unknown }
  response: { status: number; headers: Record<string, string>; text?: string }
}
const recorded = (name: string) =>
  (JSON.parse(readFileSync(path.resolve(import.meta.dirname, `../../fixtures/golden/${name}.json`), 'utf8')) as { steps: Step[] }).steps
const hardware = () => ({ cpu: { model: 'x', physicalCores: 1, totalBytes: 1 }, builds: [], build: 'linux-x64', devices: [] })

// What the real server sets itself, or what differs in length only as our version route says more.
const ofTheServer = ['content-length', 'transfer-encoding']

for (const name of ['origins', 'general']) {
  for (const { id, request, response } of recorded(name)) {
    test(`${name}/${id}: ${request.method} ${request.path} has the recorded status, headers and text`, async () => {
      const answer = await api({ hardware }).request(`http://127.0.0.1:11434${request.path}`, {
        method: request.method,
        headers: { host: '127.0.0.1:11434', ...request.headers },
        ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
      })
      const text = await answer.text()
      expect(answer.status).toBe(response.status)
      for (const [header, value] of Object.entries(response.headers)) {
        if (!ofTheServer.includes(header)) expect([header, answer.headers.get(header)]).toEqual([header, value])
      }
      if (response.text !== undefined) expect(text).toBe(response.text)
    })
  }
}

test('a browser page may use Anthropic’s headers when it asks for them', async () => {
  const answer = await api().request('http://localhost/api/chat', {
    method: 'OPTIONS',
    headers: { host: 'localhost', origin: 'http://localhost:1', 'access-control-request-headers': 'x-api-key,anthropic-version' },
  })
  expect(answer.headers.get('access-control-allow-headers')).toMatch(/,X-Api-Key,Anthropic-Version$/)
})

test('an origin of OLLAMA_ORIGINS is let in, others are not', async () => {
  const app = api({ hardware, config: readConfig({ OLLAMA_ORIGINS: 'https://chat.example.com, https://*.example.org' }) })
  const from = async (origin: string) => (await app.request('/api/version', { headers: { host: 'localhost', origin } })).status
  expect(await Promise.all([from('https://chat.example.com'), from('https://a.example.org'), from('https://example.com')])).toEqual([200, 200, 403])
})

test('OLLAMA_ORIGINS=* answers every page with a star', async () => {
  const answer = await api({ config: readConfig({ OLLAMA_ORIGINS: '*' }) }).request('/api/version', { headers: { host: 'localhost', origin: 'https://a.b' } })
  expect([answer.status, answer.headers.get('access-control-allow-origin'), answer.headers.get('vary')]).toEqual([200, '*', null])
})

test('a page that posts plain text to a changing route is refused by its origin', async () => {
  const answer = await api().request('/api/delete', {
    method: 'DELETE',
    body: '{}',
    headers: { host: 'localhost', origin: 'https://evil.com', 'content-type': 'text/plain' },
  })
  expect(answer.status).toBe(403)
})

test('the Host header is checked on loopback and not beyond it, as the peer does', async () => {
  const status = async (env: Record<string, string>, host: string) =>
    (await api({ config: readConfig(env) }).request('/api/version', { headers: { host } })).status
  expect(await Promise.all(['evil.com', 'evil.com:11434', '127.0.0.1.evil.com', '', '[::1]', '192.168.1.2:1'].map((host) => status({}, host)))).toEqual([
    403, 403, 403, 200, 200, 200,
  ])
  expect(await status({ OLLAMA_HOST: '0.0.0.0' }, 'evil.com')).toBe(200)
})

test('beyond loopback every route but the root asks for a key as soon as one exists', async () => {
  const keys = keysIn(temporaryFolder())
  const app = api({ keys, config: readConfig({ OLLAMA_HOST: '0.0.0.0' }) })
  const status = async (where: string, headers: Record<string, string> = {}) => (await app.request(where, { headers: { host: 'box', ...headers } })).status
  expect(await status('/api/version')).toBe(200)
  const key = await keys.add('laptop', ['use'])
  expect(await status('/')).toBe(200)
  expect(await status('/api/version')).toBe(401)
  expect(await status('/api/nothing')).toBe(401)
  expect(await status('/api/version', { authorization: `Bearer ${key}x` })).toBe(401)
  expect(await status('/api/version', { authorization: `Bearer ${key}` })).toBe(200)
  expect(await status('/api/version', { 'x-api-key': key })).toBe(200)
})

test('a key without the scope manage cannot change models', async () => {
  const keys = keysIn(temporaryFolder())
  const key = await keys.add('laptop', ['use'])
  const answer = await post(api({ keys, config: readConfig({ PADDOCK_REQUIRE_KEY: '1' }) }), '/api/copy', {}, { authorization: `Bearer ${key}` })
  expect([answer.status, await answer.json()]).toEqual([403, { error: 'the key "laptop" does not allow to change models' }])
})

test('PADDOCK_REQUIRE_KEY asks on loopback too, and the owner’s token opens every route', async () => {
  const app = api({ hardware, ownerToken: 'owner', config: readConfig({ PADDOCK_REQUIRE_KEY: '1' }) })
  const status = async (headers: Record<string, string>) => (await app.request('/api/status', { headers: { host: 'localhost', ...headers } })).status
  expect([await status({}), await status({ authorization: 'Bearer owner' }), await status({ authorization: 'Bearer other' })]).toEqual([401, 200, 401])
})

test('an OpenAI route refuses a key in OpenAI’s envelope', async () => {
  const answer = await api({ config: readConfig({ PADDOCK_REQUIRE_KEY: '1' }) }).request('/v1/models', { headers: { host: 'localhost' } })
  expect(await answer.json()).toMatchObject({ error: { type: 'authentication_error', param: null, code: null } })
})

test('a bug is "internal error" to the caller and a stack in the log', async () => {
  const lines: string[] = []
  const app = api({ log: new Log('error', (line) => lines.push(line)), complete: () => fails(new TypeError('secret detail')) })
  const answer = await post(app, '/api/generate', { model: 'x', prompt: 'a' })
  expect([answer.status, await answer.json()]).toEqual([500, { error: 'internal error' }])
  expect(lines.join()).toContain('secret detail')
})

test('every answer carries the id under which the request log and the server’s log know it', async () => {
  const lines: string[] = []
  const records: RequestRecord[] = []
  const app = api({
    log: new Log('error', (line) => lines.push(line)),
    complete: () => fails(new TypeError('secret detail')),
    chat: () => says(['a']),
    onRequest: (record) => void records.push(record),
  })
  const bug = await post(app, '/api/generate', { model: 'x', prompt: 'a' })
  const answers = [
    bug,
    await post(app, '/v1/chat/completions', { model: 'x', stream: true, messages: [{ role: 'user', content: 'a' }] }),
    await app.request('/nowhere', { headers: { host: 'localhost' } }),
    await app.request('/api//tags', { headers: { host: 'localhost' } }),
    await app.request('/api/version', { headers: { host: 'evil.com' } }),
  ]
  await Promise.all(answers.map((answer) => answer.text()))
  await expect.poll(() => records.length).toBe(answers.length)
  const ids = answers.map((answer) => answer.headers.get('x-request-id'))
  expect(ids.toSorted()).toEqual(records.map(({ id }) => id).toSorted())
  expect(new Set(ids).size).toBe(answers.length)
  expect(lines.join()).toContain(`request=${ids[0]}`)
})

test('a caller’s own request id is taken over if it can stand in a header and a log', async () => {
  const idOf = async (id: string) => (await api().request('/', { headers: { host: 'localhost', 'x-request-id': id } })).headers.get('x-request-id')
  expect(await idOf('order 7/a')).toBe('order 7/a')
  expect(await idOf('x'.repeat(128))).toBe('x'.repeat(128))
  for (const odd of ['x'.repeat(129), 'a\tb', 'ä']) expect(await idOf(odd)).toMatch(/^[\w-]{36}$/)
})

test('a page of another origin may send a request id and read the answer’s', async () => {
  const from = { host: 'localhost', origin: 'http://localhost:1' }
  const preflight = await api().request('/api/chat', { method: 'OPTIONS', headers: { ...from, 'access-control-request-headers': 'x-request-id' } })
  expect(preflight.headers.get('access-control-allow-headers')).toMatch(/,X-Request-Id$/)
  const answer = await api().request('/', { headers: from })
  expect(answer.headers.get('access-control-expose-headers')).toBe('X-Request-Id,X-Context-Truncated')
})

test('a page of another origin may read why it is refused, whoever refuses it', async () => {
  const app = api({ complete: () => fails(notFound), config: readConfig({ PADDOCK_REQUIRE_KEY: '1' }), ownerToken: 'owner' })
  const from = { host: 'localhost', origin: 'http://localhost:1' }
  const known = { ...from, 'x-api-key': 'owner' }
  const answers = [
    await app.request('/api/tags', { headers: from }),
    await app.request('/v1/models', { headers: { ...from, 'x-api-key': 'wrong' } }),
    await post(app, '/api/generate', { model: 'x' }, known),
    await post(app, '/api/generate', '{', known),
    await app.request('/nowhere', { headers: known }),
    await app.request('/api/pull', { headers: known }),
  ]
  expect(answers.map(({ status, headers }) => [status, headers.get('access-control-allow-origin')])).toEqual(
    [401, 401, 404, 400, 404, 405].map((status) => [status, 'http://localhost:1']),
  )
})

test('the request log hears of each request once, with counts and times', async () => {
  const records: RequestRecord[] = []
  const app = api({ chat: () => says(['a', 'b']), complete: () => fails(notFound), onRequest: (record) => void records.push(record) })
  const messages = [{ role: 'user', content: 'x' }]
  await (await post(app, '/api/chat', { model: 'm', messages }, { 'user-agent': 'me/1' })).text()
  await (await post(app, '/api/chat', { model: 'm', messages, stream: false })).text()
  await (await post(app, '/api/generate', { model: 'x', prompt: 'a' })).text()
  await expect.poll(() => records.length).toBe(3)
  const counts = { promptTokens: 7, cachedTokens: 3, completionTokens: 2, stopReason: 'stop', error: null, status: 200 }
  expect(records.toSorted((a, b) => a.startedAt.getTime() - b.startedAt.getTime())).toMatchObject([
    { method: 'POST', path: '/api/chat', client: 'me/1', model: 'm', ...counts },
    { model: 'm', ...counts },
    { path: '/api/generate', model: 'x', status: 404, error: "model 'x' not found", stopReason: null, promptTokens: null },
  ])
})

test('the request log keeps a name, an error and a path no longer than a line of it is worth', async () => {
  const records: RequestRecord[] = []
  const app = api({ complete: () => fails(new AppError('model-not-found', 'x'.repeat(1e6))), onRequest: (record) => void records.push(record) })
  await (await post(app, '/api/generate', { model: 'm'.repeat(1e6), prompt: 'a' }, { 'user-agent': 'u'.repeat(9000) })).text()
  await app.request(`/${'p'.repeat(9000)}`, { headers: { host: 'localhost' } })
  await expect.poll(() => records.length).toBe(2)
  for (const { model, error, client, path: asked } of records) {
    for (const text of [model, error, client, asked]) expect(text?.length ?? 0).toBeLessThanOrEqual(500)
  }
})

test('OLLAMA_DEBUG_LOG_REQUESTS keeps nothing of a body that holds a key', async () => {
  const lines: string[] = []
  const app = api({ log: new Log('warn', (line) => lines.push(line)), config: readConfig({ OLLAMA_DEBUG_LOG_REQUESTS: '1' }) })
  await post(app, '/api/upstreams', '{"name": "gpu", "url": "http://gpu", "key": "sk-secret"}')
  await post(app, '/api/show', '{}')
  const folder = /folder=(\S+)/.exec(lines.join())?.[1] ?? ''
  await expect.poll(() => readdirSync(folder)).toEqual(['000001-api-show.json', '000001-api-show.sh'])
})

test('a caller cannot put a command into the script that sends its request again', async () => {
  const lines: string[] = []
  const app = api({ log: new Log('warn', (line) => lines.push(line)), config: readConfig({ OLLAMA_DEBUG_LOG_REQUESTS: '1', OLLAMA_HOST: '0.0.0.0' }) })
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for a shell
  const host = "$(touch${IFS}owned)';touch${IFS}owned;'`touch${IFS}owned`"
  await app.request(`http://${host}/api/show`, { method: 'POST', body: '{}', headers: { host } })
  const folder = /folder=(\S+)/.exec(lines.join())?.[1] ?? ''
  await expect.poll(() => readdirSync(folder)).toHaveLength(2)
  spawnSync('sh', [path.join(folder, '000001-api-show.sh')], { env: { PATH: '/nowhere:/bin:/usr/bin' }, timeout: 10_000 })
  expect(readdirSync(folder)).toEqual(['000001-api-show.json', '000001-api-show.sh'])
})

test('OLLAMA_DEBUG_LOG_REQUESTS keeps each body with a script that sends it again, and says where', async () => {
  const lines: string[] = []
  const app = api({ log: new Log('warn', (line) => lines.push(line)), config: readConfig({ OLLAMA_DEBUG_LOG_REQUESTS: '1' }) })
  await post(app, '/api/show', '{"model": "a:b:c"}')
  const folder = /folder=(\S+)/.exec(lines.join())?.[1] ?? ''
  await expect.poll(() => readdirSync(folder)).toEqual(['000001-api-show.json', '000001-api-show.sh'])
  await expect.poll(() => readFileSync(path.join(folder, '000001-api-show.json'), 'utf8')).toBe('{"model": "a:b:c"}')
  expect(statSync(path.join(folder, '000001-api-show.json')).mode & 0o777).toBe(0o600)
})
