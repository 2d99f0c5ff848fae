import type { Json, JsonObject } from '../lib/json.ts'
import type { Message, Think, Tool, ToolCall } from '../prompt/messages.ts'
import type { GenerateStats, TokenLogprob } from '../runtime/protocol.ts'

/** Which language the prompt was rendered by: the model file's own Jinja, a Go template, or none (the text as it is). */
export type TemplateKind = 'jinja' | 'go' | 'none'

/** P1: what did not fit and was left out of the prompt. Absent when nothing was. */
export interface Truncation {
  droppedMessages: number
  droppedTokens: number
  keptTokens: number
  contextLength: number
}

/** Times of a request in milliseconds, counts in tokens. */
export interface Usage extends GenerateStats {
  totalMs: number
  /** Waiting for the model: queue, load, context. */
  loadMs: number
  /** Of the reply, those whose text is thinking; absent where nothing was generated. */
  thinkingTokens?: number
}

/** What every door encodes: the same events for each dialect and for the window. `done` is always the last. */
export type GenerationEvent =
  /** The weights are being read; fraction 0 to 1. */
  | { type: 'load'; fraction: number }
  /** The prompt is being evaluated. The first one is the sign that the request is accepted and runs. */
  | { type: 'prompt'; template: TemplateKind; promptTokens: number; cachedTokens: number; evaluatedTokens: number; truncation?: Truncation }
  /** `logprobs` belong to the tokens behind this text; text may be '' when only they arrive. */
  | { type: 'text'; text: string; logprobs?: TokenLogprob[] }
  | { type: 'thinking'; text: string; logprobs?: TokenLogprob[] }
  | { type: 'tool-call'; call: ToolCall; logprobs?: TokenLogprob[] }
  /** The reply ended inside a call: what was written of it, markers included. */
  | { type: 'broken-call'; text: string }
  /** `_debug_render_only`: the prompt, nothing generated. Takes the place of `done`. */
  | { type: 'rendered'; prompt: string; imageCount: number }
  | {
      type: 'done'
      /** `load` and `unload` answer requests without a prompt. */
      reason: 'stop' | 'length' | 'load' | 'unload'
      stopString: string | null
      usage: Usage
      template: TemplateKind
      truncation?: Truncation
      /** Ids of prompt and reply, when asked for. */
      tokens?: number[]
    }

/** Structured output: any JSON object, a JSON Schema, or a GBNF grammar as it is. */
export type Format = { type: 'json' } | { type: 'schema'; schema: JsonObject | boolean } | { type: 'grammar'; gbnf: string }

export type ToolChoice = 'auto' | 'none' | 'required' | { name: string }

/** Options as a client sends them, by the protocol's names (`reference: ollama-api §6`), not yet validated. */
export type RawOptions = Record<string, Json>

interface RequestBase {
  model: string
  options: RawOptions
  /** Dialect defaults that stand below the model's own parameters. */
  dialectDefaults?: RawOptions
  /** null: as the runner has it, else `OLLAMA_KEEP_ALIVE`; Infinity: for ever; 0: unload after this request. */
  keepAliveMs: number | null
  format: Format | null
  /** null: the caller said nothing. */
  think: Think | null
  truncate: boolean
  shift: boolean
  /** null: off; else the number of alternatives, 0 to 20. */
  topLogprobs: number | null
  renderOnly: boolean
}

export interface ChatRequest extends RequestBase {
  messages: Message[]
  tools: Tool[]
  toolChoice: ToolChoice
  /** false: the reply ends with its first call. */
  parallelCalls?: boolean
  /** Thinking a model that cannot think was asked for: refuse (native), or ignore (Anthropic). */
  lenientThink?: boolean
  templateVariables?: Record<string, Json>
}

export interface CompletionRequest extends RequestBase {
  prompt: string
  /** In place of `prompt`: ids as they are, without a template. */
  promptTokens?: number[]
  suffix: string
  system: string | null
  /** A Go template in place of the model's. */
  template: string | null
  raw: boolean
  /** In an engine elsewhere that has a route for bare prompts: by that route. A model here takes the prompt as one turn, as the peer's do. */
  bare?: boolean
  /** Token ids of an earlier reply, put before the prompt. */
  context: number[] | null
  images: Uint8Array[]
  /** Give the ids of prompt and reply with `done`. */
  returnTokens: boolean
}

export interface EmbeddingRequest {
  model: string
  input: string[] | number[][]
  truncate: boolean
  /** 0: all. */
  dimensions: number
  /** L2; the legacy route leaves some families as they are. */
  normalize: 'always' | 'as-peer'
  options: RawOptions
  keepAliveMs: number | null
}

export interface EmbeddingResult {
  embeddings: number[][]
  promptTokens: number
  totalMs: number
  loadMs: number
}

export type Chat = (request: ChatRequest, signal: AbortSignal) => AsyncIterable<GenerationEvent>
export type Complete = (request: CompletionRequest, signal: AbortSignal) => AsyncIterable<GenerationEvent>
/** Tokens of a chat's whole prompt, before anything is cut. */
export type Count = (request: ChatRequest, signal: AbortSignal) => Promise<number>
export type Embed = (request: EmbeddingRequest, signal: AbortSignal) => Promise<EmbeddingResult>
