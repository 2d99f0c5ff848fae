import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { type Key, key, readKeys, type Tensor, writeGguf } from './gguf-file.ts'
import { cacheFolder, hasLlamaSource, llamaSourceFile } from './llama-source.ts'
import { Noise, type WeightType, weightTypes } from './random-weights.ts'

export interface Shape {
  architecture: 'llama' | 'qwen2' | 'gemma3' | 'bert'
  width: number
  layers: number
  feedForward: number
  heads: number
  kvHeads: number
  contextLength: number
  /** `ggml-vocab-*.gguf` of llama.cpp to copy the tokenizer from; cria's where there is none. */
  vocabulary: string
  /** Layers look this far back (gemma3). */
  window?: number
  /** No `output.weight`: the embedding table is used again. */
  tied?: boolean
  /** A head that judges a query with a document (bert). */
  ranks?: boolean
}

const llama = (width: number, layers: number, feedForward: number, heads: number, kvHeads: number, contextLength: number, vocabulary = 'llama-spm'): Shape => ({
  architecture: 'llama',
  width,
  layers,
  feedForward,
  heads,
  kvHeads,
  contextLength,
  vocabulary,
})

/** Shapes of known models, weights of noise: they run at the speed of the real ones and write nonsense. */
export const shapes = {
  tiny: llama(64, 2, 128, 4, 2, 4096, 'cria'),
  mini: llama(512, 6, 1536, 8, 4, 8192, 'cria'),
  /** cria's own shape, for as many tokens as are wanted: the trained model ends its replies. */
  cria: llama(256, 4, 640, 4, 2, 2048, 'cria'),
  '135m': llama(576, 30, 1536, 9, 3, 8192),
  /** TinyLlama 1.1B. */
  '1b': llama(2048, 22, 5632, 32, 4, 4096),
  /** Llama 3.1 8B. */
  '8b': llama(4096, 32, 14_336, 32, 8, 131_072, 'llama-bpe'),
  'qwen2-tiny': { ...llama(64, 2, 128, 4, 2, 4096, 'cria'), architecture: 'qwen2', tied: true },
  /** A sliding window of 64 tokens. */
  'gemma3-tiny': { ...llama(64, 6, 128, 4, 2, 4096, 'cria'), architecture: 'gemma3', window: 64, tied: true },
  'bert-tiny': { ...llama(64, 2, 128, 4, 4, 512, 'bert-bge'), architecture: 'bert' },
  'rerank-tiny': { ...llama(64, 2, 128, 4, 4, 128, 'cria'), architecture: 'bert', ranks: true },
} as const satisfies Record<string, Shape>
export type ShapeName = keyof typeof shapes

export interface ModelSpec {
  shape: Shape
  type: WeightType
  name?: string
  seed?: number
  /** Jinja text for `tokenizer.chat_template`; none: a model without a template. */
  chatTemplate?: string
  /** How a reranker wants query and document: text with `{query}` and `{document}`. */
  rerankTemplate?: string
}

/** Writes a model of the given shape with random weights and a real tokenizer. */
export async function makeModel(file: string, spec: ModelSpec): Promise<void> {
  const tokenizer = (await tokenizerKeys(spec.shape.vocabulary)).filter(({ name }) => name !== 'tokenizer.chat_template')
  const plain = plainTokens(tokenizer)
  const keys = [...modelKeys(spec, plain.length), ...tokenizer]
  // What only the vocabularies of encoders say.
  const types = 'tokenizer.ggml.token_type_count'
  if (spec.shape.architecture === 'bert' && keys.every(({ name }) => name !== types)) keys.push(key.u32(types, 2))
  if (spec.chatTemplate !== undefined) keys.push(key.string('tokenizer.chat_template', spec.chatTemplate))
  if (spec.rerankTemplate !== undefined) keys.push(key.string('tokenizer.chat_template.rerank', spec.rerankTemplate))
  await writeGguf(file, keys, modelTensors(spec, plain))
}

