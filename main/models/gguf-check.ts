import type { GgufHeader, GgufValue } from './gguf-header.ts'
import { invalid } from './gguf-reader.ts'

/** LLAMA_MAX_LAYERS of llama.cpp. */
const maxBlocks = 512
/** Without attention in any or all layers, these say so with zeros. */
const recurrent = new Set(['mamba', 'mamba2', 'rwkv6', 'rwkv6qwen2', 'rwkv7', 'arwkv7'])

/**
 * Refuses what would take llama.cpp down instead of making it report an error: it asserts on absent layers, heads and widths.
 *
 * Lists (a value per layer) may hold zeros: hybrid models have layers without attention.
 */
export function checkHeader(header: GgufHeader): void {
  checkTensors(header)
  const { architecture, metadata } = header
  const scalar = (key: string) => {
    const value = metadata.get(`${architecture}.${key}`)
    return typeof value === 'object' ? undefined : value
  }
  const wrong = (key: string, value: GgufValue) => invalid(`${architecture}.${key} is ${String(value)}`)

  const blocks = scalar('block_count')
  if (blocks !== undefined && !(isWhole(blocks) && blocks >= 1 && blocks <= maxBlocks)) throw wrong('block_count', blocks)

  const experts = scalar('expert_count')
  const mayBeZero = (key: string) => recurrent.has(architecture) || (key === 'feed_forward_length' && isWhole(experts) && experts > 0)
  for (const key of ['embedding_length', 'feed_forward_length', 'attention.head_count', 'attention.head_count_kv', 'context_length']) {
    const value = scalar(key)
    if (value === undefined || (isWhole(value) && value > 0) || (value === 0 && mayBeZero(key))) continue
    throw wrong(key, value)
  }

  const heads = scalar('attention.head_count')
  const kvHeads = scalar('attention.head_count_kv')
  if (isWhole(heads) && isWhole(kvHeads) && kvHeads > 0 && heads % kvHeads !== 0) {
    throw invalid(`${architecture}.attention.head_count ${heads} is not a multiple of head_count_kv ${kvHeads}`)
  }

  for (const [key, value] of metadata) {
    if (key.startsWith(`${architecture}.`) && key.endsWith('epsilon') && typeof value === 'number' && !Number.isFinite(value)) {
      throw invalid(`${key} is ${value}`)
    }
  }
}

function checkTensors({ tensors, alignment, dataOffset, sizeBytes, splitCount }: GgufHeader): void {
  // The first part of a split model may hold nothing but the header.
  if (tensors.length === 0 && splitCount === 1) throw invalid('it holds no weights')
  const names = new Set<string>()
  for (const tensor of tensors) {
    if (names.has(tensor.name)) throw invalid(`the tensor ${JSON.stringify(tensor.name)} stands twice in its header`)
    names.add(tensor.name)
    if (tensor.offset % alignment !== 0) throw invalid(`the tensor ${JSON.stringify(tensor.name)} is not aligned to ${alignment} bytes`)
    if (dataOffset + tensor.offset + tensor.sizeBytes > sizeBytes) {
      throw invalid(`the tensor ${JSON.stringify(tensor.name)} ends beyond the end of the file; the file is incomplete or damaged`)
    }
  }
  const placed = tensors.toSorted((a, b) => a.offset - b.offset)
  for (const [i, { name, offset }] of placed.entries()) {
    const before = placed[i - 1]
    if (before === undefined || before.offset + before.sizeBytes <= offset) continue
    throw invalid(`the tensors ${JSON.stringify(before.name)} and ${JSON.stringify(name)} overlap`)
  }
}

function isWhole(value: GgufValue | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
