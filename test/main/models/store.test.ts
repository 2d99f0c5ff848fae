import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import { digestOf } from '../../../main/models/blobs.ts'
import { displayName, parseName } from '../../../main/models/name.ts'
import { Store } from '../../../main/models/store.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { addCria, criaDigest, forever, name, openLibrary, readOnlyDisk, type TestLibrary } from './setup.ts'

const manifestFile = (root: string, ...parts: string[]) => path.join(root, 'manifests/registry.ollama.ai', ...parts)
const longAgo = new Date(Date.now() - 2 * 3_600_000)

async function age({ store }: TestLibrary): Promise<void> {
  for (const { file } of await store.blobs.list()) await utimes(file, longAgo, longAgo)
}
const digests = async ({ store }: TestLibrary) => (await store.blobs.list()).map(({ digest }) => digest)

test('a store is laid out as Ollama does', async () => {
  await using test = await openLibrary()
  await addCria(test, 'someone/Cria:v1')
  const manifest = JSON.parse(await readFile(manifestFile(test.root, 'someone/Cria/v1'), 'utf8'))
  expect(manifest).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: expect.stringMatching(/^sha256:/), size: expect.any(Number) },
    layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: criaDigest, size: 3_555_456 }],
  })
  const config = JSON.parse(await readFile(test.store.blobs.path(manifest.config.digest), 'utf8'))
  expect(config).toMatchObject({
    model_format: 'gguf',
    model_family: 'llama',
    model_families: ['llama'],
    model_type: '3.28M',
    file_type: 'Q8_0',
    architecture: 'amd64',
    os: 'linux',
  })
  expect((await readdir(path.join(test.root, 'blobs'))).sort()).toEqual([criaDigest, manifest.config.digest].map((digest) => digest.replace(':', '-')).sort())
})

test('the case of letters does not count, and the first spelling stays', async () => {
  await using test = await openLibrary()
  await addCria(test, 'Someone/Cria:V1')
  await addCria(test, 'SOMEONE/cria:v1')
  await addCria(test, 'someone/CRIA:v2')
  expect((await test.library.list()).map((model) => displayName(model.name)).sort()).toEqual(['Someone/Cria:V1', 'Someone/Cria:v2'])
  expect((await test.library.resolve(name('someone/cria:v1')))?.name.tag).toBe('V1')
})

test('put() writes the manifest byte for byte', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const spaced = Buffer.from(JSON.stringify(JSON.parse(await readFile(manifestFile(test.root, 'library/cria/latest'), 'utf8')), null, 3))
  await test.store.put(name('other'), spaced, { prune: true })
  expect(await readFile(manifestFile(test.root, 'library/other/latest'))).toEqual(spaced)
  expect((await test.store.resolve(name('other')))?.digest).toBe(digestOf(spaced).slice(7))
})

test('put() refuses a manifest whose blobs are not all there', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const manifest = await readFile(manifestFile(test.root, 'library/cria/latest'))
  await rm(test.store.blobs.path(criaDigest))
  await expect(test.store.put(name('other'), manifest, { prune: true })).rejects.toThrow(`blob ${criaDigest} is missing`)
  expect(await test.store.resolve(name('other'))).toBeNull()
})

test('delete() removes the manifest, its empty folders and the blobs that no other model needs', async () => {
  await using test = await openLibrary()
  await addCria(test, 'a/one')
  await test.create({ model: 'b/two', from: 'a/one', system: 'Be brief.' })
  expect(await test.store.delete(name('a/one'))).toBe(true)
  expect(await readdir(manifestFile(test.root))).toEqual(['b'])
  expect(await digests(test)).toContain(criaDigest)
  expect(await test.store.delete(name('b/two'))).toBe(true)
  expect(await digests(test)).toEqual([])
  expect(await readdir(path.join(test.root, 'manifests'))).toEqual([])
  expect(await test.store.delete(name('b/two'))).toBe(false)
})

test('delete() keeps all blobs while another manifest cannot be read', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await mkdir(manifestFile(test.root, 'library/broken'), { recursive: true })
  await writeFile(manifestFile(test.root, 'library/broken/latest'), '{"schemaVersion":2')
  expect(await test.store.delete(name('cria'))).toBe(true)
  expect(await digests(test)).toContain(criaDigest)
  expect(test.lines.join()).toContain('no blobs are removed while a manifest is damaged')
})

test('a pinned blob outlives the model that named it', async () => {
  await using test = await openLibrary()
  await addCria(test)
  {
    using _pin = test.store.pin(criaDigest)
    await test.store.delete(name('cria'))
    expect(await digests(test)).toEqual([criaDigest])
  }
  await age(test)
  await test.store.tidy({ prune: true })
  expect(await digests(test)).toEqual([])
})

