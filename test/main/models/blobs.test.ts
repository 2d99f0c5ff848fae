import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { BlobStore, digestOf, normalizeDigest } from '../../../main/models/blobs.ts'
import { criaFile } from '../../helpers/library.ts'
import { random } from '../../helpers/random-weights.ts'
import { smallDisk } from '../../helpers/small-disk.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { criaDigest, forever, readOnlyDisk } from './setup.ts'

const hello = digestOf('hello')
const zeros = `sha256:${'0'.repeat(64)}`
const filesIn = (folder: string) => readdir(folder).catch(() => [])

test('write() keeps bytes under their digest and says whether they are new', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  const parts = [Buffer.from('hel'), Buffer.from('lo')]
  expect(await blobs.write(hello, parts, forever)).toEqual({ digest: hello, sizeBytes: 5, created: true })
  expect(await blobs.write(null, parts, forever)).toEqual({ digest: hello, sizeBytes: 5, created: false })
  expect(await readFile(blobs.path(hello), 'utf8')).toBe('hello')
  expect(await filesIn(blobs.folder)).toEqual([hello.replace(':', '-')])
})

test('write() takes a digest with a dash for the same', async () => {
  await using folder = await temporaryFolder()
  await expect(new BlobStore(folder.path).write(hello.replace(':', '-'), [Buffer.from('hello')], forever)).resolves.toMatchObject({ digest: hello })
})

test('write() refuses bytes of another digest and leaves nothing', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  await expect(blobs.write(zeros, [Buffer.from('hello')], forever)).rejects.toMatchObject({
    code: 'invalid-request',
    message: `digest mismatch, expected "${zeros}", got "${hello}"`,
  })
  expect(await filesIn(blobs.folder)).toEqual([])
})

test('write() leaves nothing when its source fails or the caller goes away', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  async function* broken() {
    yield Buffer.from('hel')
    throw new Error('connection reset')
  }
  await expect(blobs.write(hello, broken(), forever)).rejects.toThrow('connection reset')
  const controller = new AbortController()
  async function* leaving() {
    yield Buffer.from('hel')
    controller.abort()
    yield Buffer.from('lo')
  }
  await expect(blobs.write(hello, leaving(), controller.signal)).rejects.toThrow('aborted')
  expect(await filesIn(blobs.folder)).toEqual([])
})

test('two writes of the same bytes at once both succeed', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  const bytes = Buffer.alloc(300_000, 7)
  const written = await Promise.all([1, 2, 3].map(() => blobs.write(null, [bytes], forever)))
  expect(new Set(written.map(({ digest }) => digest))).toEqual(new Set([digestOf(bytes)]))
  expect(await filesIn(blobs.folder)).toHaveLength(1)
})

test('a write says "no space left" on a full disk and leaves nothing', async () => {
  await using disk = await smallDisk(1)
  if (disk === null) return console.log('Left out: a full disk, as this user may not mount one.')
  const blobs = new BlobStore(disk.path)
  async function* megabytes() {
    for (let i = 0; i < 64; i++) yield Buffer.alloc(65_536, i)
  }
  await expect(blobs.write(null, megabytes(), forever)).rejects.toMatchObject({ code: 'disk-full', message: expect.stringContaining(blobs.folder) })
  await expect(blobs.adopt(criaDigest, criaFile, { signal: forever })).rejects.toMatchObject({ code: 'disk-full' })
  expect(await filesIn(blobs.folder)).toEqual([])
  await expect(blobs.write(hello, [Buffer.from('hello')], forever)).resolves.toMatchObject({ created: true })
})

test('a write names the folder that cannot be written', async () => {
  await using disk = await readOnlyDisk()
  if (disk === null) return console.log('Left out: a disk that cannot be written, as this user may not mount one.')
  const blobs = new BlobStore(disk.path)
  await expect(blobs.write(null, [Buffer.from('x')], forever)).rejects.toMatchObject({
    code: 'unavailable',
    message: `the models folder ${blobs.folder} cannot be written (EROFS); change its permissions or set OLLAMA_MODELS`,
  })
})

test('path() never leaves the folder, whatever the digest', () => {
  const blobs = new BlobStore('/store')
  const hex = 'a'.repeat(64)
  expect(blobs.path(`sha256:${hex}`)).toBe(path.resolve(`/store/blobs/sha256-${hex}`))
  const hostile = [
    '',
    'sha256:',
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex.toUpperCase()}`,
    `sha512:${hex}`,
    `sha256/${hex}`,
    `sha256:../../../etc/passwd`,
    ` sha256:${hex}`,
    `sha256:${hex}\n`,
    `sha256:${'../'.repeat(21)}x`,
    'md5:12',
  ]
  for (const digest of hostile) expect(() => blobs.path(digest), digest).toThrow('invalid digest format')
  const next = random(5)
  const letters = ['a', 'f', '0', '/', '.', '..', '\\', ':', '-', '\0', 'G']
  for (let i = 0; i < 5000; i++) {
    const digest = `sha256-${Array.from({ length: 64 }, () => letters[Math.floor(next() * letters.length)]).join('')}`
    expect(normalizeDigest(digest), digest).toBeNull()
  }
})

test('adopt() brings a file in, and refuses one with other bytes', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  const { size } = await stat(criaFile)
  expect(await blobs.adopt(criaDigest, criaFile, { signal: forever })).toEqual({ digest: criaDigest, sizeBytes: size, created: true })
  expect(await blobs.adopt(criaDigest, criaFile, { signal: forever })).toEqual({ digest: criaDigest, sizeBytes: size, created: false })
  await expect(blobs.adopt(zeros, criaFile, { signal: forever })).rejects.toMatchObject({
    code: 'invalid-model',
    message: expect.stringContaining('is damaged'),
  })
  expect(await filesIn(blobs.folder)).toHaveLength(1)
})

test('open() says which blob is not there', async () => {
  await using folder = await temporaryFolder()
  await expect(new BlobStore(folder.path).open(zeros)).rejects.toThrow(`blob "${zeros}" not found`)
})

test('list() renames blobs that old versions spelled with a colon', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  await mkdir(blobs.folder)
  await writeFile(path.join(blobs.folder, hello), 'hello')
  expect(await blobs.list()).toMatchObject([{ digest: hello, sizeBytes: 5 }])
  expect(await filesIn(blobs.folder)).toEqual([hello.replace(':', '-')])
})

test('removeAbandoned() takes old remains of writes and nothing else', async () => {
  await using folder = await temporaryFolder()
  const blobs = new BlobStore(folder.path)
  await mkdir(blobs.folder)
  const partial = `${hello.replace(':', '-')}-partial-0`
  for (const file of ['.incoming-old', '.incoming-new', partial, 'notes.txt']) await writeFile(path.join(blobs.folder, file), 'x')
  await utimes(path.join(blobs.folder, '.incoming-old'), new Date(0), new Date(0))
  expect(await blobs.removeAbandoned(Date.now() - 60_000)).toBe(1)
  expect((await filesIn(blobs.folder)).sort()).toEqual(['.incoming-new', 'notes.txt', partial].sort())
})

test('digestOf() is what sha256sum says', () => {
  expect(digestOf('hello')).toBe(`sha256:${createHash('sha256').update('hello').digest('hex')}`)
  expect(normalizeDigest(hello.replace(':', '-'))).toBe(hello)
})
