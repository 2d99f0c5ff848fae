import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { digestOf } from '../../../main/models/blobs.ts'
import type { CreateRequest } from '../../../main/models/create.ts'
import { displayName } from '../../../main/models/name.ts'
import type { Progress } from '../../../main/models/progress.ts'
import { encodeHeader, key } from '../../helpers/gguf-file.ts'
import { criaFile, minilmFile } from '../../helpers/library.ts'
import { makeModel, shapes } from '../../helpers/make-gguf.ts'
import { splitGguf } from '../../helpers/split-gguf.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { addCria, createParts, criaDigest, name, openLibrary, type TestLibrary } from './setup.ts'

const zeros = `sha256:${'0'.repeat(64)}`
const statuses = (steps: Progress[]) => steps.map(({ status }) => status)
const shown = async ({ library }: TestLibrary) => (await library.list()).map((model) => displayName(model.name)).sort()
const blobs = async ({ store }: TestLibrary) => (await store.blobs.list()).map(({ digest }) => digest).sort()

/** A header with one small tensor of this type. */
function gguf(architecture: string, { type = 'model', tensorType = 0, split = 1, fileType = 0 } = {}): Buffer {
  const keys = [key.string('general.architecture', architecture), key.string('general.type', type), key.u32('general.file_type', fileType)]
  if (split > 1) keys.push(key.u32('split.count', split))
  const sizeBytes = tensorType === 1 ? 64 : 128
  return Buffer.concat([encodeHeader(keys, [{ name: 't', dimensions: [32], type: tensorType, sizeBytes, data: () => [] }]), Buffer.alloc(sizeBytes)])
}

test('a model is made from a file that was uploaded, whose bytes stay as they came', async () => {
  await using test = await openLibrary()
  const digest = await test.upload(await readFile(path.resolve(import.meta.dirname, '../../fixtures/cria/cria.gguf')))
  expect(statuses(await test.create({ model: 'cria', files: { 'any/name': digest } }))).toEqual([
    'parsing GGUF',
    `using existing layer ${criaDigest}`,
    'writing manifest',
    'success',
  ])
  expect((await test.library.resolve(name('cria')))?.weights).toMatchObject({ digest: criaDigest, file: test.store.blobs.path(criaDigest) })
})

const full: CreateRequest = {
  model: 'full',
  from: 'cria',
  system: 'Be brief.',
  template: '{{ .System }} {{ .Prompt }}',
  parameters: { temperature: 0.3, stop: ['a', 'b'], num_ctx: 512, seed: 7 },
  licenses: ['MIT', 'Also this'],
  messages: [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'hello' },
  ],
}

test('each text becomes the layer that Ollama makes of it, in its order', async () => {
  await using test = await openLibrary()
  await addCria(test)
  // Digests as recorded from Ollama for the same request.
  expect(statuses(await test.create(full))).toEqual([
    `using existing layer ${criaDigest}`,
    'creating new layer sha256:fe7ac77b725cda2ccad03f88a880ecdfd7a33192d6cae08fce2c0ee1455991ed',
    'creating new layer sha256:213c22ed7234eb11116e1e88f314c73cb3a019b5c87fe224b6ce5665bd9ec50e',
    'creating new layer sha256:e5dcffe836b6ec8a58e492419b550e65fb8cbdc308503979e5dacb33ac7ea3b7',
    'creating new layer sha256:f0d70a6e4e1a50af4c09be3456a0aa172b468c7ed1e3e89cb3f27144238d9a86',
    'creating new layer sha256:7764e947964bcdb87c665a4848ee85a9e493631fc813e397681bd90d3b723554',
    'creating new layer sha256:ac29223db42ab62ec4df0a39c5ba6054f3bd78f945c536548dcf2f7431f39af4',
    'writing manifest',
    'success',
  ])
  expect(await test.library.resolve(name('full'))).toMatchObject({
    system: 'Be brief.',
    template: '{{ .System }} {{ .Prompt }}',
    parameters: { temperature: 0.3, stop: ['a', 'b'], num_ctx: 512, seed: 7 },
    licenses: ['MIT', 'Also this'],
    messages: full.messages,
    details: { parentModel: 'cria:latest', family: 'llama', parameterSize: '3.28M', quantizationLevel: 'Q8_0' },
  })
})

