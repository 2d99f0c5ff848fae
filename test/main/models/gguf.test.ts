import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../../main/errors.ts'
import { readGguf } from '../../../main/models/gguf.ts'
import type { GgufHeader } from '../../../main/models/gguf-header.ts'
import { brokenFiles } from '../../helpers/broken-gguf.ts'
import { encodeHeader, encodeString, type Key, key, type Tensor, valueType } from '../../helpers/gguf-file.ts'
import { criaFile, minilmFile, smollmFile } from '../../helpers/library.ts'
import { long } from '../../helpers/long.ts'
import { random } from '../../helpers/random-weights.ts'

const damaged = long ? 100_000 : 2000

const cria = await readFile(criaFile)
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'paddock-gguf-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function read(bytes: Uint8Array, arrays: 'skip' | 'all' = 'skip'): Promise<GgufHeader> {
  const file = path.join(folder, 'model.gguf')
  await writeFile(file, bytes)
  return readGguf(file, { arrays })
}

/** A small file with these keys and one tensor. */
function made(keys: Key[], tensors: Partial<Tensor>[] = [{}]): Buffer {
  const whole = tensors.map((tensor, i) => ({ name: `t${i}`, dimensions: [8], type: 0, sizeBytes: 32, data: () => [], ...tensor }))
  const bytes = whole.reduce((sum, { sizeBytes }) => sum + Math.ceil(sizeBytes / 32) * 32, 0)
  return Buffer.concat([encodeHeader(keys, whole), Buffer.alloc(bytes)])
}
const llama = key.string('general.architecture', 'llama')
const array = (name: string, type: number, elements: Buffer[]): Key => {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(type)
  head.writeBigUInt64LE(BigInt(elements.length), 4)
  return { name, type: valueType.array, value: Buffer.concat([head, ...elements]) }
}

test.each([
  [
    criaFile,
    {
      architecture: 'llama',
      parameterCount: 3_279_104,
      fileType: 7,
      contextLength: 2048,
      embeddingLength: 256,
      blockCount: 4,
      headCount: 4,
      headCountKv: 2,
      vocabularySize: 2048,
      poolingType: null,
      sizeBytes: 3_555_456,
    },
  ],
  [
    smollmFile,
    {
      architecture: 'llama',
      parameterCount: 134_515_008,
      fileType: 3,
      contextLength: 8192,
      embeddingLength: 576,
      blockCount: 30,
      headCount: 9,
      headCountKv: 3,
      vocabularySize: 49_152,
      poolingType: null,
      sizeBytes: 98_362_432,
    },
  ],
  [
    minilmFile,
    {
      architecture: 'bert',
      parameterCount: 22_565_376,
      fileType: 7,
      contextLength: 512,
      embeddingLength: 384,
      blockCount: 6,
      headCount: 12,
      headCountKv: 12,
      vocabularySize: 30_522,
      poolingType: 1,
      sizeBytes: 25_279_296,
    },
  ],
])('readGguf() reads %s', async (file, facts) => {
  expect(await readGguf(file)).toMatchObject({ version: 3, alignment: 32, type: 'model', splitCount: 1, ...facts })
})

test('readGguf() gives floats as the decimals that were meant', async () => {
  expect((await readGguf(criaFile)).metadata.get('llama.attention.layer_norm_rms_epsilon')).toBe(1e-5)
  expect((await readGguf(minilmFile)).metadata.get('bert.attention.layer_norm_epsilon')).toBe(1e-12)
})

test('readGguf() counts large arrays and reads them only when asked', async () => {
  expect((await readGguf(criaFile)).metadata.get('tokenizer.ggml.tokens')).toEqual({ type: 'string', length: 2048, values: null })
  const tokens = (await readGguf(criaFile, { arrays: 'all' })).metadata.get('tokenizer.ggml.tokens')
  expect(tokens).toMatchObject({ length: 2048, values: expect.arrayContaining(['a', '<think>']) })
})

test('readGguf() keeps numbers per layer, and takes the largest for the whole', async () => {
  const heads = array(
    'llama.attention.head_count_kv',
    valueType.u32,
    [0, 8, 4].map((count) => key.u32('', count).value),
  )
  const header = await read(made([llama, key.u32('llama.attention.head_count', 8), heads]))
  expect(header.headCountKv).toBe(8)
  expect(header.metadata.get('llama.attention.head_count_kv')).toEqual({ type: 'uint32', length: 3, values: [0, 8, 4] })
})

test('readGguf() finds the default template and the named ones', async () => {
  const header = await read(made([llama, key.string('tokenizer.chat_template', 'a'), key.string('tokenizer.chat_template.tool_use', 'b')]))
  expect([header.chatTemplate, header.namedTemplates]).toEqual(['a', { tool_use: 'b' }])
})

