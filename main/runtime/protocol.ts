import type { PlainError } from '../errors.ts'
import type { Adapter, ContextOptions, LoadOptions, SamplingOptions } from './options.ts'

/** A grammar, and from where in the reply it holds. */
export interface Grammar {
  /** GBNF text with a rule `root`. */
  gbnf: string
  /**
   * `start`: from the first token. `after-thinking`: a reply that begins with `open` (white space before it aside) is free
   * until `close` has been written; any other reply is held from its first token; `opened`: the prompt ends inside the block.
   * `on-trigger`: free until a text matches one of the patterns; the grammar receives the text from the pattern's first group on.
   */
  begin: { kind: 'start' } | { kind: 'after-thinking'; open: string; close: string; opened: boolean } | { kind: 'on-trigger'; patterns: string[] }
}

/** How much a reply may think; then it is made to go on. */
export interface ThinkingLimit {
  /** Of all its thinking together. */
  tokens: number
  open: string
  /** What ends a block. */
  end: string
  /** The prompt ends inside a block. */
  opened: boolean
  /** A block may begin anywhere in the reply; else at its beginning only. */
  anywhere: boolean
  /** Written to close a block when the tokens are used up: in the first that is closed so, the second, …; the last serves for all that follow. */
  closings: string[]
}

/** One reply, as the runner needs it: complete, nothing left to default. */
export interface GenerateRequest {
  /** Text is tokenised by the runner, token ids are taken as they are. */
  prompt: string | number[]
  /** Let the tokenizer add BOS (and EOS) as the vocabulary says; never twice when the text begins with it. */
  addSpecial: boolean
  /** Text of special tokens in the prompt becomes those tokens. */
  parseSpecial: boolean
  /** Tokens that this request may fill, prompt and reply together; at most the context's own. */
  contextLength: number
  /** What to do with a prompt longer than contextLength - 1: refuse (`context-exceeded`), or cut its middle. */
  overflow: 'refuse' | 'cut-middle'
  /** Tokens at the front that a cut or a shift keeps; BOS comes on top; -1 all. */
  keep: number
  /** A full context drops half of what is not kept and goes on; else the reply ends with `length`. */
  shift: boolean
  /** Tokens to generate at most; -1 no limit but the context. */
  maxTokens: number
  stop: string[]
  sampling: SamplingOptions
  grammar: Grammar | null
  /** null: it thinks as long as it likes. */
  thinkingLimit: ThinkingLimit | null
  /** null: none; else how many alternatives beside the chosen token. */
  topLogprobs: number | null
  adapters: Adapter[]
  /** Write special tokens as text (parsers look for some); end-of-generation tokens are never written. */
  showSpecial: boolean
  /** Give the ids of prompt and reply with the end (`context` of the native API). */
  returnTokens: boolean
  /** Take the prefix from other slots' cells and leave ours for later requests. */
  cachePrompt: boolean
  /** End with an end-of-generation token; false goes on to `maxTokens`. */
  stopAtEog: boolean
}

export interface TokenLogprob {
  token: string
  bytes: number[]
  logprob: number
  top: { token: string; bytes: number[]; logprob: number }[]
}

/** Counts and times of one reply; times in milliseconds. */
export interface GenerateStats {
  promptTokens: number
  /** Of these, taken from the cache. */
  cachedTokens: number
  completionTokens: number
  /** From being queued in the runner to the first prompt token being evaluated. */
  queueMs: number
  promptMs: number
  generateMs: number
  /** Prompt tokens that were cut from the middle, 0 if none. */
  cutTokens: number
  /** How often the context was shifted, and the tokens dropped by it. */
  shifts: number
  shiftedTokens: number
}

export type RunnerEvent =
  /** The prompt is being evaluated; sent at the start and after each chunk. */
  | { type: 'prompt'; promptTokens: number; cachedTokens: number; evaluatedTokens: number; cutTokens: number }
  /** Whole characters only; `tokens` counts the tokens behind them, held-back ones included. */
  | { type: 'text'; text: string; tokens: number; logprobs?: TokenLogprob[] }
  /** Always the last. `stopString` is the one that was met. */
  | { type: 'done'; reason: 'stop' | 'length'; stopString: string | null; stats: GenerateStats; tokens?: number[] }

/** What a runner says of the weights it holds. */
export interface LoadedInfo {
  /** Tokens the model was trained for. */
  trainedContextLength: number
  vocabularySize: number
  embeddingLength: number
  layers: number
  parameters: number
  sizeBytes: number
  /** Text of BOS and EOS, '' when there is none. */
  bosText: string
  eosText: string
  bosToken: number
  eosToken: number
  /** Parts two texts in one input; -1 when there is none. */
  sepToken: number
  addsBos: boolean
  addsEos: boolean
  addsSep: boolean
  hasEncoder: boolean
  hasDecoder: boolean
  /** The state can be cut and shifted (neither recurrent nor hybrid). */
  rewindable: boolean
  /** none, mean, cls, last or rank; as the file says. */
  pooling: string
  /** What the load took, from llama.cpp's own log and the process's resident size. */
  memory: MemoryUse
  devices: string[]
  loadMs: number
}

/** Bytes by device name ("CPU", "CUDA0", …). */
export interface MemoryUse {
  weights: Record<string, number>
  kvCache: Record<string, number>
  compute: Record<string, number>
  residentBytes: number
}

export interface ContextInfo {
  /** What one request may use: the asked-for length or what the model allows. */
  contextLength: number
  slots: number
  memory: MemoryUse
}

export interface EmbedRequest {
  inputs: (string | number[])[]
  /** Tokens an input may have, special ones included. */
  contextLength: number
  /** Cut a longer input; else it is refused (`context-exceeded`). */
  truncate: boolean
  batchSize: number
  threads: number
  adapters: Adapter[]
}

export interface EmbedResult {
  /** Not normalised, in the order of the inputs. */
  embeddings: number[][]
  /** Tokens of each input after a cut. */
  tokens: number[]
}

/** One call to a runner; each is answered by `result` or `error` with its id, `generate` by `event`s up to `done`. */
export type ToRunner =
  | { type: 'load'; id: number; options: LoadOptions }
  | { type: 'context'; id: number; options: ContextOptions }
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'embed'; id: number; request: EmbedRequest }
  | { type: 'tokenize'; id: number; texts: string[]; addSpecial: boolean; parseSpecial: boolean }
  | { type: 'detokenize'; id: number; tokens: number[] }
  | { type: 'cancel'; id: number }
  | { type: 'shutdown' }

export type FromRunner =
  | { type: 'ready' }
  /** Fraction of the weights read, 0 to 1. */
  | { type: 'progress'; id: number; fraction: number }
  | { type: 'result'; id: number; value: unknown }
  /** One message per engine step: what each running reply gained. */
  | { type: 'step'; events: [id: number, event: RunnerEvent][] }
  | { type: 'error'; id: number; error: PlainError; details?: Record<string, number> }
  /** Each second, from the event loop: silence for ten means hung. */
  | { type: 'heartbeat'; running: number; queued: number }
