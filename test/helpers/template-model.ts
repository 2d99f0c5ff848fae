import { encodeHeader, key, type Tensor } from './gguf-file.ts'
import { weightTypes } from './random-weights.ts'

const width = 32
const [unknown, control, byte] = [2, 3, 6]
const bytes = Array.from({ length: 256 }, (_, value) => `<0x${value.toString(16).toUpperCase().padStart(2, '0')}>`)
const tokens = ['<unk>', '<s>', '</s>', ...bytes]

/** A model of 40 KB around a chat template: one layer of zeros, and SentencePiece's vocabulary with nothing but its fallback to bytes. */
export function templateModel(chatTemplate: string): Buffer {
  const keys = [
    key.string('general.architecture', 'llama'),
    key.u32('llama.context_length', 2048),
    key.u32('llama.embedding_length', width),
    key.u32('llama.block_count', 1),
    key.u32('llama.feed_forward_length', width),
    key.u32('llama.attention.head_count', 1),
    key.f32('llama.attention.layer_norm_rms_epsilon', 1e-5),
    key.string('tokenizer.ggml.model', 'llama'),
    key.strings('tokenizer.ggml.tokens', tokens),
    key.f32s('tokenizer.ggml.scores', new Array<number>(tokens.length).fill(0)),
    key.i32s('tokenizer.ggml.token_type', [unknown, control, control, ...bytes.map(() => byte)]),
    key.u32('tokenizer.ggml.bos_token_id', 1),
    key.u32('tokenizer.ggml.eos_token_id', 2),
    key.string('tokenizer.chat_template', chatTemplate),
  ]
  const square = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down']
  const tensors = [
    zeros('token_embd.weight', width, tokens.length),
    zeros('output_norm.weight', width),
    ...['attn_norm', 'ffn_norm'].map((name) => zeros(`blk.0.${name}.weight`, width)),
    ...square.map((name) => zeros(`blk.0.${name}.weight`, width, width)),
  ]
  // Every size is a multiple of the alignment.
  return Buffer.concat([encodeHeader(keys, tensors), Buffer.alloc(tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))])
}

function zeros(name: string, ...dimensions: number[]): Tensor {
  const sizeBytes = dimensions.reduce((product, length) => product * length, weightTypes.f32.bytes)
  return { name, dimensions, type: weightTypes.f32.id, sizeBytes, data: () => [new Uint8Array(sizeBytes)] }
}
