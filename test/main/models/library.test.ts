import { readFile, rm, stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import { digestOf } from '../../../main/models/blobs.ts'
import { displayName } from '../../../main/models/name.ts'
import { Bundled, bundledNames } from '../../../main/models/origins/bundled.ts'
import { minilmFile, smollmFile } from '../../helpers/library.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { addCria, bundledFolder, criaDigest, forever, name, openLibrary, type TestLibrary } from './setup.ts'

const shown = async ({ library }: TestLibrary) => (await library.list()).map((model) => displayName(model.name))

test('a fresh library lists what ships and runs it where it lies', async () => {
  await using test = await openLibrary({ bundled: true })
  expect(await test.library.list()).toMatchObject([
    {
      name: name('smollm2:135m'),
      origin: 'bundled',
      capabilities: ['completion'],
      details: {
        format: 'gguf',
        family: 'llama',
        families: ['llama'],
        parameterSize: '134.52M',
        quantizationLevel: 'Q4_1',
        contextLength: 8192,
        embeddingLength: 576,
      },
    },
    {
      name: name('all-minilm'),
      origin: 'bundled',
      capabilities: ['embedding'],
      details: {
        format: 'gguf',
        family: 'bert',
        families: ['bert'],
        parameterSize: '22.57M',
        quantizationLevel: 'Q8_0',
        contextLength: 512,
        embeddingLength: 384,
      },
    },
  ])
  const model = await test.library.resolve(name('smollm2:135m'))
  expect([model?.weights.file, model?.licenses.length, model?.template, model?.system]).toEqual([smollmFile, 1, null, null])
  expect(model?.licenses[0]).toContain('Apache License')
  expect(await test.store.blobs.list()).toEqual([])
})

test('the table of what ships is right: digests, details and names', async () => {
  const entries = await new Bundled(bundledFolder, new Log('error')).list()
  expect(entries.map((entry) => displayName(entry.name))).toEqual(bundledNames())
  for (const [i, file] of [smollmFile, minilmFile].entries()) {
    expect(entries[i]?.layers[0]).toMatchObject({ file, digest: digestOf(await readFile(file)) })
    expect(entries[i]?.digest).toBe(digestOf(entries[i]!.manifest).slice(7))
  }
})

test('a file that ships and was cut is left out, and the other one still works', async () => {
  await using folder = await temporaryFolder()
  const { cp } = await import('node:fs/promises')
  await cp(bundledFolder, folder.path, { recursive: true })
  await truncate(path.join(folder.path, 'smollm2/smollm2-135m-instruct-q4_1.gguf'), 1000)
  const lines: string[] = []
  const entries = await new Bundled(folder.path, new Log('info', (line) => lines.push(line))).list()
  expect([entries.map((entry) => displayName(entry.name)), lines.join()]).toEqual([
    ['all-minilm:latest'],
    expect.stringContaining('has 1000 bytes, not 98362432'),
  ])
})

test('resolve() finds a model whatever the case, and null where there is none', async () => {
  await using test = await openLibrary({ bundled: true })
  await addCria(test)
  expect((await test.library.resolve(name('CRIA:Latest')))?.weights.digest).toBe(criaDigest)
  expect((await test.library.resolve(name('SmolLM2:135M')))?.origin).toBe('bundled')
  expect(await test.library.resolve(name('nothing-here'))).toBeNull()
})

test('a bare file keeps its own template, and list and resolve agree on what it can do', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const [summary] = await test.library.list()
  const model = await test.library.resolve(name('cria'))
  expect(summary?.capabilities).toEqual(['tools', 'thinking', 'completion'])
  expect(model?.capabilities).toEqual(summary?.capabilities)
  expect(model?.details).toEqual(summary?.details)
  expect(model?.digest).toBe(summary?.digest)
  expect(model?.header.chatTemplate).toContain('<think>')
})

test('copy() gives a second name to the same blobs', async () => {
  await using test = await openLibrary()
  await addCria(test)
  expect(await test.library.copy(name('CRIA'), name('mine/copy:v1'))).toBe(true)
  const models = await test.library.list()
  expect(models.map((model) => displayName(model.name)).sort()).toEqual(['cria:latest', 'mine/copy:v1'])
  expect(models[0]?.digest).toBe(models[1]?.digest)
  expect(await test.library.copy(name('nothing-here'), name('x'))).toBe(false)
})

test('copy() onto a name takes the place of what was there, and its blobs go', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const other = await test.upload(Buffer.from('Be brief.'))
  await test.create({ model: 'other', from: 'cria', system: 'Be brief.' })
  await test.library.copy(name('cria'), name('other'))
  expect((await test.library.resolve(name('other')))?.system).toBeNull()
  expect(await test.store.blobs.has(other)).toBe(false)
})

test('copy() of a model onto itself changes nothing', async () => {
  await using test = await openLibrary({ bundled: true })
  expect(await test.library.copy(name('all-minilm'), name('ALL-MINILM'))).toBe(true)
  expect(await test.store.blobs.list()).toEqual([])
})

