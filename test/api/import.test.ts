import { appendFile, readdir, readFile, rm, truncate } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseName } from '../../main/models/name.ts'
import { place } from '../helpers/foreign-stores.ts'
import { post, postLines } from '../helpers/http.ts'
import { criaFile, minilmFile } from '../helpers/library.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

/** Long enough to be hashed for a while; its end is a hole. */
const longBytes = 300 * 2 ** 20

let folder: TemporaryFolder
let server: TestServer
beforeAll(async () => {
  folder = await temporaryFolder()
  server = await startTestServer()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

async function longFile(name: string): Promise<string> {
  const file = await place(criaFile, path.join(folder.path, name))
  await truncate(file, longBytes)
  return file
}
const files = () => readdir(server.services.library.store.blobs.folder)
const answers = async (model: string) =>
  (await post(server.url, '/api/chat', { model, stream: false, options: { num_predict: 4, num_ctx: 256 }, messages: [{ role: 'user', content: 'Hi' }] })).status

test('a copy tells how far it is, how fast and how long yet, and in the end what it made', async () => {
  const file = await longFile('long.gguf')
  const lines = await postLines(server.url, '/api/import', { path: file, name: 'long', copy: true, stream: true })
  expect(lines.at(-1)).toMatchObject({ status: 'success', name: 'long:latest', model: 'long:latest', origin: 'store' })
  const steps = lines.filter(({ digest }) => digest !== undefined)
  expect(steps.length).toBeGreaterThan(2)
  const completed = steps.map((step) => (step.completed as number | undefined) ?? 0)
  expect(completed).toEqual(completed.toSorted((a, b) => a - b))
  expect(steps.at(-1)).toMatchObject({ status: expect.stringMatching(/^copying [0-9a-f]{12}$/), total: longBytes, completed: longBytes })
  expect(steps.some(({ bytes_per_second: speed, seconds_left: left }) => Number(speed) > 0 && Number(left) > 0)).toBe(true)
  await rm(file)
  expect(await answers('long')).toBe(200)
  await server.services.library.delete(parseName('long')!)
})

test('a copy whose caller leaves stays nowhere, and its name is free', async () => {
  const file = await longFile('left.gguf')
  const before = await files()
  const leaving = new AbortController()
  const answer = await fetch(`${server.url}/api/import`, {
    method: 'POST',
    body: JSON.stringify({ path: file, name: 'left', copy: true, stream: true }),
    signal: leaving.signal,
  })
  for await (const _ of answer.body as ReadableStream<Uint8Array>) break
  leaving.abort()
  await expect.poll(files, { timeout: 25_000 }).toEqual(before)
  expect((await post(server.url, '/api/import', { path: file, name: 'left' })).status).toBe(200)
})

test('a model that is created from a file elsewhere says how far its bytes are', async () => {
  const file = await longFile('base.gguf')
  await post(server.url, '/api/import', { path: file, name: 'base' })
  const lines = await postLines(server.url, '/api/create', { model: 'child', from: 'base', system: 'Be brief.' })
  expect(lines.at(-1)).toEqual({ status: 'success' })
  const steps = lines.filter(({ status }) => /^copying /.test(status as string))
  expect(steps.some(({ completed = 0 }) => Number(completed) < longBytes)).toBe(true)
  expect(steps.at(-1)).toMatchObject({ total: longBytes, completed: longBytes })
})

test('two imports at once have two names, and of two that want one name the second is told', async () => {
  const one = await place(criaFile, path.join(folder.path, 'a', 'twins', 'twin.gguf'))
  const two = await place(minilmFile, path.join(folder.path, 'b', 'twins', 'twin.gguf'))
  // The same bytes would be the same model.
  await appendFile(one, Buffer.alloc(32))
  const both = await Promise.all([one, two].map((file) => post(server.url, '/api/import', { path: file, copy: true })))
  expect(both.map(({ body }) => body.name).sort()).toEqual(['twins/twin-2:Q8_0', 'twins/twin:Q8_0'])
  const named = await Promise.all([one, two].map((file) => post(server.url, '/api/import', { path: file, name: 'twin', copy: true })))
  expect(named.map(({ status }) => status).sort()).toEqual([200, 409])
})

test('a disk that is too small for a copy is told before the first byte, with both figures', async () => {
  await using disk = await smallDisk(2)
  if (disk === null) return console.log('Left out: a small disk, as this user may not mount one.')
  await using small = await startTestServer({ env: { OLLAMA_MODELS: path.join(disk.path, 'models') } })
  const { status, body } = await post(small.url, '/api/import', { path: criaFile, name: 'pet', copy: true })
  expect([status, body.error]).toEqual([
    507,
    expect.stringMatching(/not enough space in .+ for .+cria\.gguf: it needs .+\(3555456 bytes\) more, and .+ are free/),
  ])
  expect(await readdir(path.join(disk.path, 'models', 'blobs'))).toEqual([])
})

test('a file that goes while it is looked at is named', async () => {
  const file = await place(criaFile, path.join(folder.path, 'going', 'going.gguf'))
  const bytes = await readFile(file)
  const asked = post(server.url, '/api/import', { path: file, name: 'going', copy: true })
  await rm(file)
  const { status, body } = await asked
  // Whether it goes before or behind the look, nobody is told of an internal error.
  if (status !== 200) expect(body.error).toContain(file)
  expect(bytes.length).toBeGreaterThan(0)
})
