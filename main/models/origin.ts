import type { ModelConfig } from './manifest.ts'
import type { Capability, ModelDetails, ModelProblem } from './model.ts'
import type { ModelName } from './name.ts'

/** A layer of a model, wherever its bytes lie. */
export interface Layer {
  mediaType: string
  /** `sha256:<hex>`. */
  digest: string
  /** The digest stands for path, size and time of a file whose bytes nobody has hashed. */
  unhashed?: true
  sizeBytes: number
  file: string
  /** Name of the model that the layer came with. */
  from: string | null
}

/** A model as its origin knows it: what is on the disk, nothing opened yet. */
export interface Entry {
  name: ModelName
  origin: string
  /** sha256 hex of the manifest. */
  digest: string
  /** The manifest itself, byte for byte. */
  manifest: Uint8Array
  sizeBytes: number
  modifiedAt: Date
  config: ModelConfig
  /** The config's own blob; its bytes, as some origins have no file for it. */
  configBlob: { digest: string; bytes: Uint8Array }
  layers: Layer[]
  /** What lists say of it, where the origin has looked; else the library looks. */
  described?: { details: ModelDetails; capabilities: Capability[] }
  /** Why it cannot be run now. */
  problem?: ModelProblem
}

/** A place with models that is only read: listed, run in place, never written. */
export interface Origin {
  /** Shown beside the model: `bundled`, … */
  readonly id: string
  /** Whose the models are, as a sentence says it: `LM Studio`; absent for what is ours and what ships. */
  readonly owner?: string
  /** Looks again where that is due, but does not keep the caller waiting for a slow disk; with `wait: false` not at all. */
  list(options?: { wait: boolean }): Promise<Entry[]>
  /** The case of letters does not count, and the origin's id may stand for the host; null when it has no such model. */
  resolve(name: ModelName): Promise<Entry | null>
  /** Where models are only references to files: drops the reference, the file stays. */
  forget?(entry: Entry): Promise<void>
}
