import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fingerprint, makeHubCache, makeLlamaCache, makeLmStudioFolder, makeOllamaStore, type Print, place } from '../helpers/foreign-stores.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile, minilmFile } from '../helpers/library.ts'
import { splitGguf } from '../helpers/split-gguf.ts'
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

interface Listed {
  name: string
  origin: string
  capabilities?: string[]
  details: Record<string, unknown>
  size: number
  state?: string
  problem?: string
}

const tags = async ({ url }: TestServer) => ((await (await fetch(`${url}/api/tags`)).json()) as { models: Listed[] }).models
/** A machine under load may take longer to look than a list waits. */
const found = (server: TestServer, count: number) => vi.waitFor(async () => expect(await tags(server)).toHaveLength(count), { timeout: 25_000 })
const named = async (server: TestServer, origin: string) =>
  (await tags(server))
    .filter((model) => model.origin === origin)
    .map(({ name }) => name)
    .sort()
const options = { temperature: 0, seed: 1, num_predict: 12, num_ctx: 512 }
const chat = async ({ url }: TestServer, model: string) =>
  (await post(url, '/api/chat', { model, stream: false, messages: [{ role: 'user', content: 'What is two plus two?' }], options })).body.message
const remove = ({ url }: TestServer, model: string) =>
  fetch(`${url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model }) }).then(async (answer) => ({
    status: answer.status,
    text: await answer.text(),
  }))

describe('the models of four other programs', () => {
  let home: TemporaryFolder
  let server: TestServer
  let before: Record<string, Print>
  const stores = ['.ollama', '.lmstudio', '.cache']

  beforeAll(async () => {
    home = await temporaryFolder()
    await makeOllamaStore(path.join(home.path, '.ollama', 'models'))
    await makeLmStudioFolder(path.join(home.path, '.lmstudio', 'models'))
    await makeHubCache(path.join(home.path, '.cache', 'huggingface', 'hub'))
    await makeLlamaCache(path.join(home.path, '.cache', 'llama.cpp'))
    await readOnly(home.path, stores, 0o555)
    before = await fingerprint(home.path)
    server = await startTestServer({ env: { HOME: home.path, PADDOCK_ORIGINS: 'ollama,lm-studio,hugging-face,llama.cpp' } })
    await found(server, 8)
  })

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await readOnly(home.path, stores, 0o755)
    await home[Symbol.asyncDispose]()
  })

  test('are listed under their names, with whose they are', async () => {
    const models = (await tags(server)).filter(({ origin }) => origin !== 'bundled').map(({ name, origin }) => `${origin} ${name}`)
    expect(models.sort()).toEqual([
      'hugging-face Cria-GGUF/cria:Q8_0',
      'llama.cpp all-MiniLM-GGUF/all-minilm:Q8_0',
      'llama.cpp my_Cria/cria:Q8_0',
      'lm-studio All-MiniLM-L6-v2-Embedding-GGUF/all-MiniLM-L6-v2:Q8_0',
      'lm-studio Cria-3M-GGUF/Cria-3M:Q8_0',
      'ollama llama-tiny:latest',
    ])
  })

  test('have the details and capabilities that their headers say', async () => {
    const models = await tags(server)
    expect(models.find(({ name }) => name === 'Cria-3M-GGUF/Cria-3M:Q8_0')).toMatchObject({
      capabilities: ['tools', 'thinking', 'completion'],
      details: { format: 'gguf', family: 'llama', parameter_size: '3.28M', quantization_level: 'Q8_0', context_length: 2048, embedding_length: 256 },
    })
    expect(models.find(({ name }) => name.startsWith('all-MiniLM-GGUF'))?.capabilities).toEqual(['embedding'])
    const { body } = await post(server.url, '/api/show', { model: 'Cria-3M-GGUF/Cria-3M:Q8_0' })
    expect(body).toMatchObject({ origin: 'lm-studio', capabilities: ['tools', 'thinking', 'completion'], template: expect.stringContaining('<think>') })
  })

  test("of Ollama's store keep its layers", async () => {
    const { body } = await post(server.url, '/api/show', { model: 'llama-tiny' })
    expect(body).toMatchObject({ origin: 'ollama', system: 'Be brief.', license: 'Do as you like.', parameters: expect.stringContaining('"END"') })
    expect(body.modelfile).toContain(path.join(home.path, '.ollama', 'models', 'blobs'))
  })

  test.each(['llama-tiny', 'Cria-3M-GGUF/Cria-3M:Q8_0', 'cria-gguf/CRIA:q8_0', 'my_Cria/cria:Q8_0', 'lm-studio/Cria-3M-GGUF/Cria-3M:Q8_0'])(
    '%s runs in place',
    async (model) => {
      expect(await chat(server, model)).toMatchObject({ role: 'assistant' })
    },
  )

  test('are in memory under the name that they were asked for', async () => {
    const { models } = (await (await fetch(`${server.url}/api/ps`)).json()) as { models: { name: string }[] }
    expect(models.map(({ name }) => name)).toEqual(expect.arrayContaining(['llama-tiny:latest', 'Cria-3M-GGUF/Cria-3M:Q8_0']))
  })

  test('embed in place', async () => {
    const { status, body } = await post(server.url, '/api/embed', { model: 'all-MiniLM-GGUF/all-minilm:Q8_0', input: 'hello' })
    expect([status, (body.embeddings as number[][])[0]?.length]).toEqual([200, 384])
  })

  test("stand in OpenAI's list", async () => {
    const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: { id: string }[] }
    expect(data.map(({ id }) => id)).toContain('Cria-GGUF/cria:Q8_0')
    expect((await fetch(`${server.url}/v1/models/Cria-GGUF/cria:Q8_0`)).status).toBe(200)
  })

  test('cannot be deleted, but hidden and brought back', async () => {
    const model = 'Cria-3M-GGUF/Cria-3M:Q8_0'
    const refused = await remove(server, model)
    expect(refused.status).toBe(403)
    expect(refused.text).toContain('belongs to LM Studio')
    expect(refused.text).toContain('paddock hide')
    expect((await post(server.url, '/api/hide', { model })).status).toBe(200)
    expect(await named(server, 'lm-studio')).not.toContain(model)
    expect((await post(server.url, '/api/show', { model })).status).toBe(404)
    expect((await post(server.url, '/api/restore', { model })).body).toEqual({ restored: 1 })
    expect(await named(server, 'lm-studio')).toContain(model)
  })

  test('give their name to one of our own, and are listed with their origin for a host', async () => {
    await addModel(server.url, 'llama-tiny', criaFile, { system: 'Ours.' })
    expect((await post(server.url, '/api/show', { model: 'llama-tiny' })).body).toMatchObject({ origin: 'store', system: 'Ours.' })
    expect(await named(server, 'ollama')).toEqual(['ollama/library/llama-tiny:latest'])
    expect((await post(server.url, '/api/show', { model: 'ollama/library/llama-tiny' })).body).toMatchObject({ origin: 'ollama', system: 'Be brief.' })
    expect((await remove(server, 'llama-tiny')).status).toBe(200)
    expect(await named(server, 'ollama')).toEqual(['llama-tiny:latest'])
  })

  test('can be the base of a model of ours, and be copied', async () => {
    const created = await post(server.url, '/api/create', { model: 'mine', from: 'Cria-3M-GGUF/Cria-3M:Q8_0', system: 'Be kind.', stream: false })
    expect(created).toMatchObject({ status: 200, body: { status: 'success' } })
    expect((await fetch(`${server.url}/api/copy`, { method: 'POST', body: JSON.stringify({ source: 'my_Cria/cria:Q8_0', destination: 'copy' }) })).status).toBe(
      200,
    )
    for (const model of ['mine', 'copy']) {
      expect((await post(server.url, '/api/show', { model })).body.origin).toBe('store')
      expect(await chat(server, model)).toMatchObject({ role: 'assistant' })
    }
    const { services } = server
    const [mine, copy] = await Promise.all(['mine', 'copy'].map(async (model) => (await services.library.list()).find(({ name }) => name.model === model)))
    expect([mine?.origin, copy?.origin]).toEqual(['store', 'store'])
    expect((await services.library.store.blobs.list()).length).toBeGreaterThan(0)
    for (const model of ['mine', 'copy']) expect((await remove(server, model)).status).toBe(200)
  })

  test('are as they were, to the last time and byte', async () => {
    expect(withoutLinks(await fingerprint(home.path))).toEqual(withoutLinks(before))
  })
})

/** Taking a model into our store may give its file a second name, which the system counts and dates. */
function withoutLinks(print: Record<string, Print>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(print).map(([file, { nlink: _, ctimeMs: __, ...rest }]) => [file, rest]))
}

async function readOnly(root: string, folders: string[], mode: number): Promise<void> {
  for (const folder of folders) {
    await chmod(path.join(root, folder), mode)
    for (const entry of await readdir(path.join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) await chmod(path.join(entry.parentPath, entry.name), mode)
    }
  }
}

test('listing and running leave not even a link count behind', async () => {
  await using home = await temporaryFolder()
  await makeLmStudioFolder(path.join(home.path, '.lmstudio', 'models'))
  await makeOllamaStore(path.join(home.path, '.ollama', 'models'))
  const before = await fingerprint(home.path)
  await using server = await startTestServer({ env: { HOME: home.path, PADDOCK_ORIGINS: 'ollama,lm-studio' } })
  await found(server, 5)
  await chat(server, 'llama-tiny')
  await chat(server, 'Cria-3M-GGUF/Cria-3M:Q8_0')
  expect(await fingerprint(home.path)).toEqual(before)
})

describe('a file that is opened', () => {
  test('is run where it lies; gone with its drive it is shown as gone, and is back with it', async () => {
    await using folder = await temporaryFolder()
    const drive = path.join(folder.path, 'drive')
    const file = await place(criaFile, path.join(drive, 'Pets', 'cria-Q8_0.gguf'))
    await using server = await startTestServer()
    expect((await post(server.url, '/api/import', { path: file })).body).toEqual({
      name: 'Pets/cria:Q8_0',
      model: 'Pets/cria:Q8_0',
      origin: 'file',
      path: file,
    })
    await expect.poll(() => named(server, 'file'), { timeout: 25_000 }).toEqual(['Pets/cria:Q8_0'])
    expect(await chat(server, 'pets/cria:q8_0')).toMatchObject({ role: 'assistant' })
    expect(await server.services.library.store.blobs.list()).toEqual([])

    await rename(drive, `${drive}-unplugged`)
    await expect
      .poll(async () => (await tags(server)).find(({ origin }) => origin === 'file'), { timeout: 25_000 })
      .toMatchObject({ state: 'gone', problem: expect.stringContaining(file) })
    const gone = await post(server.url, '/api/chat', { model: 'Pets/cria:Q8_0', stream: false, messages: [{ role: 'user', content: 'hi' }] })
    expect([gone.status, gone.body.error]).toEqual([503, expect.stringContaining(file)])

    await rename(`${drive}-unplugged`, drive)
    await expect.poll(async () => (await tags(server)).find(({ origin }) => origin === 'file')?.state, { timeout: 25_000 }).toBeUndefined()
    expect(await chat(server, 'Pets/cria:Q8_0')).toMatchObject({ role: 'assistant' })

    expect((await remove(server, 'Pets/cria:Q8_0')).status).toBe(200)
    await expect.poll(() => named(server, 'file'), { timeout: 25_000 }).toEqual([])
    expect(await readdir(path.dirname(file))).toEqual(['cria-Q8_0.gguf'])
  })

  test('does not keep the server from starting when it is gone', async () => {
    await using folder = await temporaryFolder()
    const file = await place(criaFile, path.join(folder.path, 'pets', 'cria.gguf'))
    const home = path.join(folder.path, 'home')
    {
      await using server = await startTestServer({ env: { PADDOCK_HOME: home } })
      await post(server.url, '/api/import', { path: file, name: 'pet' })
    }
    await rm(file)
    await using server = await startTestServer({ env: { PADDOCK_HOME: home } })
    await expect
      .poll(async () => (await tags(server)).find(({ name }) => name === 'pet:latest'), { timeout: 25_000 })
      .toMatchObject({ state: 'gone', origin: 'file' })
  })

  test('is copied into our store when that is asked for', async () => {
    await using folder = await temporaryFolder()
    const file = await place(criaFile, path.join(folder.path, 'cria.gguf'))
    await using server = await startTestServer()
    expect((await post(server.url, '/api/import', { path: file, name: 'pet', copy: true })).body).toMatchObject({ name: 'pet:latest', origin: 'store' })
    await rm(file)
    expect(await chat(server, 'pet')).toMatchObject({ role: 'assistant' })
  })

  test('in parts is one model, by any of its parts; incomplete it is refused', async () => {
    await using folder = await temporaryFolder()
    const [first, second] = await splitGguf(criaFile, folder.path, 3)
    await using server = await startTestServer()
    const { body } = await post(server.url, '/api/import', { path: second, name: 'parts' })
    expect(body).toMatchObject({ name: 'parts:latest', path: first })
    await addModel(server.url, 'whole', criaFile)
    expect(await chat(server, 'parts')).toEqual(await chat(server, 'whole'))
    await rm(second!)
    const refused = await post(server.url, '/api/import', { path: first, name: 'again' })
    expect([refused.status, refused.body.error]).toEqual([400, expect.stringContaining('cria-00002-of-00003.gguf')])
  })

  test.each([
    ['weights.gguf', 'PK\x03\x04 and so on, longer than a header', 'ZIP archive'],
    ['pytorch.gguf', '\x80\x02}q\x00 and so on, longer than a header', 'Python pickle'],
    ['model.safetensors', '\x40\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{}}', 'safetensors'],
    ['page.gguf', '<!doctype html><title>Log in</title>', 'web page'],
  ])('that is something else is refused in words: %s', async (name, content, words) => {
    await using folder = await temporaryFolder()
    const file = path.join(folder.path, name)
    await writeFile(file, content, 'latin1')
    await using server = await startTestServer()
    const { status, body } = await post(server.url, '/api/import', { path: file })
    expect([status, body.error]).toEqual([400, expect.stringContaining(words)])
    expect(await named(server, 'file')).toEqual([])
  })

  test('keeps a name of its own: another model of it is a conflict, a derived one gets a number', async () => {
    await using folder = await temporaryFolder()
    const [one, two] = [
      await place(criaFile, path.join(folder.path, 'a', 'pets', 'cria.gguf')),
      await place(minilmFile, path.join(folder.path, 'b', 'pets', 'cria.gguf')),
    ]
    await using server = await startTestServer()
    const open = async (body: object) => (await post(server.url, '/api/import', body)).body
    expect(await open({ path: one })).toMatchObject({ name: 'pets/cria:Q8_0' })
    expect(await open({ path: one })).toMatchObject({ name: 'pets/cria:Q8_0' })
    expect(await open({ path: two })).toMatchObject({ name: 'pets/cria-2:Q8_0' })
    expect((await post(server.url, '/api/import', { path: two, name: 'pets/cria:Q8_0' })).status).toBe(409)
    expect((await post(server.url, '/api/import', { path: 'cria.gguf' })).status).toBe(400)
    expect((await post(server.url, '/api/import', { path: path.join(folder.path, 'nothing.gguf') })).status).toBe(404)
    await expect.poll(() => named(server, 'file'), { timeout: 25_000 }).toEqual(['pets/cria-2:Q8_0', 'pets/cria:Q8_0'])
  })
})

test('the places of other programs are switched off and on, and folders added, while the server runs', async () => {
  await using home = await temporaryFolder()
  await makeLmStudioFolder(path.join(home.path, '.lmstudio', 'models'))
  const folder = path.join(home.path, 'My Models!')
  await mkdir(folder)
  await place(criaFile, path.join(folder, 'deep', 'er', 'cria-f16.gguf'))
  await makeOllamaStore(path.join(home.path, 'other-ollama'))
  await using server = await startTestServer({ env: { HOME: home.path, PADDOCK_ORIGINS: 'lm-studio' } })
  const change = (body: object) => post(server.url, '/api/origins', body)
  const origins = async () => ((await (await fetch(`${server.url}/api/origins`)).json()) as { origins: { id: string; on: boolean; models: number }[] }).origins
  await change({ off: ['lm-studio'], add: [folder, path.join(home.path, 'other-ollama')] })
  await expect.poll(origins, { timeout: 25_000 }).toMatchObject([
    { id: 'lm-studio', on: false, models: 0 },
    { id: 'my-models', on: true, models: 1, folder },
    { id: 'other-ollama', on: true, models: 1 },
  ])
  expect([await named(server, 'lm-studio'), await named(server, 'my-models'), await named(server, 'other-ollama')]).toEqual([
    [],
    ['er/cria:F16'],
    ['llama-tiny:latest'],
  ])
  await change({ on: ['lm-studio'], remove: [folder] })
  await expect.poll(origins, { timeout: 25_000 }).toMatchObject([{ id: 'lm-studio', on: true, models: 2 }, { id: 'other-ollama' }])
  expect((await post(server.url, '/api/origins', { off: ['nobody'] })).status).toBe(400)
})
