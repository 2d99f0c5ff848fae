import { chmod, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { Log } from '../../../../main/lib/log.ts'
import { displayName } from '../../../../main/models/name.ts'
import type { Entry } from '../../../../main/models/origin.ts'
import { Adopted } from '../../../../main/models/origins/adopted.ts'
import { Bundled } from '../../../../main/models/origins/bundled.ts'
import { FileFacts } from '../../../../main/models/origins/facts.ts'
import { scanFolder } from '../../../../main/models/origins/folder.ts'
import { scanHuggingFace } from '../../../../main/models/origins/hugging-face.ts'
import { knownFolders } from '../../../../main/models/origins/known.ts'
import { scanOllama } from '../../../../main/models/origins/ollama.ts'
import { ScannedOrigin, type ScanTimes, Turns } from '../../../../main/models/origins/scanned.ts'
import { findFiles, walkLimits } from '../../../../main/models/origins/walk.ts'
import { Patience } from '../../../../main/models/presence.ts'
import { makeHubCache, makeOllamaStore, place } from '../../../helpers/foreign-stores.ts'
import { key, writeGguf } from '../../../helpers/gguf-file.ts'
import { criaFile, minilmFile } from '../../../helpers/library.ts'
import { splitGguf } from '../../../helpers/split-gguf.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { bundledFolder, forever, inspectTemplates, name, openLibrary } from '../setup.ts'

const scan = (root: string) => scanFolder(root, 'mine', new FileFacts(inspectTemplates))(forever)
const names = (entries: readonly Entry[]) => entries.map((entry) => displayName(entry.name))
const isGguf = (file: string) => file.endsWith('.gguf')

/** A projector: the header of one, with a single tensor. */
async function makeProjector(file: string, dimension: number): Promise<void> {
  const keys = [key.string('general.architecture', 'clip'), key.bool('clip.has_vision_encoder', true), key.u32('clip.vision.projection_dim', dimension)]
  await mkdir(path.dirname(file), { recursive: true })
  await writeGguf(file, keys, [{ name: 'v.patch_embd.weight', dimensions: [32], type: 0, sizeBytes: 128, data: () => [new Uint8Array(128)] }])
}

describe('findFiles()', () => {
  test('enters each folder once, through links and loops', async () => {
    await using folder = await temporaryFolder()
    const root = path.join(folder.path, 'models')
    await mkdir(path.join(root, 'a', 'b'), { recursive: true })
    await writeFile(path.join(root, 'a', 'b', 'x.gguf'), 'x')
    await symlink('..', path.join(root, 'a', 'b', 'up'))
    await symlink(root, path.join(root, 'a', 'self'))
    await symlink(path.join(root, 'a', 'b'), path.join(root, 'twin'))
    await symlink('nowhere', path.join(root, 'dangling.gguf'))
    await mkdir(path.join(folder.path, 'elsewhere'))
    await writeFile(path.join(folder.path, 'elsewhere', 'y.gguf'), 'y')
    await symlink(path.join(folder.path, 'elsewhere'), path.join(root, 'linked'))
    const { found, warnings } = await findFiles(root, isGguf, forever)
    expect(found.map(({ name: file }) => file).sort()).toEqual(['x.gguf', 'y.gguf'])
    expect(warnings).toEqual([expect.stringContaining('dangling.gguf')])
  })

  test('is bounded in depth and in what it looks at', async () => {
    await using folder = await temporaryFolder()
    const deep = path.join(folder.path, ...Array.from({ length: 14 }, (_, i) => `d${i}`))
    await mkdir(deep, { recursive: true })
    await writeFile(path.join(folder.path, 'd0', 'd1', 'near.gguf'), '')
    await writeFile(path.join(deep, 'far.gguf'), '')
    const { found, warnings } = await findFiles(folder.path, isGguf, forever)
    expect(found.map(({ name: file }) => file)).toEqual(['near.gguf'])
    expect(warnings).toEqual([expect.stringContaining('deep')])
    expect((await findFiles(folder.path, isGguf, forever, { ...walkLimits, entries: 2 })).warnings).toEqual([expect.stringContaining('more than 2 files')])
  })

  test('stops when it is aborted, and finds nothing in a folder that is not there', async () => {
    await using folder = await temporaryFolder()
    await writeFile(path.join(folder.path, 'x.gguf'), '')
    await expect(findFiles(folder.path, isGguf, AbortSignal.abort())).rejects.toThrow('abort')
    expect(await findFiles(path.join(folder.path, 'nothing'), isGguf, forever)).toEqual({ found: [], warnings: [] })
  })

  test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('says what may not be read, and goes on', async () => {
    await using folder = await temporaryFolder()
    await mkdir(path.join(folder.path, 'locked'))
    await writeFile(path.join(folder.path, 'x.gguf'), '')
    await chmod(path.join(folder.path, 'locked'), 0)
    const { found, warnings } = await findFiles(folder.path, isGguf, forever)
    await chmod(path.join(folder.path, 'locked'), 0o755)
    expect([found.length, warnings]).toEqual([1, [expect.stringContaining('EACCES')]])
  })
})

describe('a folder', () => {
  test('gives its good models, whatever lies between them', async () => {
    await using folder = await temporaryFolder()
    const at = (...parts: string[]) => path.join(folder.path, ...parts)
    await place(criaFile, at('Pets', 'cria-Q8_0.gguf'))
    await place(criaFile, at('dots..', 'x..y.gguf'))
    await place(criaFile, at('模型', '模型.gguf'))
    await place(criaFile, at('CON', `${'long'.repeat(50)}.gguf`))
    await place(criaFile, at('Pets', '.hidden.gguf'))
    await place(criaFile, at('Pets', '._cria.gguf'))
    await writeFile(at('Pets', 'empty.gguf'), '')
    await writeFile(at('Pets', 'garbage.gguf'), Buffer.alloc(5000, 'GGUF'))
    await truncate(await place(criaFile, at('Pets', 'cut.gguf')), 1_000_000)
    await mkdir(at('Pets', 'folder.gguf'))
    const { found, warnings } = await scan(folder.path)
    expect(names(found)).toEqual([
      expect.stringMatching(/^_CON\/(long)+[a-z]*-[0-9a-f]{8}:Q8_0$/),
      'Pets/cria:Q8_0',
      'dots/x..y:Q8_0',
      expect.stringMatching(/^[0-9a-f]{8}\/[0-9a-f]{8}:Q8_0$/),
    ])
    expect(warnings.filter((text) => text.includes('left out'))).toHaveLength(3)
  })

  test('with five thousand other files gives its one model', async () => {
    await using folder = await temporaryFolder()
    for (let i = 0; i < 50; i++) {
      await mkdir(path.join(folder.path, `f${i}`))
      await Promise.all(Array.from({ length: 100 }, (_, j) => writeFile(path.join(folder.path, `f${i}`, `junk-${j}.${j % 2 ? 'txt' : 'bin'}`), '')))
    }
    await place(criaFile, path.join(folder.path, 'f49', 'cria.gguf'))
    expect(names((await scan(folder.path)).found)).toEqual(['f49/cria:Q8_0'])
  })

  test('tells apart two of a name, the same way each time', async () => {
    await using folder = await temporaryFolder()
    await place(criaFile, path.join(folder.path, 'bart', 'Cria-GGUF', 'cria-Q8_0.gguf'))
    await place(criaFile, path.join(folder.path, 'zoe', 'Cria-GGUF', 'CRIA-q8_0.gguf'))
    const [first, second] = [await scan(folder.path), await scan(folder.path)]
    expect(names(first.found)).toEqual(['Cria-GGUF/cria:Q8_0', 'zoe-Cria-GGUF/CRIA:Q8_0'])
    expect(names(second.found)).toEqual(names(first.found))
    expect(second.found.map(({ digest }) => digest)).toEqual(first.found.map(({ digest }) => digest))
    expect(new Set(first.found.map(({ digest }) => digest)).size).toBe(2)
  })

  test('joins parts, and says which are missing', async () => {
    await using folder = await temporaryFolder()
    const whole = path.join(folder.path, 'whole')
    const broken = path.join(folder.path, 'broken')
    for (const one of [whole, broken]) await mkdir(one)
    const parts = await splitGguf(criaFile, whole, 3)
    await splitGguf(criaFile, broken, 3)
    await rm(path.join(broken, 'cria-00002-of-00003.gguf'))
    const headless = path.join(folder.path, 'headless')
    await mkdir(headless)
    await splitGguf(criaFile, headless, 2)
    await rm(path.join(headless, 'cria-00001-of-00002.gguf'))
    const { found } = await scan(folder.path)
    const by = (namespace: string) => found.find((entry) => entry.name.namespace === namespace)!
    expect(names(found)).toEqual(['broken/cria:Q8_0', 'headless/cria:unknown', 'whole/cria:Q8_0'])
    expect(by('whole').layers.map(({ file }) => file)).toEqual(parts)
    expect(by('whole').described?.details.parameterSize).toBe('3.28M')
    expect(by('broken').problem).toEqual({ state: 'incomplete', text: `1 of its 3 parts are missing in ${broken}: cria-00002-of-00003.gguf` })
    expect(by('headless').problem?.text).toContain('cria-00001-of-00002.gguf')
  })

  test('gives a model the projector beside it that fits, and takes no projector for a model', async () => {
    await using folder = await temporaryFolder()
    const at = (...parts: string[]) => path.join(folder.path, ...parts)
    await place(criaFile, at('one', 'cria-Q8_0.gguf'))
    await makeProjector(at('one', 'mmproj-F32.gguf'), 256)
    await makeProjector(at('one', 'mmproj-F16.gguf'), 256)
    await place(criaFile, at('other', 'cria-Q8_0.gguf'))
    await makeProjector(at('other', 'mmproj-F16.gguf'), 999)
    await place(minilmFile, at('embed', 'all-minilm.gguf'))
    await makeProjector(at('embed', 'mmproj-F16.gguf'), 384)
    const { found } = await scan(folder.path)
    expect(names(found)).toEqual(['embed/all-minilm:Q8_0', 'one/cria:Q8_0', 'other/cria:Q8_0'])
    const [embed, one, other] = found
    expect(one?.layers[1]?.file).toBe(at('one', 'mmproj-F16.gguf'))
    expect(one?.described?.capabilities).toEqual(['tools', 'thinking', 'completion', 'vision'])
    expect([embed?.layers.length, other?.layers.length, other?.described?.capabilities]).toEqual([1, 1, ['tools', 'thinking', 'completion']])
  })

  test('runs a model without the projector that was there when it was found', async () => {
    await using folder = await temporaryFolder()
    const file = path.join(folder.path, 'pets', 'mmproj-F16.gguf')
    await place(criaFile, path.join(folder.path, 'pets', 'cria-Q8_0.gguf'))
    await makeProjector(file, 256)
    await using test = await openLibrary({ origins: [origin(scanFolder(folder.path, 'mine', new FileFacts(inspectTemplates)), { freshMs: 60_000 })] })
    expect((await test.library.list())[0]?.capabilities).toContain('vision')
    await rm(file)
    expect((await test.library.resolve(name('pets/cria:Q8_0')))?.projectors).toEqual([])
    expect(await test.library.copy(name('pets/cria:Q8_0'), name('mine'))).toBe(true)
    expect((await test.library.resolve(name('mine')))?.origin).toBe('store')
  })
})

test('the Hugging Face cache gives what refs/main names, by the digests of its blobs', async () => {
  await using folder = await temporaryFolder()
  await makeHubCache(folder.path)
  const entries = async () => (await scanHuggingFace(folder.path, 'hugging-face', new FileFacts(inspectTemplates))(forever)).found
  const [entry, ...others] = await entries()
  expect([displayName(entry!.name), others]).toEqual(['Cria-GGUF/cria:Q8_0', []])
  expect(entry?.layers[0]).toMatchObject({ digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) })
  expect(entry?.layers[0]?.unhashed).toBeUndefined()
  await using test = await openLibrary({ origins: [origin(async () => ({ found: await entries(), warnings: [] }))] })
  await test.library.copy(name('Cria-GGUF/cria:Q8_0'), name('mine'))
  expect((await test.library.resolve(name('mine')))?.weights.digest).toBe(entry?.layers[0]?.digest)
  await rm(path.join(folder.path, 'models--someone--Cria-GGUF', 'refs'), { recursive: true })
  expect(await entries()).toHaveLength(1)
})

