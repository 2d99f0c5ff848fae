import { random } from './random-weights.ts'

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const u64 = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}
const f32 = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return bytes
}

/** Malformed copies of a good llama-architecture file, by what is wrong with each: what a download, a disk or an enemy can make of it. */
export function brokenFiles(good: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const put = (at: number, bytes: Buffer) => Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)])
  const find = (text: string) => {
    const at = good.indexOf(text)
    if (at < 0) throw new Error(`the good file has no ${text}`)
    return at + text.length
  }

  files.set('is empty', Buffer.alloc(0))
  files.set('is one byte', Buffer.from('G'))
  files.set('is the magic number alone', Buffer.from('GGUF'))
  files.set('has another magic number', put(0, Buffer.from('XXXX')))
  files.set('is a web page', Buffer.from('<html>404 not found</html>'))
  files.set('is a safetensors file', Buffer.concat([u64(100n), Buffer.from('{"__metadata__":{}}'), Buffer.alloc(1000)]))
  files.set('has version 1', put(4, u32(1)))
  files.set('has version 99', put(4, u32(99)))
  files.set('is big-endian', put(4, Buffer.from([0, 0, 0, 3])))
  for (const [name, value] of [
    ['a trillion', 1n << 40n],
    ['the most', (1n << 63n) - 1n],
    ['no', 0n],
  ] as const)
    files.set(`claims ${name} keys`, put(16, u64(value)))
  for (const [name, value] of [
    ['a trillion', 1n << 40n],
    ['no', 0n],
  ] as const)
    files.set(`claims ${name} tensors`, put(8, u64(value)))
  for (const part of [0.01, 0.1, 0.5, 0.9, 0.999]) files.set(`ends after ${part * 100} %`, good.subarray(0, Math.floor(good.length * part)))
  files.set('lacks its last byte', good.subarray(0, -1))

  files.set('has a key of 2^50 bytes', put(24, u64(1n << 50n)))
  files.set('has a key of a gigabyte', put(24, u64(1n << 30n)))
  const firstValue = 24 + 8 + Number(good.readBigUInt64LE(24)) + 4
  files.set('has a string of 2^60 bytes', put(firstValue, u64(1n << 60n)))
  const tokens = find('tokenizer.ggml.tokens') + 4
  files.set('has an array of 2^45 elements', put(tokens + 4, u64(1n << 45n)))
  files.set('has an array of a billion elements', put(tokens + 4, u64(1_000_000_000n)))
  files.set('has an array of an unknown type', put(tokens, u32(77)))
  files.set('has a value of an unknown type', put(find('general.file_type'), u32(99)))

  const tensor = find('token_embd.weight')
  const dimensions = tensor + 4
  const type = dimensions + 8 * good.readUInt32LE(tensor)
  files.set('has a tensor far outside', put(type + 4, u64(1n << 40n)))
  files.set('has a tensor off its alignment', put(type + 4, u64(good.readBigUInt64LE(type + 4) + 7n)))
  files.set('has a tensor of an unknown type', put(type, u32(200)))
  files.set('has a tensor of a removed type', put(type, u32(4)))
  files.set('has a tensor of 2^80 elements', put(dimensions, Buffer.concat([u64(1n << 40n), u64(1n << 40n)])))
  files.set('has a tensor of no elements', put(dimensions, Buffer.alloc(16)))
  files.set('has a tensor of nine dimensions', put(tensor, u32(9)))

  for (const [key, values] of [
    ['llama.block_count', [0, 1000, 0xffffffff]],
    ['llama.embedding_length', [0]],
    ['llama.attention.head_count', [0, 3]],
    ['llama.attention.head_count_kv', [0, 3]],
    ['llama.rope.dimension_count', [7]],
    ['llama.context_length', [0]],
    ['llama.feed_forward_length', [0]],
    ['tokenizer.ggml.eos_token_id', [0xfffffff0]],
  ] as const)
    for (const value of values) files.set(`says ${key} is ${value}`, put(find(`${key}${'\x04\x00\x00\x00'}`), u32(value)))
  files.set('has an epsilon that is no number', put(find('llama.attention.layer_norm_rms_epsilon') + 4, f32(Number.NaN)))
  files.set('is of an unknown architecture', Buffer.from(good.toString('latin1').replaceAll('llama', 'zlama'), 'latin1'))
  files.set('names no architecture', put(find('general.architecture') - 1, Buffer.from('f')))
  files.set('has no tokenizer', put(find('tokenizer.ggml.model') - 1, Buffer.from('X')))
  files.set('has no tokens', put(find('tokenizer.ggml.tokens') - 1, Buffer.from('X')))
  return files
}

/** Copies with one to three random bytes of the header changed. Some of them are still good models. */
export function* corruptedFiles(good: Buffer, count: number, seed = 7): Iterable<Buffer> {
  const next = random(seed)
  for (let index = 0; index < count; index++) {
    const file = Buffer.from(good)
    for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) file[4 + Math.floor(next() * 900)] = Math.floor(next() * 256)
    yield file
  }
}
