import { createHash } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Entry } from '../../../../main/models/origin.ts'
import type { Progress } from '../../../../main/models/progress.ts'
import type { Login } from '../../../../main/models/registry/client.ts'
import { createPush } from '../../../../main/models/registry/push.ts'
import { type FaultyProxy, type Rule, startFaultyProxy } from '../../../helpers/faulty-proxy.ts'
import { criaFile } from '../../../helpers/library.ts'
import { sha256 } from '../../../helpers/publish.ts'
import { basicUser, hasRegistry, hasTokenRegistry, type Registry, startRegistry } from '../../../helpers/registry.ts'
import { addCria, criaDigest, forever, name, openLibrary, type TestLibrary } from '../setup.ts'
import { openPuller, testClient } from './setup.ts'

const mebibyte = 2 ** 20
/** Small parts and no waiting, so that a model of some megabytes shows what one of 40 GB would. */
const quickRules = { parts: { count: 4, minBytes: mebibyte, maxBytes: 2 * mebibyte }, retries: { maxTries: 3, delayMs: () => 5 } }
/** Only a part of the weights has so many bytes. */
const large = 10_000
const criaBytes = (await readFile(criaFile)).length

interface Pusher extends TestLibrary {
  /** All steps, by plain HTTP. */
  push(model: string, signal?: AbortSignal): Promise<Progress[]>
}

async function openPusher({ library, login, maxTries = 3 }: { library?: TestLibrary; login?: Login; maxTries?: number } = {}): Promise<Pusher> {
  const mine = library ?? (await openLibrary())
  const push = createPush({
    library: mine.library,
    client: testClient({ ...(login && { login: () => login }) }),
    sessionsFile: path.join(mine.root, '../uploads.json'),
    rules: { ...quickRules, retries: { ...quickRules.retries, maxTries } },
  })
  return { ...mine, push: (model, signal = forever) => Array.fromAsync(push({ name: name(model), insecure: true }, signal)) }
}

async function catalog(registry: Registry): Promise<string[]> {
  const { repositories } = (await (await fetch(`${registry.url}/v2/_catalog`)).json()) as { repositories: string[] }
  const tags = await Promise.all(
    repositories.map(async (one) => ({ one, tags: ((await (await fetch(`${registry.url}/v2/${one}/tags/list`)).json()) as { tags?: string[] | null }).tags })),
  )
  return tags.flatMap(({ one, tags }) => (tags ?? []).map((tag) => `${one}:${tag}`))
}

const statuses = (steps: Progress[]) => steps.map(({ status }) => status).filter((status, i, all) => all.indexOf(status) === i)
const ranges = (proxy: FaultyProxy) =>
  proxy.seen.filter(({ method, headers }) => method === 'PATCH' && Number(headers['content-length']) > large).map(({ headers }) => headers['content-range'])
const short = (digest: string) => digest.slice('sha256:'.length, 'sha256:'.length + 12)