test("an Ollama store's damaged models do not keep the others away", async () => {
  await using folder = await temporaryFolder()
  await makeOllamaStore(folder.path)
  await makeOllamaStore(folder.path, 'hf.co/someone/Cria-GGUF/Q8_0', 'Be kind.')
  const manifests = path.join(folder.path, 'manifests')
  const write = async (parts: string, text: string) => {
    await mkdir(path.dirname(path.join(manifests, parts)), { recursive: true })
    await writeFile(path.join(manifests, parts), text)
  }
  const digest = `sha256:${'0'.repeat(64)}`
  await write('registry.ollama.ai/library/broken/latest', '{"layers": 5')
  await write(
    'registry.ollama.ai/library/evil/latest',
    JSON.stringify({ config: { mediaType: 'x', digest: 'sha256:../../../etc/passwd', size: 1 }, layers: [] }),
  )
  await write('registry.ollama.ai/library/lost/latest', JSON.stringify({ config: { mediaType: 'x', digest, size: 1 }, layers: [] }))
  await write('registry.ollama.ai/library/.DS_Store', '')
  await write('registry.ollama.ai/bad name!/x/latest', '{}')
  const { found, warnings } = await scanOllama(folder.path, 'ollama', inspectTemplates)(forever)
  expect(names(found)).toEqual(['hf.co/someone/Cria-GGUF:Q8_0', 'llama-tiny:latest'])
  expect(warnings).toHaveLength(3)
})

