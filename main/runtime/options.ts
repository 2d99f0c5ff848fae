/** Everything that shapes the choice of the next token; complete, merged and validated in `generation/options.ts`. */
export interface SamplingOptions {
  /** Unsigned 32 bits; null draws one. */
  seed: number | null
  /** ≤ 0: greedy. */
  temperature: number
  /** ≤ 0: off. */
  topK: number
  topP: number
  minP: number
  typicalP: number
  /** How many of the last tokens the penalties look at; 0 off, -1 the whole context. */
  repeatLastN: number
  repeatPenalty: number
  presencePenalty: number
  frequencyPenalty: number
  mirostat: 0 | 1 | 2
  mirostatTau: number
  mirostatEta: number
  /** ≤ 0: off. */
  topNSigma: number
  xtcProbability: number
  xtcThreshold: number
  /** 0: off. */
  dryMultiplier: number
  dryBase: number
  dryAllowedLength: number
  /** -1: the whole context. */
  dryPenaltyLastN: number
  drySequenceBreakers: string[]
  dynatempRange: number
  dynatempExponent: number
  /** Token id → what is added to its logit; ≤ -100 forbids it. */
  logitBias: [token: number, bias: number][]
}

/** A LoRA file that is applied to one request. */
export interface Adapter {
  file: string
  scale: number
}

/** How the weights are brought into memory; another value of any of these is another runner. */
export interface LoadOptions {
  /** The GGUF file, or the first of its parts. */
  file: string
  /** Of a split model all files in their order, `file` the first; they may bear any name. Absent or a single one: `file` is the whole. */
  parts?: readonly string[]
  /** Platform package of the runtime to load: `linux-x64`, `linux-x64-vulkan`, … */
  build: string
  /** Layers on the GPU; -1 as many as fit. */
  gpuLayers: number
  mainGpu: number | null
  /** null: by the kind of device. */
  useMmap: boolean | null
  useMlock: boolean
  /** Never false in a runner; a header check of the vocabulary alone otherwise. */
  vocabOnly?: boolean
  /** Memory is planned and told, but not taken: nothing can be evaluated. */
  planOnly?: boolean
}

/** Element type of the KV cache. */
export type KvCacheType = 'f16' | 'bf16' | 'f32' | 'q8_0' | 'q4_0' | 'q4_1' | 'q5_0' | 'q5_1' | 'iq4_nl'

/** One context on loaded weights: room for `slots` replies of `contextLength` tokens each. */
export interface ContextOptions {
  /** Tokens per slot. */
  contextLength: number
  slots: number
  /** One pool of cells for all slots instead of one stream each (design §4, "KV cache"). */
  unified: boolean
  /** Cells of the pool when `unified`; else slots × contextLength. */
  cells: number
  /** Tokens per decode. */
  batchSize: number
  threads: number
  kvCacheType: KvCacheType
  flashAttention: boolean | null
}
