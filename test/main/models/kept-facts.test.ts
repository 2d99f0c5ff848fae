import { appendFile, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import type { InspectTemplates } from '../../../main/models/capabilities.ts'
import { KeptFacts } from '../../../main/models/kept-facts.ts'
import { Library } from '../../../main/models/library.ts'
import { FileFacts } from '../../../main/models/origins/facts.ts'
import { scanFolder } from '../../../main/models/origins/folder.ts'
import { scanOllama } from '../../../main/models/origins/ollama.ts'
import { makeOllamaStore, place } from '../../helpers/foreign-stores.ts'
import { criaFile, minilmFile } from '../../helpers/library.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { addCria, forever, inspectTemplates, openLibrary } from './setup.ts'

/** A program that starts, looks and ends; how many models it had to look into. */
async function start(root: string, { version = '1', ollama = false } = {}) {
  let looked = 0
  const inspect: InspectTemplates = (go, jinja) => {
    looked++
    return inspectTemplates(go, jinja)
  }
  using kept = new KeptFacts({ file: path.join(root, 'data', 'facts.json'), version })
  const models = path.join(root, 'models')
  const { found } = await (ollama ? scanOllama(models, 'mine', inspect, kept) : scanFolder(models, 'mine', new FileFacts(inspect, kept)))(forever)
  return { looked, models: found.map(({ name, described, config }) => ({ name, described, config })) }
}

test('a start reads no file again that is as it was, and another version of the program reads all', async () => {
  await using folder = await temporaryFolder()
  const file = await place(criaFile, path.join(folder.path, 'models', 'pets', 'cria.gguf'))
  const first = await start(folder.path)
  expect([first.looked, first.models.length]).toEqual([1, 1])
  expect(await start(folder.path)).toEqual({ ...first, looked: 0 })
  expect((await start(folder.path, { version: '2' })).looked).toBe(1)

  const { size } = await stat(file)
  await appendFile(file, Buffer.alloc(32))
  expect((await start(folder.path, { version: '2' })).looked).toBe(1)
  await utimes(file, new Date(), new Date(1_000_000_000_000))
  expect((await start(folder.path, { version: '2' })).looked).toBe(1)
  // Another file of the same size and time in its place.
  const bytes = await readFile(file)
  await writeFile(`${file}.new`, bytes)
  await utimes(`${file}.new`, new Date(), new Date(1_000_000_000_000))
  await rename(`${file}.new`, file)
  expect((await start(folder.path, { version: '2' })).looked).toBe(1)
  expect(bytes.length).toBe(size + 32)
})

test('a model of an Ollama store is described from memory as long as its manifest and files are the same', async () => {
  await using folder = await temporaryFolder()
  const root = path.join(folder.path, 'models')
  await makeOllamaStore(root)
  const first = await start(folder.path, { ollama: true })
  expect([first.looked > 0, first.models.length]).toEqual([true, 1])
  expect(await start(folder.path, { ollama: true })).toEqual({ ...first, looked: 0 })
  await makeOllamaStore(root, 'registry.ollama.ai/library/other/latest', 'Be kind.')
  const more = await start(folder.path, { ollama: true })
  expect([more.looked > 0, more.models.length]).toEqual([true, 2])
})

test.each([
  ['is damaged', '{"version":"1","facts":{'],
  ['is of another shape', '{"version":"1","facts":[1,2]}'],
  ['holds nonsense', ''],
])('a file of facts that %s costs a look and nothing else', async (_, content) => {
  await using folder = await temporaryFolder()
  await place(minilmFile, path.join(folder.path, 'models', 'minilm.gguf'))
  const first = await start(folder.path)
  const file = path.join(folder.path, 'data', 'facts.json')
  const nonsense = (await readFile(file, 'utf8')).replaceAll(/"kind":"\w+"/g, '"kind":"nonsense"')
  await writeFile(file, content || nonsense)
  expect((await start(folder.path)).models).toEqual(first.models)
})

test('the first list after a start reads no header of our own store again', async () => {
  await using folder = await temporaryFolder()
  await using test = await openLibrary()
  await addCria(test)
  let looked = 0
  const list = async () => {
    using kept = new KeptFacts({ file: path.join(folder.path, 'facts.json'), version: '1' })
    const inspect: InspectTemplates = (go, jinja) => {
      looked++
      return inspectTemplates(go, jinja)
    }
    const { library, store } = test
    const hidden = { has: () => false, add: () => {}, remove: () => {} }
    const restarted = new Library({ store, origins: () => [], hidden, inspectTemplates: inspect, kept, log: new Log('error') })
    expect(await restarted.list()).toEqual(await library.list())
    return looked
  }
  expect([await list(), await list()]).toEqual([1, 1])
})