test('readGguf() reads an entry that is larger than what it reads at once', async () => {
  const template = 'x'.repeat(3_000_000)
  const words = array(
    'tokenizer.ggml.tokens',
    valueType.string,
    Array.from({ length: 100_000 }, (_, i) => encodeString(`word ${i}`)),
  )
  const header = await read(made([llama, key.string('tokenizer.chat_template', template), words, key.u32('llama.block_count', 3)]))
  expect([header.chatTemplate?.length, header.vocabularySize, header.blockCount]).toEqual([3_000_000, 100_000, 3])
})

test('readGguf() takes models without attention and hybrids, which say zero heads', async () => {
  const mamba = key.string('general.architecture', 'mamba')
  await expect(read(made([mamba, key.u32('mamba.attention.head_count', 0), key.u32('mamba.feed_forward_length', 0)]))).resolves.toMatchObject({
    headCount: null,
  })
  const experts = [key.u32('llama.feed_forward_length', 0), key.u32('llama.expert_count', 8)]
  await expect(read(made([llama, ...experts]))).resolves.toMatchObject({ architecture: 'llama' })
})

test('readGguf() reads version 2', async () => {
  const bytes = Buffer.from(cria)
  bytes.writeUInt32LE(2, 4)
  expect((await read(bytes)).version).toBe(2)
})

/** Defects that llama.cpp reports by itself when it loads the file, and which a header alone need not show. */
const leftToTheLoader = [
  'says llama.rope.dimension_count is 7',
  'says tokenizer.ggml.eos_token_id is 4294967280',
  'is of an unknown architecture',
  'has no tokenizer',
  'has no tokens',
]

describe('a file that', () => {
  for (const [what, bytes] of brokenFiles(cria)) {
    if (leftToTheLoader.includes(what)) {
      test(`${what} is left to the loader`, async () => {
        await expect(read(bytes)).resolves.toBeDefined()
      })
    } else {
      test(`${what} is refused with a reason`, async () => {
        await expect(read(bytes)).rejects.toMatchObject({ code: 'invalid-model', message: expect.stringMatching(/^model\.gguf cannot be used: .{8}/) })
      })
    }
  }
})

test.each([
  ['is empty', Buffer.alloc(0), 'it is empty'],
  ['is a web page', Buffer.from('<!DOCTYPE html><title>Sign in</title>'), 'a web page; the download went wrong'],
  ['is safetensors', Buffer.from('\x10\0\0\0\0\0\0\0{"__metadata__":{}}'), 'looks like safetensors'],
  ['is a Git LFS pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\n'), 'a Git LFS pointer'],
  ['is a PyTorch archive', Buffer.from('PK\x03\x04 and more bytes'), 'a ZIP archive'],
  ['is cut in its weights', cria.subarray(0, -100_000), 'ends beyond the end of the file; the file is incomplete or damaged'],
  ['is cut in its header', cria.subarray(0, 20_000), 'the file ends inside its header'],
  ['is big-endian', Buffer.concat([cria.subarray(0, 4), Buffer.from([0, 0, 0, 3]), cria.subarray(8)]), 'big-endian'],
  ['has no weights', made([llama], []), 'it holds no weights'],
  ['has a key twice', made([llama, llama]), 'the key "general.architecture" stands twice'],
  ['has a tensor twice', made([llama], [{ name: 'same' }, { name: 'same' }]), 'the tensor "same" stands twice'],
  ['has a product that wraps around', made([llama], [{ dimensions: [2 ** 32, 2 ** 31, 2 ** 3] }]), 'ends beyond the end of the file'],
  ['has an odd alignment', made([llama, key.u32('general.alignment', 48)]), 'general.alignment is 48'],
  ['has tensors that overlap', made([llama], [{ name: 'a', sizeBytes: 0 }, { name: 'b' }]), 'the tensors "a" and "b" overlap'],
  ['has four billion parts', made([llama, key.u32('split.count', 4_000_000_000)]), 'it says that it is part 1 of 4000000000'],
  ['has half a part', made([llama, key.f32('split.count', 2.5)]), 'it says that it is part 1 of 2.5'],
  ['is a part behind the last', made([llama, key.u32('split.count', 2), key.u32('split.no', 2)]), 'it says that it is part 3 of 2'],
  ['has lists in a list', made([llama, array('x', valueType.array, [])]), 'the array "x" holds the unknown type 9'],
])('a file that %s is called by its name', async (_, bytes, reason) => {
  await expect(read(bytes)).rejects.toThrow(reason)
})

