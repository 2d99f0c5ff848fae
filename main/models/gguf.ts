import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'
import { checkHeader } from './gguf-check.ts'
import type { GgufArray, GgufHeader, GgufScalar, GgufTensor, GgufType, GgufValue } from './gguf-header.ts'
import { GgufReader, invalid } from './gguf-reader.ts'
import { tensorTypes } from './quantization.ts'

export interface ReadOptions {
  /** `skip` keeps only the lengths of large arrays and of lists of texts; `all` keeps every value. */
  arrays: 'skip' | 'all'
}

interface ScalarType {
  name: GgufType
  /** Of a text: its length field alone. */
  bytes: number
  read: (reader: GgufReader, what: string) => GgufScalar
}

const scalarTypes: ReadonlyMap<number, ScalarType> = new Map([
  [0, { name: 'uint8', bytes: 1, read: (reader) => reader.uint8() }],
  [1, { name: 'int8', bytes: 1, read: (reader) => reader.int8() }],
  [2, { name: 'uint16', bytes: 2, read: (reader) => reader.uint16() }],
  [3, { name: 'int16', bytes: 2, read: (reader) => reader.int16() }],
  [4, { name: 'uint32', bytes: 4, read: (reader) => reader.uint32() }],
  [5, { name: 'int32', bytes: 4, read: (reader) => reader.int32() }],
  [6, { name: 'float32', bytes: 4, read: (reader) => reader.float32() }],
  [7, { name: 'bool', bytes: 1, read: (reader) => reader.uint8() !== 0 }],
  [8, { name: 'string', bytes: 8, read: (reader, what) => reader.string(what) }],
  [10, { name: 'uint64', bytes: 8, read: (reader) => Number(reader.uint64()) }],
  [11, { name: 'int64', bytes: 8, read: (reader) => Number(reader.int64()) }],
  [12, { name: 'float64', bytes: 8, read: (reader) => reader.float64() }],
])
const arrayType = 9

const maxEntries = 65_536
const maxDimensions = 4
/** Texts in one list; the largest vocabularies have 262,144, and twice as many merges. */
const maxTexts = 4 * 1024 * 1024
/** Numbers per layer are kept, vocabularies are not. */
const smallArray = 1024
/** Elements of all arrays of a file that are kept, where they are asked for: the largest vocabulary with its scores, types and merges, many times over. */
const maxElements = 8 * 1024 * 1024
/** Of everything before the weights; the largest headers have 50 MB. */
const maxHeaderBytes = 256 * 1024 * 1024
/** Files of one model: llama.cpp counts them in 16 bits. */
const maxParts = 65_535

/**
 * Reads and checks the header of a GGUF file (v2 or v3, little endian) without native code and without believing any length in it.
 *
 * Throws `invalid-model`, naming the file and what is wrong with it.
 */
export async function readGguf(file: string, { arrays }: ReadOptions = { arrays: 'skip' }): Promise<GgufHeader> {
  await using handle = await openRegularFile(file)
  try {
    return await readHeader(new GgufReader(handle, (await handle.stat()).size), arrays)
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid-model') {
      throw new AppError('invalid-model', `${path.basename(file)} cannot be used: ${error.message}`, { cause: error })
    }
    throw error
  }
}

async function openRegularFile(file: string): Promise<FileHandle> {
  try {
    // Before opening: opening a device may do something.
    const notFile = new AppError('invalid-model', `${file} is not a file`)
    if (!(await stat(file)).isFile()) throw notFile
    // It may have become another meanwhile: opening a pipe would wait for its writer.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if ((await handle.stat()).isFile()) return handle
    await handle.close()
    throw notFile
  } catch (error) {
    if (error instanceof AppError) throw error
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new AppError('invalid-model', `the model file ${file} cannot be opened (${code})`, { cause: error })
  }
}

