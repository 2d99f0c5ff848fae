import type { Json, JsonObject } from '../lib/json.ts'

// What the native API answers, as far as the command line reads it. Field names are the wire's.

export interface ModelDetails {
  family: string
  parameter_size: string
  quantization_level: string
}

export interface TagsAnswer {
  models: {
    name: string
    size: number
    digest: string
    modified_at: string
    origin?: string
    state?: string
    remote_host?: string
    upstream?: { state: string }
  }[]
}

/** An engine elsewhere; its key is never told. */
export interface UpstreamAnswer {
  name: string
  url: string
  protocol: string
  has_key: boolean
  state: string
  error?: string
  models: string[]
}

export interface PsAnswer {
  models: {
    name: string
    size: number
    size_vram: number
    digest: string
    expires_at: string
    context_length?: number
    runner?: { state: string; progress: number }
  }[]
}

export interface ShowAnswer {
  license?: string
  modelfile?: string
  parameters?: string
  template?: string
  system?: string
  details?: ModelDetails
  messages?: { role: string; content: string }[]
  model_info?: JsonObject
  projector_info?: JsonObject
  tensors?: { name: string; type: string; shape: number[] }[]
  capabilities?: string[]
  requires?: string
  remote_host?: string
}

/** Counts and times of the last line; times in nanoseconds. */
export interface Metrics {
  total_duration?: number
  load_duration?: number
  prompt_eval_count?: number
  prompt_eval_cached_count?: number
  prompt_eval_duration?: number
  eval_count?: number
  eval_duration?: number
  truncation?: { dropped_messages: number; dropped_tokens: number; kept_tokens: number; num_ctx: number }
}

export interface ReplyLine extends Metrics {
  done: boolean
  message: ChatMessage
}

export interface ChatMessage {
  role: string
  content: string
  thinking?: string
  images?: string[]
}

export interface ProgressLine {
  status: string
  digest?: string
  total?: number
  completed?: number
  /** Of what an import has made, in its last line. */
  name?: string
}

/** What `run` and its prompt send with every request. */
export interface RequestSettings {
  options: Record<string, Json>
  /** `json` or a JSON Schema; null: free text. */
  format: Json
  /** null: as the model does by itself. */
  think: boolean | string | null
  /** As the protocol takes it: `5m`, or seconds; null: the server's. */
  keepAlive: string | number | null
}
