import { open } from 'node:fs/promises'
import path from 'node:path'
import { readGguf } from '../../main/models/gguf.ts'
import { partName } from '../../main/models/gguf-parts.ts'
import { tensorTypes } from '../../main/models/quantization.ts'
import { type Key, readKeys, type Tensor, valueType, writeGguf } from './gguf-file.ts'

/** Writes a model as several files, as llama.cpp's `llama-gguf-split` does; gives their paths in order. */
export async function splitGguf(
  file: string,
  folder: string,
  count: number,
  { stem = path.basename(file, '.gguf'), bareFirst = false } = {},
): Promise<string[]> {
  const { tensors, dataOffset } = await readGguf(file)
  await using handle = await open(file)
  const whole: Tensor[] = []
  for (const { name, shape, type, offset, sizeBytes } of tensors) {
    const data = Buffer.alloc(sizeBytes)
    await handle.read(data, 0, sizeBytes, dataOffset + offset)
    whole.push({ name, dimensions: shape, type: typeId(type), sizeBytes, data: () => [data] })
  }
  const files: string[] = []
  // `--no-tensor-first-split` leaves the first part to the header alone.
  const withTensors = bareFirst ? count - 1 : count
  for (let part = 0; part < count; part++) {
    const at = bareFirst ? part - 1 : part
    const share = at < 0 ? [] : whole.slice(Math.ceil((whole.length * at) / withTensors), Math.ceil((whole.length * (at + 1)) / withTensors))
    const keys = [...(part === 0 ? await readKeys(file) : []), u16('split.no', part), u16('split.count', count), i32('split.tensors.count', whole.length)]
    const target = path.join(folder, partName(stem, part, count))
    await writeGguf(target, keys, share)
    files.push(target)
  }
  return files
}

function typeId(type: string): number {
  for (const [id, { name }] of tensorTypes) if (name === type) return id
  throw new Error(`${type} is no type of ggml`)
}

function u16(name: string, number: number): Key {
  const value = Buffer.alloc(2)
  value.writeUInt16LE(number)
  return { name, type: valueType.u16, value }
}

function i32(name: string, number: number): Key {
  const value = Buffer.alloc(4)
  value.writeInt32LE(number)
  return { name, type: valueType.i32, value }
}
