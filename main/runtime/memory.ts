import type { KvCacheType } from './options.ts'
import type { MemoryUse } from './protocol.ts'

/** What the estimate needs to know of a model, from its GGUF header. */
export interface ModelShape {
  architecture: string
  layers: number
  embeddingLength: number
  /** Of the feed-forward block; four times the embedding's when not given. */
  feedForwardLength?: number
  headCount: number
  /** Key and value heads of every layer, or of each; 0 for a layer without attention. */
  headCountKv: number | readonly number[]
  /** Numbers per key and per value of one head. */
  keyLength: number
  valueLength: number
  vocabularySize: number
  /** Trained length in tokens. */
  contextLength: number
  /** Tokens that a sliding layer looks back on; null when all layers see everything. */
  slidingWindow: number | null
  /** All tensors together. */
  weightBytes: number
  /** Of these, what is read for each token of a reply; all when not given. */
  activeBytes?: number
}

/** The figures of a context that decide how large it is. */
export interface ContextSize {
  /** Tokens per slot. */
  contextLength: number
  slots: number
  /** Cells of all slots together. */
  cells: number
  batchSize: number
  kvCacheType: KvCacheType
  flashAttention: boolean | null
}

const mebibyte = 2 ** 20

/** Bytes of one element: llama.cpp's block sizes (ggml-common.h), scale included. */
const elementBytes: Record<KvCacheType, number> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
}

/** Bytes of the KV cache of one layer range; the runner keeps full caches for sliding layers too, so that a prompt can be cut anywhere. */
export function kvCacheBytes(shape: ModelShape, size: Pick<ContextSize, 'cells' | 'kvCacheType'>): number {
  return kvBytesPerToken(shape, size.kvCacheType) * padded(size.cells)
}

export function kvBytesPerToken(shape: ModelShape, type: KvCacheType): number {
  const heads = typeof shape.headCountKv === 'number' ? shape.headCountKv * shape.layers : shape.headCountKv.reduce((sum, n) => sum + n, 0)
  return heads * (shape.keyLength + shape.valueLength) * elementBytes[type]
}

/** llama.cpp rounds a context up to whole blocks of 256 cells. */
function padded(cells: number): number {
  return Math.ceil(cells / 256) * 256
}

/**
 * Bytes of the compute buffers for one micro-batch.
 *
 * The largest tensors that live at once in llama.cpp's graph: some activations of the embedding's width and the two of the feed-forward block or the
 * attention's heads in float32, the mask in float16 (float32 and all scores beside it when flash attention is off), and one row of logits a slot. Within
 * a fifth of what llama.cpp reports for small models on the CPU.
 */
export function computeBytes(shape: ModelShape, size: ContextSize): number {
  const batch = Math.min(size.batchSize, size.cells)
  const feedForward = shape.feedForwardLength ?? 4 * shape.embeddingLength
  const activations = batch * (5 * shape.embeddingLength + Math.max(2 * feedForward, 3 * shape.headCount * shape.keyLength)) * 4
  const attention = batch * padded(size.contextLength) * (size.flashAttention === false ? 4 + 4 * shape.headCount : 2)
  const logits = size.slots * shape.vocabularySize * 4
  return activations + attention + logits + 2 * mebibyte
}

/** What the process itself holds beside the model: Node, the libraries, the vocabulary's tables. Measured on Linux with vocabularies of 2,048 to 49,152 tokens. */
export function processBytes(shape: ModelShape): number {
  return 64 * mebibyte + shape.vocabularySize * 256
}

/** Bytes by part, before they are laid on devices. */
export interface Parts {
  weights: number
  kvCache: number
  compute: number
}

/** How far the estimate was off for a model: real over estimated bytes, 1 where nothing is known. */
export type Correction = Readonly<Parts>

const noCorrection: Correction = { weights: 1, kvCache: 1, compute: 1 }

/** What loads really took, so that the next estimate of the same model starts from there. */
export class Measurements {
  readonly #corrections = new Map<string, Correction>()

  record(key: string, estimated: Partial<Parts>, used: Partial<Parts>): void {
    const before = this.correction(key)
    const ratio = (part: keyof Parts) => {
      const [guess, real] = [estimated[part] ?? 0, used[part] ?? 0]
      return guess > 0 && real > 0 ? Math.min(4, Math.max(0.25, real / guess)) : before[part]
    }
    this.#corrections.set(key, { weights: ratio('weights'), kvCache: ratio('kvCache'), compute: ratio('compute') })
  }

  correction(key: string): Correction {
    return this.#corrections.get(key) ?? noCorrection
  }
}

/** The sum over devices of each part. */
export function parts(use: MemoryUse): Parts {
  const sum = (bytes: Record<string, number>) => Object.values(bytes).reduce((total, n) => total + n, 0)
  return { weights: sum(use.weights), kvCache: sum(use.kvCache), compute: sum(use.compute) }
}
