import { link, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { criaFile } from '../../helpers/library.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { addCria, criaDigest, forever, name, openLibrary, type TestLibrary } from './setup.ts'

const longAgo = new Date(Date.now() - 2 * 3_600_000)
const digests = async ({ store }: TestLibrary) => (await store.blobs.list()).map(({ digest }) => digest)

/** Blobs that nobody needs and that are old enough to go. */
async function orphans(test: TestLibrary, count: number): Promise<string[]> {
  const found: string[] = []
  for (let i = 0; i < count; i++) {
    const digest = await test.upload(Buffer.from(`orphan ${i}`))
    await utimes(test.store.blobs.path(digest), longAgo, longAgo)
    found.push(digest)
  }
  return found
}

test('prune() leaves a blob that somebody took hold of while it was removing others', async () => {
  await using test = await openLibrary()
  const all = await orphans(test, 60)
  let removed = false
  const pruning = test.store.prune().finally(() => {
    removed = true
  })
  const held = new Set<string>()
  // As a pull does: holds the blob, then looks whether it is there and need not be fetched.
  while (!removed) {
    for (const digest of all) {
      if (held.has(digest)) continue
      const pin = test.store.pin(digest)
      if (await test.store.blobs.has(digest)) {
        held.add(digest)
        break
      }
      pin[Symbol.dispose]()
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  const gone = await pruning
  const left = await digests(test)
  expect([...held].filter((digest) => !left.includes(digest))).toEqual([])
  expect(gone.map(({ digest }) => digest).filter((digest) => left.includes(digest))).toEqual([])
})

test('prune() leaves what is being brought in, however old its file is', async () => {
  await using folder = await temporaryFolder()
  await using test = await openLibrary()
  const file = path.join(folder.path, 'cria.gguf')
  await link(criaFile, file).catch(async () => writeFile(file, await readFile(criaFile)))
  await utimes(file, longAgo, longAgo)
  let pruned: Promise<unknown> = Promise.resolve()
  const { digest } = await test.store.blobs.adopt(null, file, {
    signal: forever,
    // Its bytes are there under another name, and nobody knows yet what they are.
    follow: () => {
      pruned = test.store.prune()
    },
  })
  await pruned
  expect(digest).toBe(criaDigest)
  expect(await digests(test)).toEqual([criaDigest])
})

test('prune() removes what a crash has left, folders too', async () => {
  await using test = await openLibrary()
  const left = path.join(test.store.blobs.folder, '.incoming-left')
  await mkdir(left)
  await writeFile(path.join(left, 'model-00001-of-00002.gguf'), 'x')
  await utimes(left, longAgo, longAgo)
  expect(await test.store.prune()).toEqual([])
  expect(await readdir(test.store.blobs.folder)).toEqual([])
})

test('what a deleted model leaves to somebody who holds it goes when he lets go, unless it is needed again', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const pin = test.store.pin(criaDigest)
  await test.store.delete(name('cria'))
  expect(await digests(test)).toEqual([criaDigest])
  pin[Symbol.dispose]()
  await expect.poll(() => digests(test)).toEqual([])

  await addCria(test)
  const again = test.store.pin(criaDigest)
  await test.store.delete(name('cria'))
  await test.create({ model: 'other', files: { 'cria.gguf': criaDigest } })
  again[Symbol.dispose]()
  await test.store.tidy({ prune: true })
  expect(await digests(test)).toContain(criaDigest)
  await expect(test.library.resolve(name('other'))).resolves.not.toBeNull()
})

test('a blob of which a client has been told that it is here stays for its create', async () => {
  await using test = await openLibrary()
  const digest = await test.upload(await readFile(criaFile))
  await utimes(test.store.blobs.path(digest), longAgo, longAgo)
  expect(await test.store.offers(digest)).toBe(true)
  expect(await test.store.prune()).toEqual([])
  await test.create({ model: 'cria', files: { 'cria.gguf': digest } })
})

test('of two creates of one name one stands, whole, and nothing is left of the other', async () => {
  await using test = await openLibrary()
  const digest = await test.upload(await readFile(criaFile))
  const create = (system: string) => test.create({ model: 'cria', files: { 'cria.gguf': digest }, system })
  await Promise.all(Array.from({ length: 8 }, (_, i) => create(`You are number ${i}.`)))
  const model = await test.library.resolve(name('cria'))
  expect(model?.system).toMatch(/^You are number \d\.$/)
  // Weights, a system text, a config.
  await expect.poll(async () => (await digests(test)).length).toBe(3)
})

test('a model that is deleted while another is made of it leaves the other whole, or the maker is told', async () => {
  await using test = await openLibrary()
  for (let round = 0; round < 10; round++) {
    await addCria(test, 'base')
    const made = test.create({ model: 'child', from: 'base', system: `Round ${round}.` }).then(
      () => 'made',
      (error: Error) => error.message,
    )
    await new Promise((resolve) => setTimeout(resolve, round))
    await test.library.delete(name('base'))
    const outcome = await made
    if (outcome === 'made') await expect(test.library.resolve(name('child'))).resolves.toMatchObject({ system: `Round ${round}.` })
    else expect(outcome).toMatch(/not found|is gone|is incomplete|deleted meanwhile/)
    await test.library.delete(name('child'))
  }
})

test('a copy onto itself, and a delete while it is copied, leave no broken model', async () => {
  await using test = await openLibrary()
  for (let round = 0; round < 10; round++) {
    await addCria(test, 'one')
    const copied = test.library.copy(name('one'), name('two')).catch((error: Error) => error.message)
    const self = test.library.copy(name('one'), name('ONE')).catch((error: Error) => error.message)
    await test.library.delete(name('one'))
    await self
    const outcome = await copied
    const there = await test.library.resolve(name('two'))
    if (outcome === true) expect(there).not.toBeNull()
    else expect([false, expect.stringContaining('deleted meanwhile')]).toContainEqual(outcome)
    await test.library.delete(name('two'))
  }
  await rm(test.root, { recursive: true })
})