function origin(scanned: ConstructorParameters<typeof ScannedOrigin>[0]['scan'], times: Partial<ScanTimes> = {}, log = new Log('error')): ScannedOrigin {
  return new ScannedOrigin({ id: 'mine', owner: 'the tests', scan: scanned, turns: new Turns(2), log, times: { freshMs: 0, ...times } })
}

describe('a drive that does not answer', () => {
  test('keeps no list waiting for long, and what was known stays', async () => {
    await using folder = await temporaryFolder()
    await place(criaFile, path.join(folder.path, 'pets', 'cria.gguf'))
    const real = scanFolder(folder.path, 'mine', new FileFacts(inspectTemplates))
    const dead = Promise.withResolvers<never>()
    let plugged = true
    const lines: string[] = []
    const log = new Log('info', (line) => lines.push(line))
    const times = { patienceMs: 30, firstPatienceMs: 60_000, limitMs: 50 }
    await using test = await openLibrary({ bundled: true, origins: [origin((signal) => (plugged ? real(signal) : dead.promise), times, log)] })
    expect(await test.library.list()).toHaveLength(3)
    plugged = false
    for (let i = 0; i < 5; i++) expect(await test.library.list()).toHaveLength(3)
    await expect.poll(() => lines.filter((line) => line.includes('takes too long'))).toHaveLength(1)
    expect((await test.library.find(name('pets/cria:Q8_0')))?.origin).toBe('mine')
  })

  test('ends a request in words, the next ones at once, and serves again when it answers', async () => {
    const patience = new Patience(20)
    const [entry] = await new Bundled(bundledFolder, new Log('error')).list()
    const drive = Promise.withResolvers<string>()
    let asked = 0
    const ask = () => patience.inTime({ ...entry!, origin: 'mine' }, () => (++asked === 1 ? drive.promise : Promise.resolve('again')))
    for (let i = 0; i < 3; i++) await expect(ask()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('does not answer') })
    expect(asked).toBe(1)
    drive.resolve('late')
    await drive.promise
    await expect.poll(() => ask().catch(() => 'not yet')).toBe('again')
  })

  test('leaves the others their turn', async () => {
    const turns = new Turns(2)
    void turns.take(() => new Promise(() => {}))
    const done: number[] = []
    await Promise.all([1, 2, 3].map((one) => turns.take(async () => void done.push(one))))
    expect(done).toEqual([1, 2, 3])
  })

  test('is not waited for at the start', async () => {
    await using test = await openLibrary({ bundled: true, origins: [origin(() => new Promise(() => {}), { firstPatienceMs: 3_600_000 })] })
    expect(await test.library.list({ wait: false })).toHaveLength(2)
  })
})

