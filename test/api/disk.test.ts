import { createHash, randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { exchange, get } from '../helpers/http.ts'
import { createFrom } from '../helpers/library.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { startTestServer } from '../helpers/test-server.ts'

const disk = await smallDisk(8)
if (disk === null) console.log('left out: a full disk (only root may mount a small one)')
afterAll(() => disk?.[Symbol.asyncDispose]())

test.skipIf(disk === null)('a disk that fills up while a blob is written: 507 with the reason, nothing half-written stays, the server goes on', async () => {
  const models = path.join(disk?.path ?? '', 'models')
  await using server = await startTestServer({ env: { OLLAMA_MODELS: models } })
  const bytes = randomBytes(12 << 20)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const answer = await exchange(server.url, { method: 'POST', path: `/api/blobs/${digest}`, body: bytes })
  expect([answer.status, JSON.parse(answer.text).error]).toEqual([507, expect.stringMatching(/disk|space/i)])
  expect(await readdir(path.join(models, 'blobs'))).toEqual([])

  const small = path.join(disk?.path ?? '', 'small.gguf')
  await makeModel(small, { shape: shapes.tiny, type: 'f16' })
  expect(await createFrom(server.url, 'small', small)).toMatchObject({ status: 200 })
  expect((await get<{ models: { name: string }[] }>(server.url, '/api/tags')).models.map(({ name }) => name)).toContain('small:latest')
})
