import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { get, post, postLines } from '../helpers/http.ts'
import { startHub } from '../helpers/hub.ts'
import { criaFile } from '../helpers/library.ts'
import { splitGguf } from '../helpers/split-gguf.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer } from '../helpers/test-server.ts'

test('a gated model in several parts is pulled from the hub with the user’s token, and answers', async () => {
  await using folder = await temporaryFolder()
  const parts = await splitGguf(criaFile, folder.path, 3, { stem: 'cria-Q4_K_M' })
  const files = Object.fromEntries(await Promise.all(parts.map(async (file) => [path.basename(file), await readFile(file)])))
  await using hub = await startHub({ 'maker/cria-GGUF': { gated: true, files } })
  const model = 'hf.co/maker/cria-GGUF:Q4_K_M'

  await using stranger = await startTestServer({ env: { HF_ENDPOINT: hub.url } })
  expect(await post(stranger.url, '/api/pull', { model, stream: false })).toEqual({
    status: 500,
    body: {
      error: `pull model manifest: maker/cria-GGUF is gated: accept its terms at ${hub.url}/maker/cria-GGUF, then give a token of your account in HF_TOKEN`,
    },
  })
  stranger.services.settings.update(() => ({ huggingFaceToken: hub.token }))
  expect(await post(stranger.url, '/api/pull', { model, stream: false })).toMatchObject({ status: 200 })

  await using server = await startTestServer({ env: { HF_ENDPOINT: `${hub.url}/`, HF_TOKEN: hub.token } })
  const lines = await postLines(server.url, '/api/pull', { model })
  expect(lines.at(-1)).toEqual({ status: 'success' })
  const { models } = await get<{ models: object[] }>(server.url, '/api/tags')
  expect(models).toContainEqual(expect.objectContaining({ name: model, details: expect.objectContaining({ quantization_level: 'Q4_K_M', family: 'llama' }) }))
  const answer = await post(server.url, '/api/chat', { model, messages: [{ role: 'user', content: 'hello' }], stream: false, options: { num_predict: 3 } })
  expect(answer).toMatchObject({ status: 200, body: { done: true } })
})
