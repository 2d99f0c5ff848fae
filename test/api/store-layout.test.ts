import { existsSync } from 'node:fs'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../main/models/blobs.ts'
import { makeOllamaStore } from '../helpers/foreign-stores.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer } from '../helpers/test-server.ts'

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort()
}

test('a store of ours has the folders, manifests, media types and digests of Ollama, and a marker beside them', async () => {
  await using server = await startTestServer()
  const weights = await readFile(criaFile)
  const texts = { template: '{{ .System }}{{ .Prompt }}', system: 'Be brief.', license: 'Do as you like.' }
  await addModel(server.url, 'someone/cria:v1', criaFile, {
    ...texts,
    parameters: { temperature: 0.5, stop: ['END'] },
    messages: [{ role: 'user', content: 'hi' }],
  })
  const manifest = JSON.parse(await readFile(path.join(server.models, 'manifests/registry.ollama.ai/someone/cria/v1'), 'utf8')) as {
    config: { digest: string }
    layers: { mediaType: string; digest: string; size: number }[]
  }
  const layer = (kind: string, content: Buffer | string) => ({
    mediaType: `application/vnd.ollama.image.${kind}`,
    digest: digestOf(content),
    size: Buffer.byteLength(content),
  })
  const layers = [
    layer('model', weights),
    layer('template', texts.template),
    layer('system', texts.system),
    layer('license', texts.license),
    layer('params', '{"stop":["END"],"temperature":0.5}\n'),
    layer('messages', '[{"role":"user","content":"hi"}]\n'),
  ]
  expect(manifest).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), size: expect.any(Number) },
    layers,
  })
  const blobs = [manifest.config, ...layers].map(({ digest }) => `blobs/${digest.replace(':', '-')}`)
  expect(await filesOf(server.models)).toEqual(['.paddock', 'manifests/registry.ollama.ai/someone/cria/v1', ...blobs].sort())
  for (const blob of blobs) expect(digestOf(await readFile(path.join(server.models, blob)))).toBe(path.basename(blob).replace('-', ':'))
})

test('a store that OLLAMA_MODELS names and another program made is read and written, and never pruned', async () => {
  await using folder = await temporaryFolder()
  const models = path.join(folder.path, 'models')
  await makeOllamaStore(models)
  await makeOllamaStore(models, 'registry.ollama.ai/library/twin/latest', 'Be kind.')
  const orphan = path.join(models, 'blobs', digestOf('nobody needs this').replace(':', '-'))
  await writeFile(orphan, 'nobody needs this')
  await utimes(orphan, new Date(0), new Date(0))
  const before = await filesOf(models)
  {
    await using server = await startTestServer({ env: { OLLAMA_MODELS: models } })
    expect((await post(server.url, '/api/show', { model: 'llama-tiny' })).body).toMatchObject({ origin: 'store', system: 'Be brief.' })
    expect((await post(server.url, '/api/create', { model: 'mine', from: 'llama-tiny', system: 'Ours.', stream: false })).status).toBe(200)
    expect((await post(server.url, '/api/prune', {})).status).toBe(403)
    for (const model of ['mine', 'twin'])
      expect((await fetch(`${server.url}/api/delete`, { method: 'DELETE', body: JSON.stringify({ model }) })).status).toBe(200)
  }
  await using server = await startTestServer({ env: { OLLAMA_MODELS: models } })
  const gone = [path.join('manifests', 'registry.ollama.ai', 'library', 'twin', 'latest'), path.join('blobs', digestOf('Be kind.').replace(':', '-'))]
  expect(await filesOf(models)).toEqual(before.filter((file) => !gone.includes(file)))
  expect([existsSync(orphan), existsSync(path.join(models, '.paddock')), server.services.library.store.isOurs]).toEqual([true, false, false])
})