async function readHeader(reader: GgufReader, arrays: ReadOptions['arrays']): Promise<GgufHeader> {
  const version = await readPreamble(reader)
  const { tensorCount, entryCount } = await reader.atomically(() => ({
    // The smallest tensor is a one-letter name with one dimension; the smallest entry a one-letter key with a byte.
    tensorCount: reader.count('number of tensors', 8 + 1 + 4 + 8 + 4 + 8, maxEntries),
    entryCount: reader.count('number of metadata entries', 8 + 1 + 4 + 1, maxEntries),
  }))

  const metadata = new Map<string, GgufValue>()
  let elementsLeft = maxElements
  for (let i = 0; i < entryCount; i++) {
    const [key, value] = await reader.atomically(() => readEntry(reader, arrays, elementsLeft))
    if (typeof value === 'object' && value.type === 'string' && value.values === null) await reader.skipStrings(value.length, key)
    if (typeof value === 'object' && value.values !== null) elementsLeft -= value.length
    if (reader.position > maxHeaderBytes) throw invalid(`its header is larger than ${maxHeaderBytes} bytes`)
    if (metadata.has(key)) throw invalid(`the key ${JSON.stringify(key)} stands twice in its header`)
    metadata.set(key, value)
  }

  const tensors: GgufTensor[] = []
  for (let i = 0; i < tensorCount; i++) tensors.push(await reader.atomically(() => readTensor(reader)))

  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment !== 'number' || alignment < 1 || alignment > 1 << 20 || (alignment & (alignment - 1)) !== 0) {
    throw invalid(`general.alignment is ${JSON.stringify(alignment)}, not a power of two`)
  }
  const dataOffset = Math.ceil(reader.position / alignment) * alignment
  const header = describe({ version, metadata, tensors, alignment, dataOffset, sizeBytes: reader.sizeBytes })
  checkHeader(header)
  return header
}

async function readPreamble(reader: GgufReader): Promise<number> {
  if (reader.sizeBytes === 0) throw invalid('it is empty')
  const head = await reader.atomically(() => Array.from({ length: Math.min(reader.sizeBytes, 16) }, () => reader.uint8()))
  const text = String.fromCharCode(...head)
  if (!text.startsWith('GGUF')) throw invalid(`it is not a GGUF file${disguise(text)}`)
  if (head.length < 8) throw invalid('the file ends inside its header')
  reader.position = 4
  const version = await reader.atomically(() => reader.uint32())
  if (version === 0x02000000 || version === 0x03000000) throw invalid('it is a big-endian GGUF file, made for other machines')
  if (version !== 2 && version !== 3) throw invalid(`its GGUF version is ${version}; versions 2 and 3 are known`)
  return version
}

function disguise(text: string): string {
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) return ' but a web page; the download went wrong'
  if (text.startsWith('{"', 8)) return ' but looks like safetensors; convert it to GGUF first'
  if (text.startsWith('PK\x03\x04')) return ' but a ZIP archive, perhaps a PyTorch checkpoint; convert it to GGUF first'
  // Its protocol number, 2 to 5, follows the first byte.
  if (text.charCodeAt(0) === 0x80 && text.charCodeAt(1) >= 2 && text.charCodeAt(1) <= 5)
    return ' but a Python pickle, perhaps a PyTorch checkpoint; convert it to GGUF first'
  if (text.startsWith('ggml') || text.startsWith('lmgg') || text.startsWith('tjgg')) return ' but its predecessor GGML, which is no longer supported'
  if (text.startsWith('version https://')) return ' but a Git LFS pointer; fetch the file itself'
  return ''
}

function readEntry(reader: GgufReader, arrays: ReadOptions['arrays'], elementsLeft: number): [string, GgufValue] {
  const key = reader.string('a key')
  const type = reader.uint32()
  if (type === arrayType) return [key, readArray(reader, key, arrays, elementsLeft)]
  const scalar = scalarTypes.get(type)
  if (scalar === undefined) throw invalid(`the value of ${JSON.stringify(key)} has the unknown type ${type}`)
  return [key, scalar.read(reader, key)]
}

function readArray(reader: GgufReader, key: string, arrays: ReadOptions['arrays'], elementsLeft: number): GgufArray {
  const type = reader.uint32()
  const scalar = scalarTypes.get(type)
  if (scalar === undefined) throw invalid(`the array ${JSON.stringify(key)} holds the unknown type ${type}`)
  const length = reader.count(`the array ${JSON.stringify(key)}`, scalar.bytes, scalar.name === 'string' ? maxTexts : undefined)
  const isWanted = arrays === 'all' || (length <= smallArray && scalar.name !== 'string')
  if (isWanted && length <= elementsLeft) {
    return { type: scalar.name, length, values: Array.from({ length }, () => scalar.read(reader, key)) }
  }
  // Texts are skipped by the caller, window by window.
  if (scalar.name !== 'string') reader.skip(length * scalar.bytes, key)
  return { type: scalar.name, length, values: null }
}

