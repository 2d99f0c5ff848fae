import type { GgufHeader, GgufValue } from './gguf-header.ts'

/** What the scheduler's estimate needs to know of a model (its `ModelShape`); what the header does not say is taken for the smallest that works. */
export function modelShape(header: GgufHeader) {
  const headCount = header.headCount ?? 1
  const embeddingLength = header.embeddingLength ?? 1
  const feedForwardLength = largest(header.metadata.get(`${header.architecture}.feed_forward_length`))
  const headLength = Math.ceil(embeddingLength / headCount)
  return {
    architecture: header.architecture,
    layers: header.blockCount ?? 1,
    embeddingLength,
    ...(feedForwardLength > 0 && { feedForwardLength }),
    headCount,
    headCountKv: kvHeadsPerLayer(header) ?? header.headCountKv ?? headCount,
    keyLength: header.keyLength ?? headLength,
    valueLength: header.valueLength ?? headLength,
    vocabularySize: header.vocabularySize ?? 1,
    contextLength: header.contextLength ?? 2048,
    slidingWindow: header.slidingWindow,
    weightBytes: header.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    activeBytes: activeBytes(header),
  }
}

/** Of a mixture of experts those that are used, of the embedding table no more than a row. */
function activeBytes({ tensors, metadata, architecture }: GgufHeader): number {
  const number = (key: string) => metadata.get(`${architecture}.${key}`)
  const [used, all] = [number('expert_used_count'), number('expert_count')]
  const share = typeof used === 'number' && typeof all === 'number' && used > 0 && all >= used ? used / all : 1
  // Without an output matrix of its own a model multiplies with the whole embedding table.
  const tied = !tensors.some(({ name }) => name === 'output.weight')
  const bytes = tensors.map(({ name, sizeBytes }) => (/_exps\./.test(name) ? sizeBytes * share : /^token_embd\./.test(name) && !tied ? 0 : sizeBytes))
  return Math.round(bytes.reduce((sum, one) => sum + one, 0))
}

/** null when the file gives one number for all layers, or not one for each. */
function kvHeadsPerLayer({ metadata, architecture, blockCount }: GgufHeader): number[] | null {
  const heads = metadata.get(`${architecture}.attention.head_count_kv`)
  if (typeof heads !== 'object' || heads.values === null || heads.length !== blockCount) return null
  return heads.values.map((count) => (typeof count === 'number' && count > 0 ? count : 0))
}

function largest(value: GgufValue | undefined): number {
  const values = typeof value === 'object' ? (value.values ?? []) : [value]
  return values.reduce<number>((most, one) => (typeof one === 'number' && one > most ? one : most), 0)
}
