import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../../main/config.ts'
import { api, keysIn, temporaryFolder } from './services.ts'

/** Which key each route takes where keys are asked for. A route that is new has to be entered here by whoever adds it. */
const scopes: Record<'open' | 'use' | 'manage', readonly string[]> = {
  open: ['GET /'],
  use: [
    'GET /api/experimental/model-recommendations',
    'GET /api/ps',
    'GET /api/status',
    'GET /api/tags',
    'GET /api/version',
    'GET /metrics',
    'GET /openapi.json',
    'GET /v1/models',
    'GET /v1/models/:model{.+}',
    'GET /v1/responses/:id',
    'GET /v1/responses/:id/input_items',
    'DELETE /v1/responses/:id',
    'POST /api/chat',
    'POST /api/detokenize',
    'POST /api/doctor',
    'POST /api/embed',
    'POST /api/embeddings',
    'POST /api/experimental/web_fetch',
    'POST /api/experimental/web_search',
    'POST /api/fit',
    'POST /api/generate',
    'POST /api/me',
    'POST /api/rerank',
    'POST /api/show',
    'POST /api/tokenize',
    'POST /v1/chat/completions',
    'POST /v1/completions',
    'POST /v1/embeddings',
    'POST /v1/messages',
    'POST /v1/messages/count_tokens',
    'POST /v1/rerank',
    'POST /v1/responses',
    'POST /v1/responses/input_tokens',
  ],
  manage: [
    'DELETE /api/delete',
    'DELETE /api/downloads/:id',
    'DELETE /api/upstreams/:name',
    'DELETE /api/user/keys/:key',
    // HEAD, which Hono mounts as GET.
    'GET /api/blobs/:digest',
    'GET /api/disk',
    'GET /api/downloads',
    'GET /api/origins',
    'GET /api/upstreams',
    'POST /api/blobs/:digest',
    'POST /api/copy',
    'POST /api/create',
    'POST /api/downloads',
    'POST /api/downloads/:id/pause',
    'POST /api/downloads/:id/resume',
    'POST /api/hide',
    'POST /api/import',
    'POST /api/origins',
    'POST /api/prune',
    'POST /api/pull',
    'POST /api/push',
    'POST /api/restore',
    'POST /api/signout',
    'POST /api/updates',
    'POST /api/upstreams',
    'POST /api/verify',
  ],
}

const config = readConfig({ PADDOCK_REQUIRE_KEY: '1', PADDOCK_METRICS: '1' })

test('every route that is mounted takes the key that stands beside it here, and no other', async () => {
  const keys = keysIn(temporaryFolder())
  const use = await keys.add('use', ['use'])
  const manage = await keys.add('manage', ['manage'])
  const app = api({ config, keys })
  const status = async (method: string, route: string, key?: string) => {
    const real = route === '/api/blobs/:digest' && method === 'GET' ? 'HEAD' : method
    const headers = { host: 'localhost', ...(key !== undefined && { authorization: `Bearer ${key}` }) }
    return (await app.request(route.replace(/:\w+(\{.*\})?/, 'x'), { method: real, headers })).status
  }
  const found: Record<string, string[]> = { open: [], use: [], manage: [] }
  for (const { method, path: route } of app.routes) {
    if (method === 'ALL') continue
    const refused = [await status(method, route), await status(method, route, use), await status(method, route, manage)].map(
      (code) => code === 401 || code === 403,
    )
    const scope = { 'false,false,false': 'open', 'true,false,true': 'use', 'true,true,false': 'manage' }[refused.join()]
    expect(scope, `${method} ${route}: ${refused.join()}`).toBeDefined()
    const entry = `${method} ${route}`
    if (!found[scope as string]?.includes(entry)) found[scope as string]?.push(entry)
  }
  for (const [scope, expected] of Object.entries(scopes)) expect(found[scope]?.toSorted()).toEqual(expected.toSorted())
})

test('docs/api.md names every route that manages', () => {
  const page = readFileSync(path.resolve(import.meta.dirname, '../../../docs/api.md'), 'utf8')
  const ofTheCloud = ['/api/signout', '/api/user/keys']
  const paths = new Set(scopes.manage.map((route) => route.replace(/^\w+ /, '').replace(/\/:.*$/, '')))
  expect([...paths].filter((route) => !ofTheCloud.includes(route) && !page.includes(`\`${route}\``))).toEqual([])
})

test('a model that would have to be asked for elsewhere is judged for those who may pull', async () => {
  const keys = keysIn(temporaryFolder())
  const use = await keys.add('laptop', ['use'])
  const answer = await api({ config, keys }).request('/api/fit', {
    method: 'POST',
    headers: { host: 'localhost', 'x-api-key': use },
    body: '{"model":"10.0.0.1:8080/a/b","remote":true}',
  })
  expect([answer.status, await answer.json()]).toEqual([403, { error: 'the key "laptop" does not allow to change models' }])
})

describe('a route that takes paths of this machine', () => {
  const origins = { status: async () => [], change: () => undefined }
  /** As `listen` hands a request on: with the connection that it came by. */
  const status = async (env: Record<string, string>, remoteAddress: string, headers: Record<string, string>) => {
    const app = api({ config: readConfig(env), origins })
    const request = new Request('http://box/api/origins', { method: 'POST', body: '{}', headers })
    return (await app.fetch(request, { incoming: { socket: { remoteAddress } } })).status
  }
  const exposed = { OLLAMA_HOST: '0.0.0.0' }
  const open: [string, Record<string, string>, string, Record<string, string>][] = [
    ['this machine', {}, '127.0.0.1', { host: 'localhost:11434' }],
    ['this machine, to a server that is open to the network', exposed, '::ffff:127.0.0.1', { host: '127.0.0.1:11434' }],
  ]
  for (const [who, env, address, headers] of open) {
    test(`lets in ${who}`, async () => {
      expect(await status(env, address, headers)).toBe(200)
    })
  }
  const closed: typeof open = [
    ['another machine', exposed, '192.168.1.7', { host: '192.168.1.2:11434' }],
    ['another machine that calls itself local', exposed, '192.168.1.7', { host: 'localhost' }],
    ['a page under a name that was rebound to this machine', exposed, '127.0.0.1', { host: 'evil.com', origin: 'http://evil.com' }],
    ['a page of another site', exposed, '127.0.0.1', { host: 'localhost', origin: 'https://evil.com' }],
    ['whoever comes by a reverse proxy', {}, '127.0.0.1', { host: 'localhost', 'x-forwarded-for': '203.0.113.9' }],
    ['whoever comes by a reverse proxy of the standard', {}, '127.0.0.1', { host: 'localhost', forwarded: 'for=203.0.113.9' }],
  ]
  for (const [who, env, address, headers] of closed) {
    test(`refuses ${who}`, async () => {
      expect(await status(env, address, headers)).toBe(403)
    })
  }
})