describe.runIf(hasRegistry)('createPush() with a real registry', () => {
  let registry: Registry

  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(() => registry?.[Symbol.asyncDispose]())

  /** A pusher with cria under a name of its own, behind a proxy with these faults. */
  async function behind(stack: AsyncDisposableStack, model: string, rules: Rule[] = []) {
    const proxy = stack.use(await startFaultyProxy(registry.url, rules))
    const pusher = stack.use(await openPusher())
    await addCria(pusher, `${proxy.host}/${model}`)
    return { proxy, pusher, push: (signal?: AbortSignal) => pusher.push(`${proxy.host}/${model}`, signal) }
  }

  test('brings a model there that another program pulls with the same digests', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher, push } = await behind(stack, 'me/cria:small')
    const steps = await push()
    const entry = (await pusher.library.find(name(`${proxy.host}/me/cria:small`))) as Entry
    const blobs = [...entry.layers.map(({ digest }) => digest), entry.configBlob.digest]
    expect(statuses(steps)).toEqual(['retrieving manifest', ...blobs.map((digest) => `pushing ${short(digest)}`), 'pushing manifest', 'success'])
    expect(steps.filter(({ digest }) => digest === criaDigest).at(-1)).toEqual({
      status: `pushing ${short(criaDigest)}`,
      digest: criaDigest,
      total: criaBytes,
      completed: criaBytes,
    })
    expect(
      await (await fetch(`${registry.url}/v2/me/cria/manifests/small`, { headers: { accept: 'application/vnd.docker.distribution.manifest.v2+json' } })).text(),
    ).toBe(Buffer.from(entry.manifest).toString())
    const puller = stack.use(await openPuller())
    await puller.pull(`${registry.host}/me/cria:small`)
    const pulled = await puller.library.find(name(`${registry.host}/me/cria:small`))
    expect([pulled?.digest, pulled?.layers.map(({ digest }) => digest)]).toEqual([entry.digest, entry.layers.map(({ digest }) => digest)])
  })

  test('sends nothing that the registry has, and says that it is complete', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, push } = await behind(stack, 'me/twice')
    await push()
    proxy.seen.length = 0
    const steps = await push()
    expect(proxy.seen.filter(({ method }) => method === 'POST' || method === 'PATCH')).toEqual([])
    expect(steps).toContainEqual({ status: `pushing ${short(criaDigest)}`, digest: criaDigest, total: criaBytes, completed: criaBytes })
  })

  test('goes up only, for each blob, even when a part is sent again', async () => {
    await using stack = new AsyncDisposableStack()
    const { push } = await behind(stack, 'me/rising', [
      { method: 'PATCH', fromBytes: large, after: 2, times: 2, fault: { type: 'break-upload', afterBytes: 300_000 } },
    ])
    const last = new Map<string, number>()
    for (const { digest, completed = 0 } of await push()) {
      if (digest === undefined) continue
      expect(completed).toBeGreaterThanOrEqual(last.get(digest) ?? 0)
      last.set(digest, completed)
    }
  })

  test('goes on from where the registry says that it is when a connection breaks', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, push } = await behind(stack, 'me/broken')
    proxy.rules.push({ method: 'PATCH', fromBytes: large, after: 2, times: 1, fault: { type: 'break-upload', afterBytes: 300_000 } })
    expect(statuses(await push()).at(-1)).toBe('success')
    const sent = ranges(proxy)
    const again = sent.filter((range, i) => sent.indexOf(range) !== i)
    expect(again.length).toBe(1)
    expect(again[0]).not.toMatch(/^0-/)
    expect(proxy.seen.filter(({ method, path: where }) => method === 'GET' && where.includes('/blobs/uploads/')).map(({ status }) => status)).toContain(204)
  })

  test('begins a blob anew when the registry has lost its upload', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, push } = await behind(stack, 'me/lost')
    proxy.rules.push({ method: 'PATCH', fromBytes: large, after: 2, times: 1, fault: { type: 'answer', status: 404 } })
    expect(statuses(await push()).at(-1)).toBe('success')
    expect(ranges(proxy).filter((range) => range?.startsWith('0-')).length).toBe(2)
  })

  test.each([
    ['416 for a part', { method: 'PATCH', fromBytes: large, after: 2, times: 1, fault: { type: 'answer', status: 416 } }],
    ['500 for a part', { method: 'PATCH', fromBytes: large, after: 1, times: 2, fault: { type: 'answer', status: 500, body: 'oh' } }],
    ['503 for the start', { method: 'POST', times: 2, fault: { type: 'answer', status: 503 } }],
    ['429 with Retry-After', { method: 'POST', times: 1, fault: { type: 'answer', status: 429, headers: { 'retry-after': '0' } } }],
    ['500 for the end of a blob', { method: 'PUT', path: /uploads/, times: 1, fault: { type: 'answer', status: 500 } }],
    ['an answer to the end that never came', { method: 'PUT', path: /uploads/, times: 1, fault: { type: 'break', afterBytes: 0 } }],
    ['500 for the manifest', { method: 'PUT', path: /manifests/, times: 1, fault: { type: 'answer', status: 500 } }],
    ['500 for the first question', { method: 'HEAD', times: 1, fault: { type: 'answer', status: 500 } }],
  ] satisfies [string, Rule][])('gets over %s', async (what, rule) => {
    await using stack = new AsyncDisposableStack()
    // A name that no other case has used: nothing of it is there.
    const { push } = await behind(stack, `weather/${what.toLowerCase().replace(/\W+/g, '-')}`, [rule])
    expect(statuses(await push()).at(-1)).toBe('success')
  })

  test('gives up on a registry that goes on failing, and no manifest is there', async () => {
    await using stack = new AsyncDisposableStack()
    const { push } = await behind(stack, 'failing/cria', [{ method: 'PATCH', fromBytes: large, fault: { type: 'answer', status: 500, body: 'oh' } }])
    await expect(push()).rejects.toThrow('max retries exceeded: 500: oh')
    expect((await catalog(registry)).filter((model) => model.startsWith('failing/'))).toEqual([])
  })

  test('survives a registry that is killed and comes back', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher } = await behind(stack, 'me/killed')
    proxy.rules.push({ method: 'PATCH', fromBytes: large, after: 1, times: 1, fault: { type: 'hold-upload' } })
    const patient = await openPusher({ library: pusher, maxTries: 10_000 })
    const pushing = patient.push(`${proxy.host}/me/killed`)
    await expect.poll(() => proxy.seen.filter(({ method }) => method === 'PATCH').length).toBeGreaterThan(1)
    await registry.kill()
    await registry.start()
    proxy.breakAll()
    expect(statuses(await pushing).at(-1)).toBe('success')
  })

  test('goes on after a restart of this program', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher, push } = await behind(stack, 'me/restarted')
    proxy.rules.push({ method: 'PATCH', fromBytes: large, after: 2, fault: { type: 'hold-upload' } })
    const leaving = new AbortController()
    const pushing = push(leaving.signal)
    await expect.poll(() => ranges(proxy).length).toBe(3)
    leaving.abort(new Error('enough'))
    await expect(pushing).rejects.toThrow('enough')
    const held = ranges(proxy).at(-1)
    proxy.rules.length = 0
    proxy.seen.length = 0
    const restarted = await openPusher({ library: pusher })
    expect(statuses(await restarted.push(`${proxy.host}/me/restarted`)).at(-1)).toBe('success')
    expect([held, ranges(proxy)[0]]).toEqual([held, held])
  })

  test('tells of a blob that is damaged here, and no manifest is there', async () => {
    await using stack = new AsyncDisposableStack()
    const { pusher, push } = await behind(stack, 'damaged/cria')
    const file = pusher.store.blobs.path(criaDigest)
    const bytes = await readFile(file)
    bytes.reverse()
    await writeFile(file, bytes)
    await expect(push()).rejects.toThrow(`the blob ${criaDigest} is damaged`)
    expect((await catalog(registry)).filter((model) => model.startsWith('damaged/'))).toEqual([])
  })

  test('goes to its end when the model is deleted meanwhile, and then its blobs go', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher, push } = await behind(stack, 'me/deleted', [
      { method: 'PATCH', fromBytes: large, times: 1, fault: { type: 'break-upload', afterBytes: 300_000 } },
    ])
    const pushed = push()
    await expect.poll(() => proxy.seen.some(({ method }) => method === 'PATCH')).toBe(true)
    expect(await pusher.library.delete(name(`${proxy.host}/me/deleted`))).toBe(true)
    expect(statuses(await pushed).at(-1)).toBe('success')
    expect(await catalog(registry)).toContain('me/deleted:latest')
    await expect.poll(() => pusher.store.blobs.list()).toEqual([])
  })

  test('names the file that is gone, at once', async () => {
    await using stack = new AsyncDisposableStack()
    const { pusher, push } = await behind(stack, 'me/gone')
    await rm(pusher.store.blobs.path(criaDigest))
    await expect(push()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`${pusher.store.blobs.path(criaDigest)} cannot be read (ENOENT)`),
    })
    expect(await catalog(registry)).not.toContain('me/gone:latest')
  })

  test('takes a layer over from the model that it came from', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher, push } = await behind(stack, 'me/base')
    await push()
    await pusher.create({ model: `${proxy.host}/me/derived`, from: `${proxy.host}/me/base`, system: 'You are derived.' })
    proxy.seen.length = 0
    await pusher.push(`${proxy.host}/me/derived`)
    const mounts = proxy.seen.filter(({ method, path: where }) => method === 'POST' && where.includes('mount='))
    expect(mounts.map(({ path: where, status }) => [new URL(where, proxy.url).searchParams.get('from'), status])).toContainEqual(['me/base', 201])
    expect(ranges(proxy)).toEqual([])
  })

  test('counts the bytes of a file of another program that nobody has counted', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, pusher } = await behind(stack, 'me/own')
    const entry = (await pusher.library.find(name(`${proxy.host}/me/own`))) as Entry
    const placeholder = `sha256:${'0'.repeat(64)}`
    const foreign: Entry = {
      ...entry,
      name: name(`${proxy.host}/foreign/cria`),
      manifest: Buffer.from(Buffer.from(entry.manifest).toString().replaceAll(criaDigest, placeholder)),
      layers: entry.layers.map((layer) => (layer.digest === criaDigest ? { ...layer, digest: placeholder, unhashed: true } : layer)),
    }
    const origin = { id: 'elsewhere', list: async () => [foreign], resolve: async () => foreign }
    const other = stack.use(await openLibrary({ origins: [origin] }))
    const steps = await (await openPusher({ library: other })).push(`${proxy.host}/foreign/cria`)
    expect(steps.map(({ digest }) => digest)).toContain(criaDigest)
    expect(await catalog(registry)).toContain('foreign/cria:latest')
  })

  test('two at the same time send each blob once', async () => {
    await using stack = new AsyncDisposableStack()
    const { proxy, push } = await behind(stack, 'me/together')
    const both = await Promise.all([push(), push()])
    expect(both.map((steps) => steps.at(-1)?.status)).toEqual(['success', 'success'])
    const sent = ranges(proxy)
    expect(new Set(sent).size).toBe(sent.length)
  })
})

