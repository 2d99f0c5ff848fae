import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { mediaTypes } from '../../../../main/models/manifest.ts'
import { displayName } from '../../../../main/models/name.ts'
import type { Entry } from '../../../../main/models/origin.ts'
import { chooseModel, type HubFile, modelsOf, projectorFor } from '../../../../main/models/registry/hub-files.ts'
import { startFaultyProxy } from '../../../helpers/faulty-proxy.ts'
import { type Hub, type HubRepository, startHub } from '../../../helpers/hub.ts'
import { criaFile } from '../../../helpers/library.ts'
import { sha256 } from '../../../helpers/publish.ts'
import { splitGguf } from '../../../helpers/split-gguf.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { name } from '../setup.ts'
import { openPuller, type Puller } from './setup.ts'

const cria = await readFile(criaFile)
const parts = await criaParts()

async function criaParts(): Promise<Buffer[]> {
  await using folder = await temporaryFolder()
  return Promise.all((await splitGguf(criaFile, folder.path, 3)).map((file) => readFile(file)))
}

function inParts(stem: string): Record<string, Uint8Array> {
  return Object.fromEntries(parts.map((bytes, i) => [`${stem}-0000${i + 1}-of-00003.gguf`, bytes]))
}

async function withHub(
  repository: HubRepository,
  work: (hub: Hub, open: (token?: string) => Promise<Puller>) => Promise<void>,
  options?: { pageSize?: number },
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const hub = stack.use(await startHub({ 'maker/cria-GGUF': repository }, options))
  await work(hub, async (token = '') => stack.use(await openPuller({ hub: { endpoint: hub.url, token } })))
}

const entryOf = async ({ library }: Puller, model: string) => (await library.find(name(model))) as Entry
const layersOf = ({ layers }: Entry, mediaType: string) => layers.filter((layer) => layer.mediaType === mediaType).map(({ digest }) => digest)
const names = async ({ library }: Puller) => (await library.list()).map((model) => displayName(model.name))

test.each(['hf.co/maker/cria-GGUF:q4_k_m', 'huggingface.co/maker/cria-GGUF', 'HF.co/maker/cria-GGUF:cria-Q4_K_M.gguf'])(
  '%s comes by the hub’s own registry',
  async (model) => {
    await withHub({ files: { 'README.md': Buffer.from('#'), 'cria-Q4_K_M.gguf': cria, 'cria-Q8_0.gguf': Buffer.alloc(9) } }, async (hub, open) => {
      const puller = await open()
      await puller.pull(model)
      const entry = await entryOf(puller, model)
      expect(layersOf(entry, mediaTypes.model)).toEqual([sha256(cria)])
      expect(layersOf(entry, mediaTypes.template).length).toBe(1)
      expect(hub.seen.filter(({ path: where }) => where.startsWith('/api/'))).toEqual([])
    })
  },
)

test('files in several parts become one model, its parts in their order, with the texts that stand beside them', async () => {
  const files = {
    ...inParts('deep/Q4_K_M/cria-Q4_K_M'),
    'cria-Q8_0.gguf': Buffer.alloc(9),
    template: Buffer.from('{{ .Prompt }}'),
    params: Buffer.from('{"temperature":0.5}'),
  }
  const shuffled = Object.fromEntries(Object.entries(files).reverse())
  await withHub(
    { files: shuffled },
    async (hub, open) => {
      const puller = await open()
      const steps = await puller.pull('hf.co/maker/cria-GGUF')
      expect(steps.at(-1)).toEqual({ status: 'success' })
      const entry = await entryOf(puller, 'hf.co/maker/cria-GGUF')
      expect(layersOf(entry, mediaTypes.model)).toEqual(parts.map(sha256))
      const model = await puller.library.open(entry)
      expect([model.template, model.parameters, model.details.quantizationLevel, model.details.family]).toEqual([
        '{{ .Prompt }}',
        { temperature: 0.5 },
        'Q4_K_M',
        'llama',
      ])
      expect(hub.seen.filter(({ path: where }) => where.includes('/tree/')).length).toBeGreaterThan(1)
    },
    { pageSize: 2 },
  )
})

