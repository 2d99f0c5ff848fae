import { readGguf } from './gguf.ts'
import type { GgufHeader, GgufValue } from './gguf-header.ts'
import type { Model } from './model.ts'

/** Token types whose text stands in the file as it is: control and user-defined (llama.cpp's `llama_token_type`). */
const literalTypes: readonly GgufValue[] = [3, 4]

const known = new WeakMap<GgufHeader, Promise<{ bosText: string; eosText: string } | null>>()

/** Texts of a vocabulary's BOS and EOS, read from the model's file; null where the file leaves it to llama.cpp what they are. */
export function specialTexts({ header, weights }: Pick<Model, 'header' | 'weights'>): Promise<{ bosText: string; eosText: string } | null> {
  const reading = known.get(header) ?? readTexts(weights.file)
  known.set(header, reading)
  reading.catch(() => known.delete(header))
  return reading
}

async function readTexts(file: string): Promise<{ bosText: string; eosText: string } | null> {
  const { metadata } = await readGguf(file, { arrays: 'all' })
  const texts = listOf(metadata.get('tokenizer.ggml.tokens'))
  const types = listOf(metadata.get('tokenizer.ggml.token_type'))
  const [bosText, eosText] = ['bos', 'eos'].map((name) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`)
    const text = typeof id === 'number' && literalTypes.includes(types[id] ?? 0) ? texts[id] : null
    return typeof text === 'string' ? text : null
  })
  return typeof bosText === 'string' && typeof eosText === 'string' ? { bosText, eosText } : null
}

function listOf(value: GgufValue | undefined): GgufValue[] {
  return typeof value === 'object' ? (value.values ?? []) : []
}
