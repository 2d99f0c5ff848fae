import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { ApiServices } from '../../../../main/api/services.ts'
import { AppError } from '../../../../main/errors.ts'

import { Log } from '../../../../main/lib/log.ts'
import type { CreateRequest } from '../../../../main/models/create.ts'
import { displayName, type ModelName } from '../../../../main/models/name.ts'
import type { Progress } from '../../../../main/models/progress.ts'
import { Store } from '../../../../main/models/store.ts'
import { api, ndjsonOf, post, summary, temporaryFolder } from '../services.ts'

type Library = ApiServices['library']

function library(parts: Partial<Library> = {}): Library {
  const missing = (): never => {
    throw new Error('this test gave no such service')
  }
  return {
    list: missing,
    resolve: missing,
    copy: missing,
    delete: missing,
    hide: missing,
    restore: missing,
    store: new Store(temporaryFolder(), new Log('error')),
    ...parts,
  }
}

test('tags list each model as the protocol does, without zone surprises', async () => {
  const answer = await api({ library: library({ list: async () => [summary('cria')] }) }).request('/api/tags', { headers: { host: 'localhost' } })
  const { models } = (await answer.json()) as { models: { modified_at: string }[] }
  expect(models).toEqual([
    {
      name: 'cria:latest',
      model: 'cria:latest',
      modified_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$/),
      size: 10,
      digest: 'a'.repeat(64),
      details: {
        parent_model: '',
        format: 'gguf',
        family: 'llama',
        families: ['llama'],
        parameter_size: '3.28M',
        quantization_level: 'Q8_0',
        context_length: 2048,
        embedding_length: 256,
      },
      capabilities: ['completion'],
      origin: 'store',
    },
  ])
  expect(new Date(models[0]!.modified_at).toISOString()).toBe('2026-01-02T03:04:05.678Z')
})

test('a thousand models are listed within the budget', async () => {
  const many = Array.from({ length: 1000 }, (_, index) => summary(`m${index}`))
  const app = api({ library: library({ list: async () => many }) })
  const answer = await app.request('/api/tags', { headers: { host: 'localhost' } })
  expect(((await answer.json()) as { models: unknown[] }).models.length).toBe(1000)
})

test.each([
  ['/api/show', {}, 400, 'model is required'],
  ['/api/show', { model: 'a/b/c/d/e' }, 400, 'invalid model name'],
  ['/api/show', { name: 'nothing' }, 404, "model 'nothing:latest' not found"],
  ['/api/copy', { source: 'a:b:c', destination: 'x' }, 400, 'source "a:b:c" is invalid'],
  ['/api/copy', { source: 'a' }, 400, 'destination "" is invalid'],
  ['/api/copy', { source: 'nothing', destination: 'x' }, 404, 'model "nothing" not found'],
  ['/api/create', { from: 'a' }, 400, 'invalid model name'],
  ['/api/create', { model: 'x', files: { '../a.gguf': 'sha256:0' } }, 400, 'file path must be relative'],
  ['/api/pull', {}, 400, 'invalid model name'],
  ['/api/pull', { model: 'a:b:c' }, 400, 'invalid model name'],
  ['/api/push', {}, 400, 'model is required'],
])('POST %s %j is %s %s', async (where, body, status, error) => {
  const app = api({ library: library({ resolve: async () => null, copy: async () => false }) })
  const answer = await post(app, where, body)
  expect([answer.status, await answer.json()]).toEqual([status, { error }])
})

test.each([
  [{}, 400, 'model is required'],
  [{ model: 'a:b:c' }, 400, 'name "a:b:c" is invalid'],
  [{ name: 'x' }, 404, "model 'x' not found"],
])('DELETE /api/delete %j is %s %s', async (body, status, error) => {
  const answer = await api({ library: library({ delete: async () => false }) }).request('/api/delete', {
    method: 'DELETE',
    body: JSON.stringify(body),
    headers: { host: 'localhost' },
  })
  expect([answer.status, await answer.json()]).toEqual([status, { error }])
})

test('copy and delete hand the parsed names on and answer with nothing', async () => {
  const done: string[] = []
  const app = api({
    library: library({
      copy: async (source: ModelName, destination: ModelName) => done.push(`${displayName(source)} ${displayName(destination)}`) > 0,
      delete: async (name: ModelName) => done.push(displayName(name)) > 0,
    }),
  })
  const copied = await post(app, '/api/copy', { source: 'a', destination: 'me/b:v1' })
  const deleted = await app.request('/api/delete', { method: 'DELETE', body: '{"model":"a"}', headers: { host: 'localhost' } })
  expect([copied.status, await copied.text(), deleted.status, done]).toEqual([200, '', 200, ['a:latest me/b:v1', 'a:latest']])
})