test('a model made from another keeps what is not given, merges parameters, and appends licences', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create({ ...full, renderer: 'r', parser: 'p', requires: '0.14.0' })
  await test.create({ model: 'child', from: 'full', system: 'Be long.', parameters: { temperature: 0.9, stop: ['c'] }, licenses: ['Third'] })
  expect(await test.library.resolve(name('child'))).toMatchObject({
    system: 'Be long.',
    template: '{{ .System }} {{ .Prompt }}',
    parameters: { temperature: 0.9, stop: ['c'], num_ctx: 512, seed: 7 },
    licenses: ['MIT', 'Also this', 'Third'],
    messages: full.messages,
    renderer: 'r',
    parser: 'p',
    requires: '0.14.0',
    details: { parentModel: 'full:latest' },
  })
})

test('empty texts leave what was inherited; messages that are given replace all', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create(full)
  await test.create({ model: 'child', from: 'full', system: '', template: '', messages: [{ role: 'user', content: 'only' }] })
  expect(await test.library.resolve(name('child'))).toMatchObject({
    system: 'Be brief.',
    template: '{{ .System }} {{ .Prompt }}',
    messages: [{ role: 'user', content: 'only' }],
  })
})

test('making a name again removes the layers that nothing else needs, unless pruning is off', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create(full)
  const before = await blobs(test)
  const steps = statuses(await test.create({ model: 'FULL', from: 'full', system: 'Be long.' }))
  expect(steps.at(-3)).toMatch(/^creating new layer/)
  expect(await test.store.blobs.has(digestOf('Be brief.'))).toBe(false)
  expect(await blobs(test)).toHaveLength(before.length)
  await test.create({ model: 'full', from: 'full', system: 'Third.' }, { prune: false })
  expect(await test.store.blobs.has(digestOf('Be long.'))).toBe(true)
  expect(await shown(test)).toEqual(['cria:latest', 'full:latest'])
})

test('a model made from one that ships has its file in our store', async () => {
  await using test = await openLibrary({ bundled: true })
  await test.create({ model: 'mine', from: 'ALL-minilm', system: 'x' })
  const model = await test.library.resolve(name('mine'))
  expect([model?.origin, model?.details.parentModel, model?.capabilities, model?.licenses.length]).toEqual(['store', 'all-minilm:latest', ['embedding'], 1])
  expect((await stat(test.store.blobs.path(model!.weights.digest))).size).toBe((await stat(minilmFile)).size)
})

test('a projector and an adapter become layers of their kind', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const projector = await test.upload(gguf('clip', { type: 'mmproj' }))
  const adapter = await test.upload(gguf('llama', { type: 'adapter' }))
  await test.create({ model: 'eyes', from: 'cria', files: { 'mmproj.gguf': projector }, adapters: { 'lora.gguf': adapter } })
  const model = await test.library.resolve(name('eyes'))
  expect([model?.projectors[0]?.digest, model?.adapters[0]?.digest, model?.details.families]).toEqual([projector, adapter, ['llama', 'clip']])
  expect(model?.capabilities).toEqual(['tools', 'thinking', 'completion', 'vision'])
  expect((await test.library.list()).find((one) => one.name.model === 'eyes')?.capabilities).toEqual(model?.capabilities)
})

test('info stands in place of what the file says', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const info = {
    capabilities: ['vision'],
    model_family: 'mine',
    parameter_size: '3M',
    quantization_level: 'Q8',
    context_length: 1024,
    embedding_length: 16,
    base_name: 'b',
  }
  await test.create({ model: 'x', from: 'cria', info })
  expect(await test.library.resolve(name('x'))).toMatchObject({
    capabilities: ['tools', 'thinking', 'completion', 'vision'],
    details: { family: 'mine', families: ['mine'], parameterSize: '3M', quantizationLevel: 'Q8', contextLength: 1024, embeddingLength: 16 },
  })
})