test('a projector comes with the weights', async () => {
  const files = { ...inParts('cria-Q8_0'), 'mmproj-cria-Q8_0.gguf': Buffer.alloc(9), 'mmproj-cria-F16.gguf': cria }
  await withHub({ files }, async (_hub, open) => {
    const puller = await open()
    await puller.pull('hf.co/maker/cria-GGUF:Q8_0')
    expect(layersOf(await entryOf(puller, 'hf.co/maker/cria-GGUF:Q8_0'), mediaTypes.projector)).toEqual([sha256(cria)])
  })
})

test('what is not there is told with what is', async () => {
  await withHub({ files: { ...inParts('cria-Q8_0'), 'cria-Q4_K_M.gguf': cria, 'mmproj-F16.gguf': cria } }, async (_hub, open) => {
    const puller = await open()
    await expect(puller.pull('hf.co/maker/cria-GGUF:Q2_K')).rejects.toMatchObject({
      code: 'invalid-request',
      message: expect.stringContaining('hf.co/maker/cria-GGUF has no quantization "Q2_K"; there are: Q4_K_M, Q8_0'),
    })
    expect(await names(puller)).toEqual([])
  })
})

test('a repository without GGUF says so, one that is not there too', async () => {
  await withHub({ files: { 'model.safetensors': Buffer.alloc(9) } }, async (hub, open) => {
    const puller = await open()
    await expect(puller.pull('hf.co/maker/cria-GGUF')).rejects.toThrow('hf.co/maker/cria-GGUF holds no GGUF model')
    await expect(puller.pull('hf.co/maker/none')).rejects.toThrow(
      'pull model manifest: maker/none does not exist, or is private: for your own, give a token of your account in HF_TOKEN',
    )
    const known = await open(hub.token)
    await expect(known.pull('hf.co/maker/none')).rejects.toThrow('pull model manifest: file does not exist')
  })
})

