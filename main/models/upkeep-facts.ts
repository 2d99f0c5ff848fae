/** What one model of our store takes. */
export interface ModelUse {
  name: string
  sizeBytes: number
  /** What deleting it would free. */
  ownBytes: number
  /** Models that use some of its blobs too. */
  sharesWith: string[]
}

/** What our models folder takes of its disk. */
export interface DiskUse {
  folder: string
  freeBytes: number
  /** All finished blobs, each counted once. */
  usedBytes: number
  models: ModelUse[]
  /** Blobs that no model names, of any age. */
  unneeded: { count: number; sizeBytes: number }
  /** Downloads that have not ended. */
  partial: { count: number; sizeBytes: number }
}

/** What a look at one file of a model finds; `unreadable`: it is there, but its disk or its permissions do not let it be read. */
export type BlobState = 'intact' | 'damaged' | 'missing' | 'unreadable'

export type VerifyEvent =
  | { type: 'progress'; digest: string; completedBytes: number; totalBytes: number }
  /** `models`: all that use it. `removed`: damaged, and gone from our store, so that getting the models again mends them. */
  | { type: 'result'; digest: string; file: string; state: BlobState; models: string[]; removed: boolean }

/** What a model's registry says of it now. */
export interface UpdateState {
  name: string
  /** `unknown`: the registry has none of this name (the model was made here, or is gone there), or could not be asked. */
  state: 'current' | 'newer' | 'unknown'
  reason?: string
}