async function* steps(...list: (Progress | Error)[]): AsyncGenerator<Progress> {
  for (const step of list) {
    if (step instanceof Error) throw step
    yield step
  }
}

test('create streams what it does, and without a stream only the end', async () => {
  const seen: CreateRequest[] = []
  const app = api({
    create: (request) => {
      seen.push(request)
      return steps({ status: 'writing manifest' }, { status: 'success' })
    },
  })
  const body = { name: 'x', from: 'y', license: 'MIT', quantization: 'q8_0', parameters: { stop: ['a'] }, messages: [{ role: 'user', content: 'hi' }] }
  const streamed = await post(app, '/api/create', body)
  expect([streamed.headers.get('content-type'), await ndjsonOf(streamed)]).toEqual([
    'application/x-ndjson',
    [{ status: 'writing manifest' }, { status: 'success' }],
  ])
  const whole = await post(app, '/api/create', { ...body, stream: false })
  expect([whole.headers.get('content-type'), await whole.json()]).toEqual(['application/json', { status: 'success' }])
  expect(seen[0]).toMatchObject({
    model: 'x',
    from: 'y',
    licenses: ['MIT'],
    quantize: 'q8_0',
    parameters: { stop: ['a'] },
    messages: [{ role: 'user', content: 'hi' }],
  })
})

test('a create that fails says so by status at first, by a line later', async () => {
  const bad = new AppError('invalid-template', 'template error: x')
  const first = await post(api({ create: () => steps(bad) }), '/api/create', { model: 'x', from: 'y' })
  expect([first.status, first.headers.get('content-type'), await first.json()]).toEqual([400, 'application/json', { error: 'template error: x' }])
  const later = await post(api({ create: () => steps({ status: 'a' }, bad) }), '/api/create', { model: 'x', from: 'y' })
  expect([later.status, await ndjsonOf(later)]).toEqual([200, [{ status: 'a' }, { error: 'template error: x' }]])
  const whole = await post(api({ create: () => steps({ status: 'a' }, bad) }), '/api/create', { model: 'x', from: 'y', stream: false })
  expect([whole.status, await whole.json()]).toEqual([400, { error: 'template error: x' }])
})

test('a blob is taken once, found, and refused under a wrong digest', async () => {
  const app = api({ library: library() })
  const digest = `sha256:${createHash('sha256').update('hello').digest('hex')}`
  const put = async (name: string) => (await app.request(`/api/blobs/${name}`, { method: 'POST', body: 'hello', headers: { host: 'localhost' } })).status
  const head = async (name: string) => (await app.request(`/api/blobs/${name}`, { method: 'HEAD', headers: { host: 'localhost' } })).status
  expect(await head(digest)).toBe(404)
  expect([await put(digest), await put(digest), await head(digest), await head('abc')]).toEqual([201, 200, 200, 400])
  expect(await put(`sha256:${'0'.repeat(64)}`)).toBe(400)
})

test('a blob cannot be fetched', async () => {
  const answer = await api({ library: library() }).request(`/api/blobs/sha256:${'0'.repeat(64)}`, { headers: { host: 'localhost' } })
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'HEAD, POST'])
})

test.each([{}, { model: '' }, { model: '../../etc/passwd' }, { model: 'a:b:c d' }])('pull refuses %o before it asks anyone', async (body) => {
  const answer = await post(api(), '/api/pull', body)
  expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, expect.stringContaining('model name')])
})

test('ps lists the one that stays longest first, with what the runner does', async () => {
  const model = (name: string, expiresAt: string) => ({
    key: name,
    label: { name, digest: 'd', details: summary('x').details },
    state: 'ready' as const,
    sizeBytes: 5,
    vramBytes: 0,
    contextLength: 2048,
    slots: 4,
    expiresAt: new Date(expiresAt),
    since: new Date(0),
    running: 1,
    queued: 0,
    reason: 'asked for',
    build: 'linux-x64',
    gpuLayers: 0,
    progress: 1,
  })
  const app = api({ resident: () => [model('a:latest', '2026-01-01T00:00:00Z'), model('b:latest', '2318-01-01T00:00:00Z')] })
  const { models } = (await (await app.request('/api/ps', { headers: { host: 'localhost' } })).json()) as { models: object[] }
  expect(models).toMatchObject([
    { name: 'b:latest', size: 5, size_vram: 0, context_length: 2048, runner: { slots: 4, state: 'ready' } },
    { model: 'a:latest', digest: 'd' },
  ])
  expect(Object.keys((models[0] as { details: object }).details)).not.toContain('context_length')
})
