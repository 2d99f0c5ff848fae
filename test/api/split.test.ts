import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { formatManifest, mediaTypes } from '../../main/models/manifest.ts'
import { parseName } from '../../main/models/name.ts'
import { jsonBlob } from '../../main/models/store.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { splitGguf } from '../helpers/split-gguf.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

/** A model of our store whose weights are three blobs. */
async function addParts({ services }: TestServer, name: string): Promise<void> {
  await using folder = await temporaryFolder()
  const { store } = services.library
  const config = jsonBlob({ model_format: 'gguf' })
  await store.blobs.write(config.digest, [config.bytes], AbortSignal.timeout(60_000))
  const layers = []
  for (const file of await splitGguf(criaFile, folder.path, 3)) {
    const { digest, sizeBytes } = await store.blobs.write(null, [await readFile(file)], AbortSignal.timeout(60_000))
    layers.push({ mediaType: mediaTypes.model, digest, size: sizeBytes })
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
    layers,
  }
  await store.put(parseName(name)!, Buffer.from(formatManifest(manifest)), { prune: true })
}

test('a model in three parts is shown and answers as the whole file does', async () => {
  await using server = await startTestServer()
  await addModel(server.url, 'whole', criaFile)
  await addParts(server, 'parts')
  const chat = async (model: string) => {
    const options = { temperature: 0, seed: 1, num_predict: 40, num_ctx: 512 }
    const { body } = await post(server.url, '/api/chat', { model, stream: false, messages: [{ role: 'user', content: 'What is two plus two?' }], options })
    return body.message
  }
  const show = async (model: string) => (await post(server.url, '/api/show', { model })).body
  const [whole, parts] = [await show('whole'), await show('parts')]
  expect(parts).toMatchObject({ capabilities: whole.capabilities, template: whole.template })
  expect((parts.details as { parameter_size: string }).parameter_size).toBe((whole.details as { parameter_size: string }).parameter_size)
  expect((parts.modelfile as string).match(/^FROM /gm)).toHaveLength(3)
  const answer = await chat('whole')
  expect(JSON.stringify(answer).length).toBeGreaterThan(40)
  expect(await chat('parts')).toEqual(answer)
})