test('a missing base is fetched where fetching is possible', async () => {
  await using test = await openLibrary()
  const pull = async function* () {
    yield { status: 'pulling manifest' }
    await addCria(test, 'far/away')
  }
  expect(statuses(await test.create({ model: 'x', from: 'far/away', system: 's' }, { pull }))[0]).toBe('pulling manifest')
  expect(await shown(test)).toEqual(['far/away:latest', 'x:latest'])
})

test('messages with other roles are kept: the template decides about them', async () => {
  await using test = await openLibrary()
  await addCria(test)
  await test.create({ model: 'x', from: 'cria', messages: [{ role: 'robot', content: 'a' }] })
  expect((await test.library.resolve(name('x')))?.messages).toEqual([{ role: 'robot', content: 'a' }])
})

const bad: [what: string, request: Partial<CreateRequest>, code: string, message: string][] = [
  ['no name', { model: '' }, 'invalid-request', 'invalid model name'],
  ['a bad name', { model: 'a b' }, 'invalid-request', 'invalid model name'],
  ['a bad base name', { from: 'a:b:c' }, 'invalid-request', 'invalid model name'],
  ['an unknown base', { from: 'nothing-here' }, 'model-not-found', "model 'nothing-here' not found, try pulling it first"],
  ['nothing to make it from', { from: '', files: {} }, 'invalid-request', "neither 'from' or 'files' was specified"],
  ['a path that climbs', { files: { '../a.gguf': zeros } }, 'invalid-request', 'file path must be relative'],
  ['a path that climbs inside', { files: { 'a/../../b.gguf': zeros } }, 'invalid-request', 'file path must be relative'],
  ['an absolute path', { files: { '/etc/passwd': zeros } }, 'invalid-request', 'file path must be relative'],
  ['a Windows path', { files: { 'C:\\x.gguf': zeros } }, 'invalid-request', 'file path must be relative'],
  ['an empty path', { files: { '': zeros } }, 'invalid-request', 'file path must be relative'],
  ['an adapter path that climbs', { adapters: { '../a.gguf': zeros } }, 'invalid-request', 'file path must be relative'],
  ['a bad digest', { files: { 'a.gguf': 'md5:12' } }, 'invalid-model', 'invalid digest format'],
  ['an empty digest', { files: { 'a.gguf': '' } }, 'invalid-model', 'invalid digest format'],
  [
    'a blob that is not there',
    { files: { 'a.gguf': zeros } },
    'invalid-model',
    `the blob ${zeros} of "a.gguf" is not here; upload it first with POST /api/blobs/${zeros}`,
  ],
  ['two adapters', { adapters: { a: zeros, b: zeros } }, 'invalid-request', 'only one adapter is currently supported'],
  ['a template that does not parse', { template: '{{ .Prompt' }, 'invalid-template', 'template error: template: :1: unclosed action'],
  ['an unknown parameter', { parameters: { temprature: 1 } }, 'invalid-request', "unknown parameter 'temprature', did you mean 'temperature'?"],
  ['a parameter of the wrong type', { parameters: { temperature: 'hot' } }, 'invalid-request', 'option "temperature" must be of type float32'],
  ['a family that is no text', { info: { model_family: 5 } }, 'invalid-request', 'info field "model_family" must be a string'],
  ['a length that is no number', { info: { context_length: '5' } }, 'invalid-request', 'info field "context_length" must be a number'],
  ['a length with a fraction', { info: { context_length: 1.5 } }, 'invalid-request', 'info field "context_length" must be a non-negative integer'],
  ['capabilities that are no list', { info: { capabilities: 'x' } }, 'invalid-request', 'info field "capabilities" must be an array of strings'],
  ['a version that is none', { requires: 'soon' }, 'invalid-request', 'requires must be a valid semver (e.g. 0.14.0)'],
  ['a draft type without a draft', { draftQuantize: 'Q8_0' }, 'invalid-request', '--draft-quantize requires a DRAFT model'],
  [
    'an unknown quantisation',
    { quantize: 'q9_k' },
    'invalid-model',
    'unsupported quantization type Q9_K - supported types are F32, F16, Q4_0, Q4_1, Q8_0, Q5_0, Q5_1, Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K, IQ3_XS, IQ4_NL, IQ3_S, IQ3_M, IQ4_XS, BF16, TQ1_0, TQ2_0',
  ],
  ['a quantisation of what is quantised', { quantize: 'q4_K_M' }, 'invalid-model', 'quantization is only supported for F16, BF16 and F32 models'],
  ['a remote model', { from: 'big:cloud' }, 'forbidden', 'ollama cloud is disabled: remote models are unavailable; models run on this machine only'],
  ['a remote host', { remoteHost: 'ollama.com' }, 'forbidden', 'ollama cloud is disabled: remote models are unavailable; models run on this machine only'],
]
test.each(bad)('%s is refused, and nothing is written', async (_, request, code, message) => {
  await using test = await openLibrary()
  await addCria(test)
  const before = await blobs(test)
  const from = request.files ? {} : { from: 'cria' }
  const creating = test.create(
    { model: 'x', ...from, system: 'Never kept.', ...request },
    { templateProblem: (text) => (text === '{{ .Prompt' ? 'template: :1: unclosed action' : null) },
  )
  await expect(creating).rejects.toMatchObject({ code, message })
  expect([await blobs(test), await shown(test)]).toEqual([before, ['cria:latest']])
})