/** The file of a preset in the cache folder, made when it is not there. */
export async function cachedModel(shape: ShapeName, type: WeightType = 'q4_0'): Promise<string> {
  const file = path.join(cacheFolder, 'models', `random-${shape}-${type}.gguf`)
  if (existsSync(file)) return file
  await mkdir(path.dirname(file), { recursive: true })
  await makeModel(file, { shape: shapes[shape], type, name: `random ${shape} ${type}` })
  return file
}

async function tokenizerKeys(vocabulary: string): Promise<Key[]> {
  const usesCria = vocabulary === 'cria' || !(await hasLlamaSource())
  const file = usesCria ? path.join(import.meta.dirname, '../fixtures/cria/cria.gguf') : await llamaSourceFile(`models/ggml-vocab-${vocabulary}.gguf`)
  return (await readKeys(file)).filter(({ name }) => name.startsWith('tokenizer.'))
}

/**
 * For each token of the vocabulary, whether it is an ordinary piece of ASCII text.
 *
 * A model of noise that is untied writes no others: it never ends by itself, and its text is whole characters, which
 * llama.cpp's server insists on.
 */
function plainTokens(tokenizer: readonly Key[]): boolean[] {
  const value = (name: string) => {
    const found = tokenizer.find((candidate) => candidate.name === `tokenizer.ggml.${name}`)
    if (!found) throw new Error(`the vocabulary has no ${name}`)
    return found.value
  }
  const tokens = value('tokens')
  const types = value('token_type')
  const normal = 1
  let at = 12
  return Array.from({ length: Number(tokens.readBigUInt64LE(4)) }, (_, index) => {
    const length = Number(tokens.readBigUInt64LE(at))
    const text = tokens.toString('utf8', at + 8, at + 8 + length)
    at += 8 + length
    return types.readInt32LE(12 + 4 * index) === normal && /^[▁Ġ]?[\w.,;:!?'"()-]+$/.test(text)
  })
}

function modelKeys({ shape, type, name }: ModelSpec, vocabularySize: number): Key[] {
  const { architecture } = shape
  const headLength = shape.width / shape.heads
  const keys = [
    key.string('general.architecture', architecture),
    key.string('general.type', 'model'),
    key.string('general.name', name ?? `random ${architecture}`),
    key.u32('general.file_type', weightTypes[type].fileType),
    key.u32('general.quantization_version', 2),
    key.u32(`${architecture}.context_length`, shape.contextLength),
    key.u32(`${architecture}.embedding_length`, shape.width),
    key.u32(`${architecture}.block_count`, shape.layers),
    key.u32(`${architecture}.feed_forward_length`, shape.feedForward),
    key.u32(`${architecture}.attention.head_count`, shape.heads),
    key.u32(`${architecture}.vocab_size`, vocabularySize),
  ]
  if (architecture === 'bert') {
    const [meanPooling, rankPooling] = [1, 4]
    return [
      ...keys,
      key.f32('bert.attention.layer_norm_epsilon', 1e-12),
      key.bool('bert.attention.causal', false),
      key.u32('bert.pooling_type', shape.ranks ? rankPooling : meanPooling),
    ]
  }
  keys.push(
    key.u32(`${architecture}.attention.head_count_kv`, shape.kvHeads),
    key.f32(`${architecture}.attention.layer_norm_rms_epsilon`, 1e-5),
    key.u32(`${architecture}.rope.dimension_count`, headLength),
    key.f32(`${architecture}.rope.freq_base`, 10_000),
    key.u32(`${architecture}.attention.key_length`, headLength),
    key.u32(`${architecture}.attention.value_length`, headLength),
  )
  if (shape.window !== undefined) keys.push(key.u32(`${architecture}.attention.sliding_window`, shape.window))
  return keys
}

function modelTensors({ shape, type, seed = 1234 }: ModelSpec, plain: readonly boolean[]): Tensor[] {
  const noise = new Noise(seed)
  const { width, layers, feedForward, heads, kvHeads, architecture } = shape
  const vocabularySize = plain.length
  const kvWidth = (width / heads) * kvHeads
  const tensors: Tensor[] = []
  /** Variance falls with the row's length, so that activations keep their size from layer to layer and the logits stay finite. */
  const weight = (
    name: string,
    inputs: number,
    outputs: number,
    { gain = 1, as = type, rows }: { gain?: number; as?: WeightType; rows?: readonly boolean[] } = {},
  ) => {
    const stored = inputs % weightTypes[as].block === 0 ? as : 'f16'
    const { id, block, bytes } = weightTypes[stored]
    const elements = inputs * outputs
    const deviation = gain / Math.sqrt(inputs)
    tensors.push({
      name,
      dimensions: [inputs, outputs],
      type: id,
      sizeBytes: (elements / block) * bytes,
      data: () => (rows ? noise.rows(rows, inputs, stored, deviation) : noise.chunks(elements, stored, deviation)),
    })
  }
  const vector = (name: string, length: number, value = 1) =>
    tensors.push({
      name,
      dimensions: [length],
      type: weightTypes.f32.id,
      sizeBytes: 4 * length,
      data: () => [new Uint8Array(new Float32Array(length).fill(value).buffer)],
    })

  weight('token_embd.weight', width, vocabularySize)
  if (architecture === 'bert') {
    weight('position_embd.weight', width, shape.contextLength, { as: 'f32' })
    weight('token_types.weight', width, 2, { as: 'f32' })
    vector('token_embd_norm.weight', width)
    vector('token_embd_norm.bias', width, 0)
    for (let layer = 0; layer < layers; layer++) bertLayer(`blk.${layer}.`)
    if (shape.ranks) {
      weight('cls.weight', width, width)
      vector('cls.bias', width, 0)
      weight('cls.output.weight', width, 1)
      vector('cls.output.bias', 1, 0)
    }
    return tensors
  }
  // Peaked logits, as a trained model's are: an even distribution would make sampling unusually slow.
  if (!shape.tied) weight('output.weight', width, vocabularySize, { gain: 3, as: type === 'q4_0' ? 'q8_0' : type, rows: plain })
  vector('output_norm.weight', width)
  for (let layer = 0; layer < layers; layer++) decoderLayer(`blk.${layer}.`)
  return tensors

  function bertLayer(prefix: string): void {
    for (const name of ['attn_q', 'attn_k', 'attn_v', 'attn_output']) {
      weight(`${prefix}${name}.weight`, width, width)
      vector(`${prefix}${name}.bias`, width, 0)
    }
    for (const name of ['attn_output_norm', 'layer_output_norm']) {
      vector(`${prefix}${name}.weight`, width)
      vector(`${prefix}${name}.bias`, width, 0)
    }
    weight(`${prefix}ffn_up.weight`, width, feedForward)
    vector(`${prefix}ffn_up.bias`, feedForward, 0)
    weight(`${prefix}ffn_down.weight`, feedForward, width)
    vector(`${prefix}ffn_down.bias`, width, 0)
  }

  function decoderLayer(prefix: string): void {
    vector(`${prefix}attn_norm.weight`, width)
    vector(`${prefix}ffn_norm.weight`, width)
    weight(`${prefix}attn_q.weight`, width, width)
    weight(`${prefix}attn_k.weight`, width, kvWidth)
    weight(`${prefix}attn_v.weight`, width, kvWidth)
    weight(`${prefix}attn_output.weight`, width, width)
    weight(`${prefix}ffn_gate.weight`, width, feedForward)
    weight(`${prefix}ffn_up.weight`, width, feedForward)
    weight(`${prefix}ffn_down.weight`, feedForward, width)
    if (architecture === 'qwen2') {
      vector(`${prefix}attn_q.bias`, width, 0)
      vector(`${prefix}attn_k.bias`, kvWidth, 0)
      vector(`${prefix}attn_v.bias`, kvWidth, 0)
    }
    if (architecture === 'gemma3') {
      vector(`${prefix}attn_q_norm.weight`, width / heads)
      vector(`${prefix}attn_k_norm.weight`, width / heads)
      vector(`${prefix}post_attention_norm.weight`, width)
      vector(`${prefix}post_ffw_norm.weight`, width)
    }
  }
}
