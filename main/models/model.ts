import type { JsonObject } from '../lib/json.ts'
import type { GgufHeader } from './gguf-header.ts'
import type { ModelName } from './name.ts'

/** In the order in which they are listed. */
export const allCapabilities = ['tools', 'thinking', 'completion', 'embedding', 'vision', 'audio', 'insert'] as const
export type Capability = (typeof allCapabilities)[number]

export interface ModelDetails {
  parentModel: string
  format: string
  family: string
  families: string[]
  /** As shown: `7.6B`, `137M`. */
  parameterSize: string
  quantizationLevel: string
  contextLength: number | null
  embeddingLength: number | null
}

/** Why a model that is listed cannot be run: parts of it are missing, or its file is gone, perhaps with its drive. */
export interface ModelProblem {
  state: 'incomplete' | 'gone'
  /** What is missing, as a sentence. */
  text: string
}

/** One entry of the library, as lists show it: cheap, from the manifest, the config and the cached header. */
export interface ModelSummary {
  name: ModelName
  /** Where it lives: `store` is ours, `bundled` ships with the app, else whose it is: `ollama`, `lm-studio`, … */
  origin: string
  /** sha256 hex of the manifest. */
  digest: string
  sizeBytes: number
  modifiedAt: Date
  details: ModelDetails
  capabilities: Capability[]
  problem?: ModelProblem
}

export interface ModelFile {
  file: string
  /** `sha256:<hex>`. */
  digest: string
  sizeBytes: number
}

/** Everything needed to run and to describe a model. Files exist and their headers have been checked. */
export interface Model extends ModelSummary {
  weights: ModelFile
  /** All files of the weights in their order, `weights` the first: one, unless the model is split. */
  parts: ModelFile[]
  adapters: ModelFile[]
  projectors: ModelFile[]
  /** Go template of a layer, null when there is none. */
  template: string | null
  system: string | null
  /** Parameters by the protocol's names; `stop` is a list. */
  parameters: JsonObject
  messages: { role: string; content: string }[]
  licenses: string[]
  header: GgufHeader
  requires: string | null
  /** Names of Ollama's built-in renderer and parser, from the config. */
  renderer: string | null
  parser: string | null
  /** Of `projectors`, in their order. */
  projectorHeaders: GgufHeader[]
}