test.each([
  ['text called .gguf', 'a.gguf', Buffer.from('hello'), 'invalid-request', 'supplied file was not in GGUF format'],
  ['three bytes', 'a.gguf', Buffer.from('GGU'), 'invalid-request', 'supplied file was not in GGUF format'],
  ['nothing', 'a.gguf', Buffer.alloc(0), 'invalid-request', 'supplied file was not in GGUF format'],
  ['text of no known name', 'a.txt', Buffer.from('hello'), 'invalid-request', 'unknown type'],
  ['safetensors', 'model.safetensors', Buffer.from('\x10\0\0\0\0\0\0\0{"x":{}}'), 'not-implemented', 'safetensors format'],
  ['a header that is cut', 'a.gguf', Buffer.from('GGUF\x03\0\0\0'), 'invalid-model', 'cannot be used'],
  ['only a projector', 'mmproj.gguf', gguf('clip'), 'invalid-model', 'no base model was found'],
  ['only an adapter', 'lora.gguf', gguf('llama', { type: 'adapter' }), 'invalid-model', 'no base model was found'],
])('a file that holds %s is refused', async (_, file, bytes, code, message) => {
  await using test = await openLibrary()
  const digest = await test.upload(bytes)
  await expect(test.create({ model: 'x', files: { [file]: digest } })).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
  expect(await shown(test)).toEqual([])
})

test('an adapter for another architecture, or one that is a whole model, is refused', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const [other, whole] = [await test.upload(gguf('qwen2', { type: 'adapter' })), await test.upload(gguf('llama'))]
  await expect(test.create({ model: 'x', from: 'cria', adapters: { a: other } })).rejects.toThrow(
    'the adapter was made for the architecture qwen2, the model is llama',
  )
  await expect(test.create({ model: 'x', from: 'cria', adapters: { a: whole } })).rejects.toThrow('not a LoRA adapter')
  await expect(test.create({ model: 'x', files: { a: whole, b: criaDigest } })).rejects.toThrow('only one file with weights is supported')
})