test('copy() of a model that ships brings its file into our store', async () => {
  await using test = await openLibrary({ bundled: true })
  await test.library.copy(name('all-minilm'), name('mine/embed'))
  const [bundled, copy] = [await test.library.resolve(name('all-minilm')), await test.library.resolve(name('mine/embed'))]
  expect([copy?.origin, copy?.digest, copy?.weights.digest]).toEqual(['store', bundled?.digest, bundled?.weights.digest])
  expect(copy?.weights.file).toBe(test.store.blobs.path(bundled!.weights.digest))
  await test.library.delete(name('mine/embed'))
  expect((await stat(minilmFile)).size).toBe(bundled?.weights.sizeBytes)
})

test('delete() hides a model that ships; it can be brought back', async () => {
  await using test = await openLibrary({ bundled: true })
  expect(await test.library.delete(name('SMOLLM2:135m'))).toBe(true)
  expect([await shown(test), await test.library.resolve(name('smollm2:135m'))]).toEqual([['all-minilm:latest'], null])
  expect(await test.library.delete(name('smollm2:135m'))).toBe(false)
  expect(await test.library.restore(null)).toBe(1)
  expect(await shown(test)).toEqual(['smollm2:135m', 'all-minilm:latest'])
  expect((await stat(smollmFile)).size).toBe(98_362_432)
})

test('our own model of a name stands before the one that ships, and deleting the name deletes both', async () => {
  await using test = await openLibrary({ bundled: true })
  await addCria(test, 'smollm2:135m')
  expect(await shown(test)).toEqual(['smollm2:135m', 'all-minilm:latest'])
  expect((await test.library.resolve(name('smollm2:135m')))?.weights.digest).toBe(criaDigest)
  await test.library.delete(name('smollm2:135m'))
  expect(await test.library.resolve(name('smollm2:135m'))).toBeNull()
})

test('a name that was hidden can be made again', async () => {
  await using test = await openLibrary({ bundled: true })
  await test.library.delete(name('smollm2:135m'))
  await test.library.copy(name('all-minilm'), name('smollm2:135m'), forever)
  expect((await test.library.resolve(name('smollm2:135m')))?.origin).toBe('store')
})

test('a model whose weights are gone is left out of the list, and resolve names the file', async () => {
  await using test = await openLibrary({ bundled: true })
  await addCria(test)
  await rm(test.store.blobs.path(criaDigest))
  expect(await shown(test)).toEqual(['smollm2:135m', 'all-minilm:latest'])
  await expect(test.library.resolve(name('cria'))).rejects.toMatchObject({
    code: 'invalid-model',
    message: expect.stringContaining(test.store.blobs.path(criaDigest)),
  })
  expect(test.lines.filter((line) => line.includes('left out'))).toHaveLength(1)
})

test('a model whose weights were damaged later is refused before a runner sees them', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.library.resolve(name('cria'))
  await truncate(test.store.blobs.path(criaDigest), 2_000_000)
  await expect(test.library.resolve(name('cria'))).rejects.toMatchObject({ code: 'invalid-model', message: expect.stringContaining('incomplete or damaged') })
  expect(await shown(test)).toEqual([])
})

test('list() gives the latest first', async () => {
  await using test = await openLibrary({ bundled: true })
  await addCria(test, 'first')
  await new Promise((resolve) => setTimeout(resolve, 20))
  await test.library.copy(name('first'), name('second'))
  expect(await shown(test)).toEqual(['second:latest', 'first:latest', 'smollm2:135m', 'all-minilm:latest'])
})

test('a model that only names a server elsewhere is listed, and resolve says why it does not run', async () => {
  await using test = await openLibrary()
  const config = Buffer.from(JSON.stringify({ model_family: 'big', remote_host: 'https://ollama.com:443', remote_model: 'big', capabilities: ['completion'] }))
  const digest = await test.upload(config)
  const manifest = { schemaVersion: 2, config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest, size: config.length }, layers: null }
  await test.store.put(name('big:cloud'), Buffer.from(JSON.stringify(manifest)), { prune: true })
  expect(await test.library.list()).toMatchObject([{ capabilities: ['completion'], details: { family: 'big' } }])
  await expect(test.library.resolve(name('big:cloud'))).rejects.toMatchObject({
    code: 'not-implemented',
    message: expect.stringContaining('runs on https://ollama.com:443'),
  })
})

test('a thousand models are listed in a few milliseconds', async () => {
  await using test = await openLibrary()
  await addCria(test)
  for (let i = 1; i < 1000; i++) await test.library.copy(name('cria'), name(`many/model-${i}`))
  expect(await test.library.list()).toHaveLength(1000)
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    await test.library.list()
    times.push(performance.now() - start)
  }
  // The budget is 30 ms; the rest is for a busy machine.
  expect(Math.min(...times)).toBeLessThan(150)
})