test('a thousand models of another program are listed in a few milliseconds once they are known', async () => {
  await using folder = await temporaryFolder()
  const file = await place(criaFile, path.join(folder.path, 'store', 'cria.gguf'))
  for (let i = 0; i < 1000; i++) {
    await mkdir(path.join(folder.path, 'models', `f${i}`), { recursive: true })
    await symlink(file, path.join(folder.path, 'models', `f${i}`, 'cria.gguf'))
  }
  await using test = await openLibrary({
    origins: [origin(scanFolder(path.join(folder.path, 'models'), 'mine', new FileFacts(inspectTemplates)), { firstPatienceMs: 120_000, freshMs: 60_000 })],
  })
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

test('our own store is not its own origin', async () => {
  await using folder = await temporaryFolder()
  const store = path.join(folder.path, '.ollama', 'models')
  await makeOllamaStore(store)
  const [place_] = knownFolders({ home: folder.path, platform: 'linux', hubCache: '', hubHome: '', llamaCache: '', userCache: '' })
  const parts = { known: [place_!], inspectTemplates, turns: new Turns(2), log: new Log('error') }
  const choice = { read: () => ({ originsOff: [], modelFolders: [] }), update: () => {} }
  const status = async (storeFolder: string) => (await new Adopted({ ...parts, choice, storeFolder }).status()).map(({ models }) => models)
  expect([await status(store), await status(path.join(folder.path, 'elsewhere'))]).toEqual([[0], [1]])
})

test.each([
  [
    'linux',
    {},
    [
      '/h/.ollama/models',
      '/usr/share/ollama/.ollama/models',
      '/h/.lmstudio/models',
      '/h/.cache/lm-studio/models',
      '/h/.cache/huggingface/hub',
      '/h/.cache/llama.cpp',
    ],
  ],
  ['darwin', {}, ['/h/.ollama/models', '/h/.lmstudio/models', '/h/.cache/lm-studio/models', '/h/.cache/huggingface/hub', '/h/Library/Caches/llama.cpp']],
  ['linux', { hubHome: '/hf', llamaCache: '/ll' }, expect.arrayContaining(['/hf/hub', '/ll'])],
  ['linux', { hubCache: '/hub', userCache: '/xdg' }, expect.arrayContaining(['/hub', '/xdg/llama.cpp'])],
] as const)('knownFolders() on %s with %o', (platform, given, folders) => {
  const all = knownFolders({ home: '/h', platform, hubCache: '', hubHome: '', llamaCache: '', userCache: '', ...given })
  expect(all.map(({ folder }) => folder)).toEqual(folders)
})
