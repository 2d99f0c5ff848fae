import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '../../../../main/models/blobs.ts'
import { formatManifest, type ManifestLayer, mediaTypes } from '../../../../main/models/manifest.ts'
import { readRemoteHeaders } from '../../../../main/models/registry/remote-headers.ts'
import { criaFile } from '../../../helpers/library.ts'
import { forever, name } from '../setup.ts'
import { openPuller, testClient } from './setup.ts'

const cria = await readFile(criaFile)
const config = Buffer.from(JSON.stringify({ model_format: 'gguf', model_family: 'llama' }))
const layer = (mediaType: string, bytes: Uint8Array, size = bytes.length): ManifestLayer => ({ mediaType, digest: digestOf(bytes), size })

/** A registry that says what it is told to say. */
const manifests = new Map<string, string>()
const blobs = new Map<string, Buffer>([cria, config].map((bytes) => [digestOf(bytes), bytes]))
let held: Promise<void> = Promise.resolve()
const server = createServer(async (request, response) => {
  const [, kind, last = ''] = /\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? []
  const body = kind === 'manifests' ? manifests.get(/library\/([^/]+)/.exec(request.url ?? '')?.[1] ?? '') : blobs.get(last)
  if (last === digestOf(cria)) await held
  if (body === undefined) return void response.writeHead(404).end()
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
  if (from === undefined) return void response.end(body)
  const part = (body as Buffer).subarray(Number(from), Number(to) + 1)
  response.writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${body.length}` }).end(part)
})
let host = ''
beforeEach(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  held = Promise.resolve()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function offers(model: string, layers: ManifestLayer[], own = layer(mediaTypes.config, config)): string {
  manifests.set(model, formatManifest({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: own, layers }))
  return `${host}/library/${model}`
}

test('weights that are their own config are refused in words, and nothing is listed', async () => {
  await using puller = await openPuller()
  const weights = layer(mediaTypes.model, cria)
  await expect(puller.pull(offers('itself', [weights], { ...weights, mediaType: mediaTypes.config }))).rejects.toThrow(/config has 3555456 bytes, more than/)
  const small = layer(mediaTypes.model, config)
  await expect(puller.pull(offers('small', [small], { ...small, mediaType: mediaTypes.config }))).rejects.toThrow(/cannot be used: it is not a GGUF file/)
  expect(await puller.library.list()).toEqual([])
})

test.each([
  ['shorter', cria.length - 1000, /has 3555456 bytes for sha256:.+, but the manifest says 3554456/],
  ['longer', cria.length + 1000, /has 3555456 bytes for sha256:.+, but the manifest says 3556456/],
  ['a thousand times longer', cria.length * 1000, /but the manifest says 3555456000/],
  ['larger than any disk', 2 ** 52, /not enough space in .+it needs 4503599\.6 GB/],
])('a manifest that says its file is %s than it is, is not believed', async (_, size, message) => {
  await using puller = await openPuller()
  await expect(puller.pull(offers('liar', [layer(mediaTypes.model, cria, size)]))).rejects.toThrow(message)
  expect(await puller.library.list()).toEqual([])
})

test('one who says that a blob is smaller does not take it from one who tells the truth', async () => {
  await using puller = await openPuller()
  const release = Promise.withResolvers<void>()
  held = release.promise
  const lied = puller.pull(offers('liar', [layer(mediaTypes.model, cria, 4000)])).catch((error: Error) => error.message)
  const told = puller.pull(offers('honest', [layer(mediaTypes.model, cria)]))
  setTimeout(release.resolve, 300)
  expect(await lied).toContain('but the manifest says 4000')
  expect((await told).at(-1)).toEqual({ status: 'success' })
  expect((await puller.library.resolve(name(`${host}/library/honest`)))?.sizeBytes).toBe(cria.length + config.length)
})

test('prune takes nothing from a pull under way: neither what has come nor what is coming', async () => {
  await using puller = await openPuller()
  const release = Promise.withResolvers<void>()
  held = release.promise
  const pulled = puller.pull(offers('slow', [layer(mediaTypes.model, cria)]))
  await expect.poll(() => puller.store.blobs.has(digestOf(config))).toBe(true)
  await expect.poll(async () => (await puller.store.blobs.listPartial()).map(({ digest }) => digest)).toEqual([digestOf(cria)])
  // As if all of it were long ago.
  expect(await puller.store.prune({ now: Date.now() + 2 * 3_600_000 })).toEqual([])
  release.resolve()
  expect((await pulled).at(-1)).toEqual({ status: 'success' })
  expect(await puller.library.resolve(name(`${host}/library/slow`))).not.toBeNull()
})

test('layers with the same digest are fetched once, and listed as often as they stand there', async () => {
  await using puller = await openPuller()
  const weights = layer(mediaTypes.model, cria)
  const text = Buffer.from('Be brief.')
  blobs.set(digestOf(text), text)
  const steps = await puller.pull(offers('twice', [weights, layer(mediaTypes.license, text), layer(mediaTypes.license, text), layer(mediaTypes.system, text)]))
  expect(steps.at(-1)).toEqual({ status: 'success' })
  const model = await puller.library.resolve(name(`${host}/library/twice`))
  expect([model?.system, model?.licenses]).toEqual(['Be brief.', ['Be brief.', 'Be brief.']])
  // Weights that stand there twice are two parts of which the second is the first again.
  await expect(puller.pull(offers('doubled', [weights, weights]))).rejects.toThrow(/is a whole file, but 2 files were given/)
  expect((await puller.library.list()).map((one) => one.name.model)).toEqual(['twice'])
})

test.each([
  ['a list', '[]'],
  ['null', 'null'],
  ['a number', '7'],
  ['no JSON', '{"model_format"'],
  ['families that are numbers', '{"model_families":[1,2]}'],
  ['a family that is an object', '{"model_family":{"x":1}}'],
  ['nothing', ''],
  ['a length that is a text', '{"context_length":"long"}'],
  ['a thousand brackets', '['.repeat(1000)],
])('a config that is %s is refused in words', async (_, content) => {
  await using puller = await openPuller()
  const bytes = Buffer.from(content)
  blobs.set(digestOf(bytes), bytes)
  await expect(puller.pull(offers('shapes', [layer(mediaTypes.model, cria)], layer(mediaTypes.config, bytes)))).rejects.toThrow(/its config cannot be read: /)
  expect(await puller.library.list()).toEqual([])
  // The weights were left where they are.
  expect((await readdir(puller.store.blobs.folder)).filter((file) => file.includes(digestOf(cria).slice(7)))).toEqual([])
})

test('headers of a model that is not here are read in bounds', async () => {
  const remote = (layers: ManifestLayer[]) => ({
    client: testClient(),
    find: async () => ({
      manifest: Buffer.from(formatManifest({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: layer(mediaTypes.config, config), layers })),
      blob: (digest: string) => ({ bytes: blobs.get(digest) as Buffer }),
    }),
  })
  const request = { name: name('x'), insecure: true }
  await expect(readRemoteHeaders(remote([layer(mediaTypes.model, cria, 2 ** 52)]), request, forever)).rejects.toMatchObject({
    code: 'invalid-model',
    message: `its file is said to have ${2 ** 52} bytes, more than a file can have here`,
  })
  await using headers = await readRemoteHeaders(remote([layer(mediaTypes.model, cria)]), request, forever)
  expect(headers.header.architecture).toBe('llama')
})
