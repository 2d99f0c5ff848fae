import type { Json, JsonObject } from '../lib/json.ts'

/** The two languages that engines elsewhere speak. */
export type UpstreamProtocol = 'openai' | 'ollama'

/** An engine elsewhere, as the user named it. */
export interface UpstreamRecord {
  name: string
  /** Without a slash and without `/v1` at the end. */
  url: string
  protocol: UpstreamProtocol
  /** A secret: sent to `url` and nowhere else; '' for none. */
  key: string
  addedAt: string
}

/** A model as its engine lists it; null and empty where the engine does not say. */
export interface UpstreamModel {
  id: string
  modifiedAt: Date | null
  sizeBytes: number
  /** sha256, hex; '' unknown. */
  digest: string
  family: string
  parameterSize: string
  quantizationLevel: string
  contextLength: number | null
  capabilities: string[]
}

export interface UpstreamToolCall {
  id: string
  index: number
  name: string
  arguments: JsonObject
}

export interface UpstreamMessage {
  role: string
  content: string
  thinking?: string
  /** Pictures or sound, as files. */
  images?: Uint8Array[]
  toolCalls?: UpstreamToolCall[]
  toolName?: string
  toolCallId?: string
}

export type UpstreamThink = boolean | 'low' | 'medium' | 'high' | 'max'

interface RequestBase {
  /** The engine's own id. */
  model: string
  /** By the native protocol's names; only what the caller gave, checked. */
  options: Record<string, Json>
  format: { type: 'json' } | { type: 'schema'; schema: JsonObject | boolean } | { type: 'grammar'; gbnf: string } | null
  /** null: the caller said nothing. */
  think: UpstreamThink | null
  /** Thinking that the model lacks is left out rather than refused. */
  lenientThink: boolean
  /** null: off; else the number of alternatives. */
  topLogprobs: number | null
  /** null: as the engine has it; Infinity: for ever. */
  keepAliveMs: number | null
  truncate: boolean
  shift: boolean
}

export interface UpstreamChat extends RequestBase {
  messages: UpstreamMessage[]
  tools: JsonObject[]
  toolChoice: 'auto' | 'none' | 'required' | { name: string }
  /** false: one call at most. */
  parallelCalls: boolean
  /** For the engine's chat template. */
  templateVariables: Record<string, Json>
}

export interface UpstreamCompletion extends RequestBase {
  prompt: string
  /** In place of `prompt`, of the engine's own vocabulary; null: none. */
  promptTokens: number[] | null
  suffix: string
  /** The text as it is, no template around it. */
  raw: boolean
  /** As `raw`, where the engine's protocol has a route that does so by itself. */
  bare: boolean
  system: string | null
  template: string | null
  context: number[] | null
  images: Uint8Array[]
}

export interface UpstreamLogprob {
  token: string
  bytes: number[]
  logprob: number
  top: { token: string; bytes: number[]; logprob: number }[]
}

/** Counts in tokens, times in milliseconds; null where the engine does not say. */
export interface UpstreamUsage {
  promptTokens: number | null
  cachedTokens: number | null
  completionTokens: number | null
  thinkingTokens: number | null
  loadMs: number | null
  promptMs: number | null
  generateMs: number | null
}

/** What a Paddock elsewhere left out of the prompt. */
export interface UpstreamTruncation {
  droppedMessages: number
  droppedTokens: number
  keptTokens: number
  contextLength: number
}

export type UpstreamEvent =
  /** The engine has taken the request. Always the first. */
  | { type: 'accepted' }
  | { type: 'text' | 'thinking'; text: string; logprobs?: UpstreamLogprob[] }
  | { type: 'tool-call'; call: UpstreamToolCall; logprobs?: UpstreamLogprob[] }
  /** The reply ended inside a call: what was written of it. */
  | { type: 'broken-call'; text: string }
  /** Always the last. `tokens` are those of prompt and reply, where the protocol has them. */
  | {
      type: 'done'
      reason: 'stop' | 'length'
      stopString: string | null
      usage: UpstreamUsage
      tokens?: number[]
      truncation?: UpstreamTruncation
    }

export interface UpstreamEmbedding {
  model: string
  input: string[] | number[][]
  truncate: boolean
  /** 0: all. */
  dimensions: number
  options: Record<string, Json>
  keepAliveMs: number | null
}

export interface UpstreamRerank {
  model: string
  query: string
  documents: string[]
}

/** One protocol, spoken with one engine. Failures are AppErrors that begin with the engine's name. */
export interface UpstreamClient {
  models(signal: AbortSignal): Promise<UpstreamModel[]>
  /** What the engine itself tells of a model, by the native protocol's names; null where its protocol has no such route. */
  show(model: string, signal: AbortSignal): Promise<JsonObject | null>
  chat(request: UpstreamChat, signal: AbortSignal): AsyncIterable<UpstreamEvent>
  complete(request: UpstreamCompletion, signal: AbortSignal): AsyncIterable<UpstreamEvent>
  embed(request: UpstreamEmbedding, signal: AbortSignal): Promise<{ embeddings: number[][]; promptTokens: number }>
  /** Tokens of the chat's prompt. Throws `not-implemented` where the engine cannot count. */
  count(request: UpstreamChat, signal: AbortSignal): Promise<number>
  tokenize(model: string, text: string, how: { addSpecial: boolean; parseSpecial: boolean }, signal: AbortSignal): Promise<number[]>
  detokenize(model: string, tokens: number[], signal: AbortSignal): Promise<string>
  rerank(request: UpstreamRerank, signal: AbortSignal): Promise<{ scores: { index: number; score: number }[]; promptTokens: number }>
}