test('unquantised weights are converted, with progress, and the result runs as what it says it is', { timeout: 60_000 }, async () => {
  await using test = await openLibrary()
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'noise.gguf')
  await makeModel(file, { shape: shapes.tiny, type: 'f16', name: 'noise', seed: 1 })
  const source = await test.upload(await readFile(file))
  const steps = await test.create({ model: 'small', files: { 'm.gguf': source }, quantize: 'q4_K_M' })
  const status = 'quantizing F16 model to Q4_K_M'
  expect([...new Set(statuses(steps))]).toEqual([
    'parsing GGUF',
    status,
    'verifying conversion',
    expect.stringMatching(/^creating new layer sha256:/),
    'writing manifest',
    'success',
  ])
  const progress = steps.filter((step) => step.status === status)
  const { size: total } = await stat(file)
  expect(progress.length).toBeGreaterThan(5)
  expect(progress[0]).toEqual({ status, digest: '0000000000000000000', total, completed: 0 })
  expect(progress.at(-1)).toEqual({ status, digest: '0000000000000000000', total, completed: total })
  expect(progress.map(({ completed = 0 }) => completed)).toEqual(progress.map(({ completed = 0 }) => completed).toSorted((a, b) => a - b))
  const small = await test.library.resolve(name('small'))
  expect(small?.details.quantizationLevel).toBe('Q4_K_M')
  expect(small?.weights.sizeBytes).toBeLessThan(total * 0.75)
  await expect(test.create({ model: 'smaller', from: 'small', quantize: 'q8_0' })).rejects.toThrow(
    'quantization is only supported for F16, BF16 and F32 models',
  )
})

test('a model in several files is made from all of them, in whatever order they are given', async () => {
  await using test = await openLibrary()
  await using folder = await temporaryFolder()
  const parts = await splitGguf(criaFile, folder.path, 3)
  const files: Record<string, string> = {}
  for (const part of parts.toReversed()) files[path.basename(part)] = await test.upload(await readFile(part))
  const steps = await test.create({ model: 'split', files })
  expect(statuses(steps).filter((status) => status.startsWith('using existing layer'))).toEqual(
    parts.map((part) => `using existing layer ${files[path.basename(part)]}`),
  )
  const model = await test.library.resolve(name('split'))
  expect(model?.parts.map(({ digest }) => digest)).toEqual(parts.map((part) => files[path.basename(part)]))
  expect(model?.details.parameterSize).toBe('3.28M')
  await test.create({ model: 'again', from: 'split', system: 'Be brief.' })
  expect((await test.library.resolve(name('again')))?.parts.length).toBe(3)
})

test('a part that is missing is named', async () => {
  await using test = await openLibrary()
  await using folder = await temporaryFolder()
  const [first, , third] = await splitGguf(criaFile, folder.path, 3, { stem: 'm' })
  const files = { 'm-1.gguf': await test.upload(await readFile(first as string)), 'm-3.gguf': await test.upload(await readFile(third as string)) }
  await expect(test.create({ model: 'x', files })).rejects.toMatchObject({
    code: 'invalid-request',
    message: '"m-1.gguf" is one of 3 parts of a model: part 2 is missing',
  })
})

test('unquantised weights in several files are converted into one', { timeout: 60_000 }, async () => {
  await using test = await openLibrary()
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'noise.gguf')
  await makeModel(file, { shape: shapes.tiny, type: 'f16', name: 'noise', seed: 1 })
  const files: Record<string, string> = {}
  for (const part of await splitGguf(file, folder.path, 2)) files[path.basename(part)] = await test.upload(await readFile(part))
  await test.create({ model: 'small', files, quantize: 'q8_0' })
  const small = await test.library.resolve(name('small'))
  expect([small?.parts.length, small?.details.quantizationLevel]).toEqual([1, 'Q8_0'])
  expect((await readdir(path.join(test.root, 'blobs'))).filter((entry) => entry.startsWith('.incoming'))).toEqual([])
})

test('a create that is given up leaves no model', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const { createModel } = await import('../../../main/models/create.ts')
  const controller = new AbortController()
  const steps = createModel({ library: test.library, ...createParts }, { model: 'x', from: 'cria', system: 's' }, controller.signal)
  await steps.next()
  controller.abort()
  await expect(Array.fromAsync(steps)).rejects.toThrow('aborted')
  expect(await shown(test)).toEqual(['cria:latest'])
})

test('deleting the base while a model is made from it does not take its weights', async () => {
  await using test = await openLibrary()
  await addCria(test)
  const { createModel } = await import('../../../main/models/create.ts')
  const steps = createModel({ library: test.library, ...createParts }, { model: 'x', from: 'cria', system: 's' }, new AbortController().signal)
  await steps.next()
  await test.library.delete(name('cria'))
  await Array.fromAsync(steps)
  expect((await test.library.resolve(name('x')))?.weights.digest).toBe(criaDigest)
})