test.each([
  ['in one part', { 'cria-Q4_K_M.gguf': cria }],
  ['in several', inParts('cria-Q4_K_M')],
])('a gated model %s wants a token, which only the hub sees', async (_what, files) => {
  await withHub({ gated: true, files }, async (hub, open) => {
    await expect((await open()).pull('hf.co/maker/cria-GGUF')).rejects.toThrow(
      `maker/cria-GGUF is gated: accept its terms at ${hub.url}/maker/cria-GGUF, then give a token of your account in HF_TOKEN`,
    )
    await expect((await open('hf_ofSomeoneElse')).pull('hf.co/maker/cria-GGUF')).rejects.toThrow(
      `your token may not read maker/cria-GGUF: ask for access at ${hub.url}/maker/cria-GGUF`,
    )
    const puller = await open(hub.token)
    await puller.pull('hf.co/maker/cria-GGUF')
    expect(await names(puller)).toEqual(['hf.co/maker/cria-GGUF:latest'])
    expect(hub.cdnSeen.length).toBeGreaterThan(0)
    expect(hub.cdnSeen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  })
})

test('a token of the hub stays from other registries', async () => {
  await withHub({ files: {} }, async (hub, open) => {
    await using registry = await startFaultyProxy('', [{ fault: { type: 'answer', status: 404 } }])
    await expect((await open(hub.token)).pull(`${registry.host}/maker/cria`)).rejects.toThrow('file does not exist')
    expect(registry.seen.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })
})

test.each([
  ['in one part', { 'cria-Q4_K_M.gguf': cria }],
  ['in several', inParts('cria-Q4_K_M')],
])('wrong bytes of a model %s are fetched again, and not listed when they stay wrong', async (_what, files) => {
  await withHub({ files }, async (hub, open) => {
    await using cdn = await startFaultyProxy(hub.cdnUrl)
    hub.cdnUrl = cdn.url
    cdn.rules.push({ times: 1, fault: { type: 'flip', at: 1000 } })
    const lucky = await open()
    await lucky.pull('hf.co/maker/cria-GGUF')
    expect(await names(lucky)).toEqual(['hf.co/maker/cria-GGUF:latest'])
    cdn.rules.push({ fault: { type: 'flip', at: 1000 } })
    const unlucky = await open()
    await expect(unlucky.pull('hf.co/maker/cria-GGUF')).rejects.toThrow('digest mismatch, file must be downloaded again')
    expect(await names(unlucky)).toEqual([])
  })
})

test('a tree that is none, or leads elsewhere for more, is refused', async () => {
  await withHub({ files: inParts('cria-Q4_K_M') }, async (hub) => {
    await using proxy = await startFaultyProxy(hub.url)
    proxy.rules.push({ path: /\/tree\//, fault: { type: 'answer', status: 200, body: '[{"type":"file","path":"a","size":-1}]' } })
    await using puller = await openPuller({ hub: { endpoint: proxy.url, token: 'hf_secret' } })
    await expect(puller.pull('hf.co/maker/cria-GGUF')).rejects.toThrow(/tree\/\w+: the answer cannot be understood/)
    await using elsewhere = await startFaultyProxy('', [{ fault: { type: 'answer', status: 200, body: '[]' } }])
    proxy.rules[0] = { path: /\/tree\//, fault: { type: 'answer', status: 200, headers: { link: `<${elsewhere.url}/more>; rel="next"` }, body: '[]' } }
    await expect(puller.pull('hf.co/maker/cria-GGUF')).rejects.toThrow('holds no GGUF model')
    expect(elsewhere.seen).toEqual([])
  })
})

const file = (where: string): HubFile => ({ path: where, sizeBytes: 1, sha256: 'a'.repeat(64) })
const chosen = (paths: string[], tag: string) => chooseModel('hf.co/a/b', modelsOf(paths.map(file)), tag).files.map(({ path: where }) => where)

test.each([
  ['latest', ['m-Q8_0.gguf', 'm-Q4_K_M.gguf', 'm-F16.gguf'], 'm-Q4_K_M.gguf'],
  ['latest', ['m-Q8_0.gguf', 'm-Q2_K.gguf'], 'm-Q8_0.gguf'],
  ['latest', ['m-Q2_K.gguf', 'm-IQ1_S.gguf'], 'm-Q2_K.gguf'],
  ['latest', ['mmproj-F16.gguf', 'imatrix.gguf', 'm.gguf'], 'm.gguf'],
  ['LATEST', ['m-UD-Q4_K_XL.gguf', 'm-BF16.gguf'], 'm-UD-Q4_K_XL.gguf'],
  ['q4_k_xl', ['m-Q4_K_S.gguf', 'm-UD-Q4_K_XL.gguf'], 'm-UD-Q4_K_XL.gguf'],
  ['bf16', ['BF16/m-00001-of-00001.gguf', 'm-F16.gguf'], 'BF16/m-00001-of-00001.gguf'],
  ['q8_0', ['qwen-4B.Q8_0.gguf', 'qwen-4B.Q4_0.gguf'], 'qwen-4B.Q8_0.gguf'],
  ['IQ4_XS', ['llama-3.2-1b-instruct-iq4_xs-imat.gguf'], 'llama-3.2-1b-instruct-iq4_xs-imat.gguf'],
  ['mxfp4', ['gpt-oss-20b-mxfp4.gguf', 'gpt-oss-20b-Q4_K_M.gguf'], 'gpt-oss-20b-mxfp4.gguf'],
  ['My-File', ['other-Q8_0.gguf', 'my-file.gguf'], 'my-file.gguf'],
  ['my-file.gguf', ['other-Q8_0.gguf', 'sub/My-File.gguf'], 'sub/My-File.gguf'],
])('chooseModel() with the tag %s of %j takes %s', (tag, paths, expected) => {
  expect(chosen(paths, tag)).toEqual([expected])
})

test('modelsOf() leaves out a model of which a part is missing', () => {
  expect(modelsOf(['m-Q8_0-00001-of-00003.gguf', 'm-Q8_0-00003-of-00003.gguf', 'n-Q8_0-00002-of-00003.gguf'].map(file))).toEqual([])
})

test('projectorFor() prefers the one of the model’s folder', () => {
  const files = ['a/m-Q8_0.gguf', 'mmproj-F16.gguf', 'a/mmproj-BF16.gguf', 'b/mmproj-F16.gguf'].map(file)
  const [model] = modelsOf(files)
  expect(model && projectorFor(files, model)?.path).toBe(path.posix.join('a', 'mmproj-BF16.gguf'))
})