function readTensor(reader: GgufReader): GgufTensor {
  const name = reader.string('the name of a tensor')
  const dimensions = reader.uint32()
  if (dimensions > maxDimensions) throw invalid(`the tensor ${JSON.stringify(name)} has ${dimensions} dimensions; ${maxDimensions} are allowed`)
  const shape = Array.from({ length: dimensions }, () => reader.uint64())
  const typeId = reader.uint32()
  const offset = reader.uint64()
  const type = tensorTypes.get(typeId)
  if (type === undefined) throw invalid(`the tensor ${JSON.stringify(name)} has the unknown type ${typeId}`)
  // In arbitrary precision: a product that wraps around would pass for a small one.
  const elements = shape.reduce((product, length) => product * length, 1n)
  if (elements === 0n || (shape[0] ?? 1n) % BigInt(type.blockElements) !== 0n) {
    throw invalid(`the tensor ${JSON.stringify(name)} has the impossible shape [${shape.join(', ')}] for ${type.name}`)
  }
  const sizeBytes = (elements / BigInt(type.blockElements)) * BigInt(type.blockBytes)
  if (offset + sizeBytes > BigInt(reader.sizeBytes)) {
    throw invalid(`the tensor ${JSON.stringify(name)} ends beyond the end of the file; the file is incomplete or damaged`)
  }
  return { name, type: type.name, shape: shape.map(Number), offset: Number(offset), sizeBytes: Number(sizeBytes) }
}

type Raw = Pick<GgufHeader, 'version' | 'metadata' | 'tensors' | 'alignment' | 'dataOffset' | 'sizeBytes'>

function describe(raw: Raw): GgufHeader {
  const { metadata, tensors } = raw
  const number = (key: string) => positive(metadata.get(key))
  const splitIndex = number('split.no') ?? 0
  const splitCount = number('split.count') ?? 1
  if (!Number.isInteger(splitCount) || splitCount > maxParts || !Number.isInteger(splitIndex) || splitIndex >= splitCount) {
    throw invalid(`it says that it is part ${splitIndex + 1} of ${splitCount}`)
  }
  const architecture = metadata.get('general.architecture') ?? (splitIndex > 0 ? '' : null)
  if (typeof architecture !== 'string' || (architecture === '' && splitIndex === 0)) {
    throw invalid('it does not name its architecture (general.architecture)')
  }
  const own = (key: string) => number(`${architecture}.${key}`)
  const text = (key: string) => {
    const value = metadata.get(key)
    return typeof value === 'string' ? value : null
  }
  const fileType = metadata.get('general.file_type')
  const poolingType = metadata.get(`${architecture}.pooling_type`)
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const templatePrefix = 'tokenizer.chat_template.'
  return {
    ...raw,
    architecture,
    type: text('general.type'),
    parameterCount: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0),
    fileType: typeof fileType === 'number' ? fileType : null,
    contextLength: own('context_length'),
    embeddingLength: own('embedding_length'),
    blockCount: own('block_count'),
    headCount: own('attention.head_count'),
    headCountKv: own('attention.head_count_kv') ?? own('attention.head_count'),
    keyLength: own('attention.key_length'),
    valueLength: own('attention.value_length'),
    slidingWindow: own('attention.sliding_window'),
    vocabularySize: typeof tokens === 'object' ? tokens.length : own('vocab_size'),
    chatTemplate: text('tokenizer.chat_template'),
    namedTemplates: Object.fromEntries(
      [...metadata.keys()]
        .filter((key) => key.startsWith(templatePrefix) && text(key) !== null)
        .map((key) => [key.slice(templatePrefix.length), text(key) ?? '']),
    ),
    poolingType: typeof poolingType === 'number' ? poolingType : null,
    splitCount,
    splitIndex,
  }
}

/** A number above zero; of an array the largest; null otherwise. */
function positive(value: GgufValue | undefined): number | null {
  if (typeof value === 'number') return value > 0 ? value : null
  if (typeof value !== 'object' || value.values === null) return null
  const largest = value.values.reduce<number>((most, entry) => (typeof entry === 'number' && entry > most ? entry : most), 0)
  return largest > 0 ? largest : null
}