describe.runIf(hasRegistry)('credentials of a push', () => {
  test('a registry that asks for a name gets it, one that is not known gets none', async () => {
    await using registry = await startRegistry({ auth: 'basic' })
    await using library = await openLibrary()
    await addCria(library, `${registry.host}/me/cria`)
    const login = { username: basicUser.name, password: basicUser.password }
    await expect((await openPusher({ library })).push(`${registry.host}/me/cria`)).rejects.toThrow('unauthorized: access denied')
    expect(statuses(await (await openPusher({ library, login })).push(`${registry.host}/me/cria`)).at(-1)).toBe('success')
  })

  test.runIf(hasTokenRegistry)('a registry that wants a token leads to one of its own host', async () => {
    await using proxy = await startFaultyProxy('')
    await using registry = await startRegistry({ auth: 'token', realm: `${proxy.url}/token` })
    proxy.target = registry.url
    proxy.routes.set('/token', new URL(registry.tokens?.realm ?? '').origin)
    await using pusher = await openPusher()
    await addCria(pusher, `${proxy.host}/me/cria`)
    expect(statuses(await pusher.push(`${proxy.host}/me/cria`)).at(-1)).toBe('success')
    const scopes = registry.tokens?.requests.map(({ url }) => url.searchParams.get('scope'))
    expect(scopes).toContain('repository:me/cria:pull,push')
  })

  test.runIf(hasTokenRegistry)('none goes to a realm on another host', async () => {
    await using registry = await startRegistry({ auth: 'token' })
    await using library = await openLibrary()
    await addCria(library, `${registry.host}/me/cria`)
    const login = { username: basicUser.name, password: basicUser.password }
    const realm = new URL(registry.tokens?.realm ?? '').host
    await expect((await openPusher({ library, login })).push(`${registry.host}/me/cria`)).rejects.toThrow(
      `realm host "${realm}" does not match original host "${registry.host}"`,
    )
    expect(registry.tokens?.requests).toEqual([])
  })

  test('none goes to the storage that a registry names for a part, and the etag is that of all parts', async () => {
    await using stack = new AsyncDisposableStack()
    const stored: { headers: Record<string, unknown>; bytes: Buffer }[] = []
    const storage = createServer(async (request, response) => {
      const bytes = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>))
      stored.push({ headers: request.headers, bytes })
      response.writeHead(200).end()
    })
    await new Promise<void>((resolve) => storage.listen(0, '127.0.0.1', resolve))
    stack.defer(() => void storage.close())
    const address = `http://127.0.0.1:${(storage.address() as AddressInfo).port}/bucket?signature=1`
    const there = { location: '/v2/upload/1' }
    const proxy = stack.use(
      await startFaultyProxy('', [
        { method: 'HEAD', fault: { type: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, times: 1 },
        { method: 'HEAD', fault: { type: 'answer', status: 404 } },
        { method: 'POST', fault: { type: 'answer', status: 202, headers: there } },
        { method: 'PATCH', fault: { type: 'answer', status: 307, headers: { location: address, 'docker-upload-location': '/v2/upload/2' } } },
        { method: 'PUT', fault: { type: 'answer', status: 201 } },
      ]),
    )
    const pusher = stack.use(await openPusher({ login: { username: 'me', password: 'secret' } }))
    await addCria(pusher, `${proxy.host}/me/cria`)
    expect(statuses(await pusher.push(`${proxy.host}/me/cria`)).at(-1)).toBe('success')
    expect(proxy.seen.some(({ headers }) => headers.authorization !== undefined)).toBe(true)
    expect(stored.map(({ headers }) => headers.authorization)).toEqual(stored.map(() => undefined))
    const parts = stored.map(({ bytes }) => bytes).filter(({ length }) => length > large)
    expect(sha256(Buffer.concat(parts))).toBe(criaDigest)
    const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest()
    const etag = `${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}`
    const end = proxy.seen.find(({ method, path: where }) => method === 'PUT' && where.includes(encodeURIComponent(criaDigest)))
    expect(new URL(end?.path ?? '', proxy.url).searchParams.get('etag')).toBe(etag)
  })
})

test('a push that nobody answers fails at once', async () => {
  await using pusher = await openPusher()
  await addCria(pusher, '127.0.0.1:9/me/cria')
  await expect(pusher.push('127.0.0.1:9/me/cria')).rejects.toThrow(
    /^Head "http:\/\/127\.0\.0\.1:9\/v2\/me\/cria\/blobs\/sha256:\w+": dial tcp 127\.0\.0\.1:9: connect: connection refused$/,
  )
})
