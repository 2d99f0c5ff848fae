import type { StoredBlob } from './blobs.ts'
import { diskUse } from './disk-use.ts'
import type { Library } from './library.ts'
import type { ModelName } from './name.ts'
import type { PullRequest } from './registry/pull.ts'
import type { RemoteModel } from './registry/source.ts'
import { checkUpdates } from './registry/updates.ts'
import type { DiskUse, UpdateState, VerifyEvent } from './upkeep-facts.ts'
import { verify } from './verify.ts'

/** Looking after the models folder, for every door. */
export interface Upkeep {
  diskUse(): Promise<DiskUse>
  verify(what: { name: ModelName | null; discard: boolean }, signal: AbortSignal): AsyncIterable<VerifyEvent>
  /** Gives the blobs that were removed, or with `dryRun` would be. */
  prune(how: { dryRun: boolean }): Promise<StoredBlob[]>
  /** Asks the registries; `insecure` by plain HTTP. */
  updates(what: { name: ModelName | null; insecure: boolean }, signal: AbortSignal): Promise<UpdateState[]>
}

export function createUpkeep(library: Library, find: (request: PullRequest, signal: AbortSignal) => Promise<RemoteModel>): Upkeep {
  return {
    diskUse: () => diskUse(library.store),
    verify: (what, signal) => verify(library, what, signal),
    prune: (how) => library.store.prune(how),
    updates: (what, signal) => checkUpdates({ store: library.store, find }, what, signal),
  }
}