test('tidy() removes blobs that nothing needs once they are an hour old', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const orphan = await test.upload(Buffer.from('old'))
  await age(test)
  const recent = await test.upload(Buffer.from('new'))
  await test.store.tidy({ prune: false })
  expect(await digests(test)).toContain(orphan)
  await test.store.tidy({ prune: true })
  const left = await digests(test)
  expect([left.includes(orphan), left.includes(recent), left.includes(criaDigest)]).toEqual([false, true, true])
  await expect(test.library.resolve(name('cria'))).resolves.not.toBeNull()
})

test('tidy() removes nothing while a manifest is damaged', async () => {
  await using test = await openLibrary()
  const orphan = await test.upload(Buffer.from('old'))
  await age(test)
  await mkdir(manifestFile(test.root, 'library/broken'), { recursive: true })
  await writeFile(manifestFile(test.root, 'library/broken/latest'), 'not json')
  await test.store.tidy({ prune: true })
  expect(await digests(test)).toEqual([orphan])
})

test('tidy() leaves a folder alone that another program made', async () => {
  await using folder = await temporaryFolder()
  const root = path.join(folder.path, 'models')
  await mkdir(path.join(root, 'blobs'), { recursive: true })
  await using test = await openLibrary({ root })
  const orphan = await test.upload(Buffer.from('old'))
  await age(test)
  await test.store.tidy({ prune: true })
  expect([test.store.isOurs, await digests(test)]).toEqual([false, [orphan]])
})

test.each([
  ['is cut off', '{"schemaVersion":2,"config":'],
  ['is empty', ''],
  ['is a list', '[]'],
  ['names a digest that is a path', JSON.stringify({ config: { mediaType: 'x', digest: 'sha256:../../../../etc/passwd', size: 1 }, layers: [] })],
  ['names a negative size', JSON.stringify({ config: { mediaType: 'x', digest: criaDigest, size: -1 }, layers: [] })],
  ['is larger than any manifest', ' '.repeat(1024 * 1024 + 1)],
  ['names a config that is missing', JSON.stringify({ config: { mediaType: 'x', digest: criaDigest.replace(/.$/, '0'), size: 1 }, layers: [] })],
  ['names a config that is no JSON', JSON.stringify({ config: { mediaType: 'x', digest: criaDigest, size: 1 }, layers: [] })],
])('a manifest that %s hides only its own model, with one line in the log', async (_, text) => {
  await using test = await openLibrary()
  await addCria(test)
  await mkdir(manifestFile(test.root, 'library/broken'), { recursive: true })
  await writeFile(manifestFile(test.root, 'library/broken/latest'), text)
  for (let i = 0; i < 3; i++) expect((await test.library.list()).map((model) => displayName(model.name))).toEqual(['cria:latest'])
  expect(test.lines.filter((line) => line.includes('left out'))).toHaveLength(1)
  await expect(test.library.resolve(name('broken'))).rejects.toMatchObject({ code: 'invalid-model', message: expect.stringMatching(/broken/) })
  expect(await test.library.delete(name('broken'))).toBe(true)
})

test('files and folders that are no manifests are passed over', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await writeFile(path.join(test.root, 'manifests/.DS_Store'), '')
  await writeFile(manifestFile(test.root, '.DS_Store'), '')
  await writeFile(manifestFile(test.root, 'library/cria/.incoming-1'), '{')
  await mkdir(manifestFile(test.root, 'library/cria/folder'))
  expect((await test.library.list()).map((model) => displayName(model.name))).toEqual(['cria:latest'])
})

test('a manifest that changes on the disk is seen', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create({ model: 'other', from: 'cria', system: 'x' })
  const [cria, other] = ['library/cria/latest', 'library/other/latest'].map((file) => manifestFile(test.root, file))
  await test.library.list()
  await writeFile(cria!, await readFile(other!))
  expect((await test.library.resolve(name('cria')))?.system).toBe('x')
  await rm(cria!)
  expect(await test.library.resolve(name('cria'))).toBeNull()
})

test('a folder that cannot be written is said in the log, and reading goes on', async () => {
  await using disk = await readOnlyDisk()
  if (disk === null) return console.log('Left out: an unwritable models folder, as this user may not mount a disk.')
  const lines: string[] = []
  const store = new Store(path.join(disk.path, 'models'), new Log('info', (line) => lines.push(line)))
  await store.prepare()
  expect(lines.join()).toMatch(/the models folder cannot be prepared.*EROFS/)
  expect(await store.list()).toEqual([])
  await expect(store.blobs.write(null, [Buffer.from('x')], forever)).rejects.toMatchObject({ code: 'unavailable' })
})

test('manifests of a host with a port are found again', async () => {
  await using test = await openLibrary()
  await addCria(test, 'localhost:5000/n/m:t')
  expect((await test.store.resolve(parseName('localhost:5000/n/m:t')!))?.name.host).toBe('localhost:5000')
})