test('a file that is missing, a folder and a pipe are refused without waiting', async () => {
  await expect(readGguf(path.join(folder, 'nothing.gguf'))).rejects.toThrow('cannot be opened (ENOENT)')
  await expect(readGguf(folder)).rejects.toThrow('is not a file')
  await expect(readGguf('/dev/null')).rejects.toThrow('is not a file')
})

test.each([
  [2n ** 38n, 'is more than the 4194304 allowed'],
  [4_000_000n, 'do not fit into the file'],
])('a list of %d texts in a small file is refused at once', async (length, reason) => {
  const list = array('tokenizer.ggml.tokens', valueType.string, [])
  list.value.writeBigUInt64LE(length, 4)
  await expect(read(made([llama, list]))).rejects.toThrow(reason)
})

test('an entry that goes on for gigabytes of a sparse file is refused before it fills the memory', async () => {
  const file = path.join(folder, 'sparse.gguf')
  const text = 50_000_000
  const list = array('tokenizer.ggml.tokens', valueType.string, [])
  list.value.writeBigUInt64LE(1000n, 4)
  const head = encodeHeader([llama, list], [])
  const start = head.indexOf('tokenizer.ggml.tokens') + 'tokenizer.ggml.tokens'.length + 16
  await writeFile(file, head.subarray(0, start))
  await using handle = await open(file, 'r+')
  await handle.truncate(2 ** 40)
  for (let i = 0; i < 4; i++) await handle.write(encodeString('x'.repeat(text)).subarray(0, 8), 0, 8, start + i * (8 + text))
  await expect(readGguf(file)).rejects.toThrow(/one entry of the header is larger than/)
})

test.each(['skip', 'all'] as const)('arrays of hundreds of megabytes are refused or only counted, and fill no memory (%s)', async (arrays) => {
  const file = path.join(folder, 'wide.gguf')
  const list = array('x.wide', valueType.u8, [])
  const write = async (length: number) => {
    list.value.writeBigUInt64LE(BigInt(length), 4)
    const [head, tail] = [encodeHeader([llama, list], [{ name: 't', dimensions: [8], type: 0, sizeBytes: 32, data: () => [] }]), 'x.wide']
    const at = head.indexOf(tail) + tail.length + 4 + 12
    await writeFile(file, head.subarray(0, at))
    await using handle = await open(file, 'r+')
    await handle.truncate(at + length + 2 ** 20)
    await handle.write(head.subarray(at), 0, head.length - at, at + length)
  }
  const before = process.memoryUsage().rss
  await write(100_000_000)
  const { metadata } = await readGguf(file, { arrays })
  expect(metadata.get('x.wide')).toEqual({ type: 'uint8', length: 100_000_000, values: null })
  await write(600_000_000)
  await expect(readGguf(file, { arrays })).rejects.toThrow('its header is larger than 268435456 bytes')
  expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20)
})

test(`${damaged} damaged headers end as a header or as a reason, never otherwise, in bounded memory`, { timeout: long ? 1_800_000 : 60_000 }, async () => {
  const next = random(3)
  const file = path.join(folder, 'damaged.gguf')
  await writeFile(file, cria)
  await using handle = await open(file, 'r+')
  const interesting = [0, 1, 0x7f, 0x80, 0xff]
  let refused = 0
  const before = process.memoryUsage().rss
  for (let i = 0; i < damaged; i++) {
    // The first kilobyte holds the counts and keys, the last ten of the header the tensors; between them lies the vocabulary.
    const changes = Array.from({ length: 1 + Math.floor(next() * 8) }, () => {
      const [from, to] = [
        [4, 1000],
        [4, 1000],
        [54_000, 64_640],
        [4, 64_640],
      ][Math.floor(next() * 4)] as [number, number]
      const value = next() < 0.5 ? interesting[Math.floor(next() * interesting.length)]! : Math.floor(next() * 256)
      return { at: from + Math.floor(next() * (to - from)), value }
    })
    for (const { at, value } of changes) await handle.write(Buffer.from([value]), 0, 1, at)
    try {
      const header = await readGguf(file, { arrays: i % 10 === 0 ? 'all' : 'skip' })
      for (const tensor of header.tensors) expect(header.dataOffset + tensor.offset + tensor.sizeBytes).toBeLessThanOrEqual(header.sizeBytes)
    } catch (error) {
      expect(error).toBeInstanceOf(AppError)
      expect((error as AppError).code).toBe('invalid-model')
      refused++
    }
    for (const { at } of changes) await handle.write(cria, at, 1, at)
  }
  expect(refused).toBeGreaterThan(damaged / 5)
  expect(process.memoryUsage().rss - before).toBeLessThan(300e6)
})
