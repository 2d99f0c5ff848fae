import { createWriteStream } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Value types of a GGUF key, by the numbers of the format. */
export const valueType = { u8: 0, i8: 1, u16: 2, i16: 3, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10, i64: 11, f64: 12 } as const
const scalarBytes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }

/** One key of a GGUF header; the value as its bytes in the file, so that a tokenizer is copied without being understood. */
export interface Key {
  name: string
  type: number
  value: Buffer
}

/** One tensor to write: its data is made chunk by chunk, so that a file larger than memory can be written. */
export interface Tensor {
  name: string
  /** In ggml's order: the row's length first. */
  dimensions: number[]
  /** ggml's number of the element type. */
  type: number
  sizeBytes: number
  data: () => Iterable<Uint8Array>
}

export function encodeString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(bytes.length))
  return Buffer.concat([length, bytes])
}

export const key = {
  string: (name: string, text: string): Key => ({ name, type: valueType.string, value: encodeString(text) }),
  bool: (name: string, on: boolean): Key => ({ name, type: valueType.bool, value: Buffer.from([on ? 1 : 0]) }),
  u32: (name: string, number: number): Key => {
    const value = Buffer.alloc(4)
    value.writeUInt32LE(number)
    return { name, type: valueType.u32, value }
  },
  f32: (name: string, number: number): Key => {
    const value = Buffer.alloc(4)
    value.writeFloatLE(number)
    return { name, type: valueType.f32, value }
  },
  strings: (name: string, texts: readonly string[]): Key => ({ name, type: valueType.array, value: list(valueType.string, texts.map(encodeString)) }),
  f32s: (name: string, numbers: readonly number[]): Key => ({
    name,
    type: valueType.array,
    value: list(
      valueType.f32,
      numbers.map((number) => Buffer.from(new Float32Array([number]).buffer)),
    ),
  }),
  i32s: (name: string, numbers: readonly number[]): Key => ({
    name,
    type: valueType.array,
    value: list(
      valueType.i32,
      numbers.map((number) => Buffer.from(new Int32Array([number]).buffer)),
    ),
  }),
}

function list(type: number, elements: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(type)
  head.writeBigUInt64LE(BigInt(elements.length), 4)
  return Buffer.concat([head, ...elements])
}

/** The keys of a well-formed file (a vocabulary of llama.cpp's, a model of ours), in their order. */
export async function readKeys(file: string): Promise<Key[]> {
  // The header of a large model is a few megabytes; a vocabulary is nothing else.
  await using handle = await open(file)
  const { size } = await handle.stat()
  const bytes = Buffer.alloc(Math.min(size, 64 << 20))
  await handle.read(bytes, 0, bytes.length, 0)
  if (bytes.toString('latin1', 0, 4) !== 'GGUF') throw new Error(`${file} is not a GGUF file`)
  const count = Number(bytes.readBigUInt64LE(16))
  let at = 24
  const end = (type: number, start: number): number => {
    if (type === valueType.string) return start + 8 + Number(bytes.readBigUInt64LE(start))
    if (type !== valueType.array) return start + (scalarBytes[type] ?? 0)
    const element = bytes.readUInt32LE(start)
    const length = Number(bytes.readBigUInt64LE(start + 4))
    const fixed = scalarBytes[element]
    if (fixed !== undefined) return start + 12 + length * fixed
    let next = start + 12
    for (let i = 0; i < length; i++) next = end(element, next)
    return next
  }
  return Array.from({ length: count }, () => {
    const nameLength = Number(bytes.readBigUInt64LE(at))
    const name = bytes.toString('utf8', at + 8, at + 8 + nameLength)
    const type = bytes.readUInt32LE(at + 8 + nameLength)
    const start = at + 12 + nameLength
    at = end(type, start)
    return { name, type, value: Buffer.from(bytes.subarray(start, at)) }
  })
}

const alignment = 32
const padded = (bytes: number) => Math.ceil(bytes / alignment) * alignment

/** Header bytes up to where the tensor data begins. */
export function encodeHeader(keys: readonly Key[], tensors: readonly Tensor[]): Buffer {
  const parts: Buffer[] = []
  const start = Buffer.alloc(24)
  start.write('GGUF', 'latin1')
  start.writeUInt32LE(3, 4)
  start.writeBigUInt64LE(BigInt(tensors.length), 8)
  start.writeBigUInt64LE(BigInt(keys.length), 16)
  parts.push(start)
  for (const { name, type, value } of keys) {
    const number = Buffer.alloc(4)
    number.writeUInt32LE(type)
    parts.push(encodeString(name), number, value)
  }
  let offset = 0
  for (const tensor of tensors) {
    const rest = Buffer.alloc(4 + 8 * tensor.dimensions.length + 12)
    rest.writeUInt32LE(tensor.dimensions.length)
    tensor.dimensions.forEach((length, index) => {
      rest.writeBigUInt64LE(BigInt(length), 4 + 8 * index)
    })
    rest.writeUInt32LE(tensor.type, rest.length - 12)
    rest.writeBigUInt64LE(BigInt(offset), rest.length - 8)
    parts.push(encodeString(tensor.name), rest)
    offset += padded(tensor.sizeBytes)
  }
  const header = Buffer.concat(parts)
  return Buffer.concat([header, Buffer.alloc(padded(header.length) - header.length)])
}

/** Writes a whole model, tensor by tensor; the name appears only when the file is complete. */
export async function writeGguf(file: string, keys: readonly Key[], tensors: readonly Tensor[]): Promise<void> {
  function* bytes(): Iterable<Uint8Array> {
    yield encodeHeader(keys, tensors)
    for (const tensor of tensors) {
      let written = 0
      for (const chunk of tensor.data()) {
        written += chunk.byteLength
        yield chunk
      }
      if (written !== tensor.sizeBytes) throw new Error(`${tensor.name}: ${written} bytes made, ${tensor.sizeBytes} announced`)
      yield new Uint8Array(padded(written) - written)
    }
  }
  const temporary = `${file}.${process.pid}.tmp`
  await pipeline(Readable.from(bytes(), { objectMode: true, highWaterMark: 4 }), createWriteStream(temporary))
  await rename(temporary, file)
}
