import { expect, test } from 'vitest'
import { capabilitiesOf } from '../../../main/models/capabilities.ts'
import { detailsOf, formatParameterSize, quantizationOf } from '../../../main/models/details.ts'
import { readGguf } from '../../../main/models/gguf.ts'
import type { GgufHeader, GgufValue } from '../../../main/models/gguf-header.ts'
import { HeaderCache } from '../../../main/models/headers.ts'
import { ModelConfig } from '../../../main/models/manifest.ts'
import { modelShape } from '../../../main/models/shape.ts'
import { criaFile, minilmFile } from '../../helpers/library.ts'
import { inspectTemplates } from './setup.ts'

const cria = await readGguf(criaFile)
const minilm = await readGguf(minilmFile)
const config = ModelConfig.parse({})
const withKeys = (header: GgufHeader, keys: Record<string, GgufValue>): GgufHeader => ({
  ...header,
  metadata: new Map([...header.metadata, ...Object.entries(keys)]),
})
const clip = (keys: Record<string, GgufValue>): GgufHeader => ({ ...cria, architecture: 'clip', metadata: new Map(Object.entries(keys)) })

test.each([
  [7_615_616_512, '7.6B'],
  [8_000_000_000, '8B'],
  [137_000_000, '137M'],
  [22_565_376, '22.57M'],
  [999_999, '1000K'],
  [45_600, '46K'],
  [999, '999'],
])('formatParameterSize() writes %d as %s', (count, text) => {
  expect(formatParameterSize(count)).toBe(text)
})

test('quantizationOf() names the file type, else the type of most bytes', () => {
  expect(quantizationOf({ ...cria, fileType: 15 })).toBe('Q4_K_M')
  expect(quantizationOf({ ...cria, fileType: null })).toBe('Q8_0')
  expect(quantizationOf({ ...cria, fileType: 1024 })).toBe('Q8_0')
})

test('detailsOf() prefers the config, repairs an unknown quantisation, and needs no header', () => {
  expect(detailsOf({ ...config, model_family: 'qwen3', model_type: '8B', file_type: 'unknown' }, cria, 'base:latest')).toEqual({
    parentModel: 'base:latest',
    format: 'gguf',
    family: 'qwen3',
    families: ['qwen3'],
    parameterSize: '8B',
    quantizationLevel: 'Q8_0',
    contextLength: 2048,
    embeddingLength: 256,
  })
  expect(detailsOf(config, null, null)).toMatchObject({ family: '', families: [], contextLength: null })
})

test.each<[string, Parameters<typeof capabilitiesOf>[0], string[]]>([
  ['a chat model with its own Jinja', { config, header: cria, projectors: [], template: null }, ['tools', 'thinking', 'completion']],
  ['an embedding model', { config, header: minilm, projectors: [], template: null }, ['embedding']],
  ['a model without any template', { config, header: { ...cria, chatTemplate: null }, projectors: [], template: null }, ['completion']],
  [
    'a Go template with a suffix',
    { config, header: { ...cria, chatTemplate: null }, projectors: [], template: '{{ .Suffix }}{{ .Tools }}' },
    ['tools', 'completion', 'insert'],
  ],
  [
    'a config that lists more',
    { config: { ...config, capabilities: ['vision', 'image'] }, header: { ...cria, chatTemplate: null }, projectors: [], template: null },
    ['completion', 'vision'],
  ],
  [
    'the family gpt-oss',
    { config: { ...config, model_family: 'gptoss' }, header: { ...cria, chatTemplate: null }, projectors: [], template: null },
    ['thinking', 'completion'],
  ],
  [
    'a projector for pictures',
    { config, header: { ...cria, chatTemplate: null }, projectors: [clip({ 'clip.has_vision_encoder': true })], template: null },
    ['completion', 'vision'],
  ],
  ['an old projector', { config, header: { ...cria, chatTemplate: null }, projectors: [clip({})], template: null }, ['completion', 'vision']],
  [
    'a projector for sound',
    { config, header: { ...cria, chatTemplate: null }, projectors: [clip({ 'clip.has_audio_encoder': true })], template: null },
    ['completion', 'audio'],
  ],
  [
    'vision in the weights themselves',
    { config, header: withKeys({ ...cria, chatTemplate: null }, { 'llama.vision.block_count': 2 }), projectors: [], template: null },
    ['completion', 'vision'],
  ],
])('capabilitiesOf() of %s', (_, described, capabilities) => {
  expect(capabilitiesOf(described, inspectTemplates)).toEqual(capabilities)
})

test('modelShape() has the facts that decide about memory', () => {
  expect(modelShape(cria)).toEqual({
    architecture: 'llama',
    layers: 4,
    embeddingLength: 256,
    feedForwardLength: 640,
    headCount: 4,
    headCountKv: 2,
    keyLength: 64,
    valueLength: 64,
    vocabularySize: 2048,
    contextLength: 2048,
    slidingWindow: null,
    weightBytes: cria.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    activeBytes: cria.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  })
})

test('modelShape() counts what a token reads: experts that are used, and the embedding table only where it is the output too', () => {
  const tensor = (name: string) => ({ ...cria.tensors[0]!, name, sizeBytes: 1000 })
  const tensors = ['token_embd.weight', 'output.weight', 'blk.0.attn_q.weight', 'blk.0.ffn_up_exps.weight'].map(tensor)
  const mixture = { ...withKeys(cria, { 'llama.expert_count': 8, 'llama.expert_used_count': 2 }), tensors }
  expect(modelShape(mixture)).toMatchObject({ weightBytes: 4000, activeBytes: 2250 })
})

test('modelShape() keeps heads per layer: hybrids have layers without attention', () => {
  const heads: GgufValue = { type: 'uint32', length: 4, values: [0, 2, 0, 2] }
  const widths: GgufValue = { type: 'uint32', length: 4, values: [640, 1280, 640, 1280] }
  const hybrid = withKeys(cria, { 'llama.attention.head_count_kv': heads, 'llama.feed_forward_length': widths })
  expect(modelShape(hybrid)).toMatchObject({ headCountKv: [0, 2, 0, 2], feedForwardLength: 1280 })
})

test('HeaderCache reads a file once while it stays the same', async () => {
  const headers = new HeaderCache(1)
  const first = await headers.read(criaFile)
  expect(await headers.read(criaFile)).toBe(first)
  await headers.read(minilmFile)
  expect(await headers.read(criaFile)).not.toBe(first)
  await expect(headers.read('/nothing/here.gguf')).rejects.toMatchObject({ code: 'invalid-model' })
})
