import { appendFile, chmod, readdir, readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { createUpkeep } from '../../../main/models/upkeep.ts'
import type { VerifyEvent } from '../../../main/models/upkeep-facts.ts'
import { addCria, criaDigest, forever, name, openLibrary, type TestLibrary } from './setup.ts'

const nowhere = () => Promise.reject(new Error('no registry here'))
const longAgo = new Date(Date.now() - 2 * 3_600_000)

async function results({ library }: TestLibrary, model: string | null = null, discard = false) {
  const events: VerifyEvent[] = await Array.fromAsync(createUpkeep(library, nowhere).verify({ name: model === null ? null : name(model), discard }, forever))
  return events.filter((event) => event.type === 'result')
}

test('diskUse() tells what is shared, what a deletion frees, what nobody needs and what is half loaded', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  await test.create({ model: 'two', from: 'one', system: 'Be brief.' })
  await test.upload(Buffer.alloc(1000))
  await writeFile(path.join(test.root, 'blobs', `sha256-${'a'.repeat(64)}-partial`), Buffer.alloc(4096))
  const { models, unneeded, partial, usedBytes, freeBytes, folder } = await createUpkeep(test.library, nowhere).diskUse()
  const two = models.find((model) => model.name === 'two:latest')
  expect(folder).toBe(test.root)
  expect(two).toMatchObject({ sharesWith: ['one:latest'], sizeBytes: expect.any(Number) })
  expect(two?.sizeBytes).toBeGreaterThan(3_555_456)
  expect(two?.ownBytes).toBeLessThan(2000)
  expect(two?.ownBytes).toBeGreaterThan('Be brief.'.length)
  expect(unneeded).toEqual({ count: 1, sizeBytes: 1000 })
  expect(partial).toEqual({ count: 1, sizeBytes: 4096 })
  expect(usedBytes).toBe(3_555_456 + models.reduce((sum, { ownBytes }) => sum + ownBytes, 0) + 1000)
  expect(freeBytes).toBeGreaterThan(0)
})

test('verify() reads a shared file once, and finds nothing wrong with a whole model', async () => {
  await using test = await openLibrary({ bundled: true })
  await addCria(test, 'one')
  await test.create({ model: 'two', from: 'one', system: 'Be brief.' })
  const found = await results(test)
  expect(found.filter(({ digest }) => digest === criaDigest)).toEqual([
    { type: 'result', digest: criaDigest, file: test.store.blobs.path(criaDigest), state: 'intact', models: ['one:latest', 'two:latest'], removed: false },
  ])
  expect(new Set(found.map(({ state }) => state))).toEqual(new Set(['intact']))
  expect(found.some(({ models }) => models.includes('smollm2:135m'))).toBe(true)
})

test('verify() finds a changed byte, a short file and a missing one, and removes what is damaged when asked', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  const file = test.store.blobs.path(criaDigest)
  const bytes = await readFile(file)
  bytes[2_000_000] = (bytes[2_000_000] ?? 0) ^ 1
  await writeFile(file, bytes)
  expect((await results(test, 'one')).filter(({ state }) => state !== 'intact')).toMatchObject([{ digest: criaDigest, state: 'damaged', removed: false }])
  await truncate(file, 3_000_000)
  expect((await results(test, 'one', true)).filter(({ state }) => state !== 'intact')).toMatchObject([{ digest: criaDigest, state: 'damaged', removed: true }])
  expect((await results(test)).filter(({ state }) => state !== 'intact')).toMatchObject([{ digest: criaDigest, state: 'missing', models: ['one:latest'] }])
  await expect(results(test, 'unknown')).rejects.toMatchObject({ code: 'model-not-found' })
})

test('verify() takes what is deleted or replaced while it is read for no damage, and discards nothing that is good', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  const file = test.store.blobs.path(criaDigest)
  const good = await readFile(file)
  const each = async (during: () => Promise<unknown>) => {
    const found: VerifyEvent[] = []
    let done = false
    for await (const event of createUpkeep(test.library, nowhere).verify({ name: null, discard: true }, forever)) {
      if (event.type === 'result') found.push(event)
      else if (event.digest === criaDigest && !done) {
        done = true
        await during()
      }
    }
    return found.filter(({ digest }) => digest === criaDigest)
  }
  await writeFile(file, Buffer.alloc(5_000_000))
  const replace = async () => {
    await writeFile(`${file}.new`, good)
    await rename(`${file}.new`, file)
  }
  expect(await each(replace)).toMatchObject([{ state: 'intact', removed: false }])
  expect(await test.store.blobs.has(criaDigest)).toBe(true)
  expect(await each(() => test.library.delete(name('one')))).toEqual([])
})

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('verify() tells of a file that may not be read, and goes on', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  await chmod(test.store.blobs.path(criaDigest), 0)
  expect((await results(test)).map(({ state }) => state).sort()).toEqual(['intact', 'unreadable'])
})

test('prune() removes what no model needs once it is old enough, and says first what it would', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  const upkeep = createUpkeep(test.library, nowhere)
  const digest = await test.upload(Buffer.alloc(1000))
  expect(await upkeep.prune({ dryRun: false })).toEqual([])
  const file = test.store.blobs.path(digest)
  await utimes(file, longAgo, longAgo)
  expect(await upkeep.prune({ dryRun: true })).toMatchObject([{ digest, sizeBytes: 1000 }])
  expect(await test.store.blobs.has(digest)).toBe(true)
  {
    using _ = test.store.pin(digest)
    expect(await upkeep.prune({ dryRun: false })).toEqual([])
  }
  expect(await upkeep.prune({ dryRun: false })).toMatchObject([{ digest }])
  expect(await test.store.blobs.has(digest)).toBe(false)
  expect((await results(test)).every(({ state }) => state === 'intact')).toBe(true)
})

test('prune() removes what a download has begun only where none in the list goes on with it', async () => {
  await using test = await openLibrary()
  const upkeep = createUpkeep(test.library, nowhere)
  const [paused, left, young] = ['a', 'b', 'c'].map((letter) => `sha256:${letter.repeat(64)}`) as [string, string, string]
  for (const digest of [paused, left, young]) {
    const partial = `${test.store.blobs.path(digest)}-partial`
    for (const file of [partial, `${partial}-0`, `${partial}-1`]) await writeFile(file, Buffer.alloc(4096))
    if (digest !== young) await utimes(partial, longAgo, longAgo)
  }
  using _ = test.store.pin(paused)
  expect(await upkeep.prune({ dryRun: true })).toMatchObject([{ digest: left, sizeBytes: 4096 }])
  expect(await upkeep.prune({ dryRun: false })).toMatchObject([{ digest: left, sizeBytes: 4096 }])
  const kept = [paused, young].flatMap((digest) => ['', '-0', '-1'].map((end) => `${digest.replace(':', '-')}-partial${end}`))
  expect((await readdir(test.store.blobs.folder)).sort()).toEqual(kept.sort())
  expect((await upkeep.diskUse()).partial).toEqual({ count: 2, sizeBytes: 8192 })
})

test('prune() leaves a folder of another program alone, and every blob while a manifest cannot be read', async () => {
  await using test = await openLibrary()
  await addCria(test, 'one')
  const upkeep = createUpkeep(test.library, nowhere)
  await appendFile(path.join(test.root, 'manifests/registry.ollama.ai/library/one/latest'), '}')
  await expect(upkeep.prune({ dryRun: true })).rejects.toMatchObject({ code: 'conflict' })
  await rm(path.join(test.root, '.paddock'))
  await expect(upkeep.prune({ dryRun: true })).rejects.toMatchObject({ code: 'forbidden' })
})
