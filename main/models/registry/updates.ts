import { createHash } from 'node:crypto'
import { AppError, isAbort } from '../../errors.ts'
import { inParallel } from '../../lib/parallel.ts'
import { isBroken, type StoredManifest } from '../manifest.ts'
import { displayName, type ModelName } from '../name.ts'
import type { Store } from '../store.ts'
import type { UpdateState } from '../upkeep-facts.ts'
import { RegistryError } from './errors.ts'
import type { PullRequest } from './pull.ts'
import type { RemoteModel } from './source.ts'

const together = 4

/** Asks the registries of these models of our store, or with null of all, whether their manifest is still the one that is here. */
export async function checkUpdates(
  { store, find }: { store: Pick<Store, 'manifests'>; find: (request: PullRequest, signal: AbortSignal) => Promise<RemoteModel> },
  { name, insecure }: { name: ModelName | null; insecure: boolean },
  signal: AbortSignal,
): Promise<UpdateState[]> {
  const manifests = name === null ? store.manifests.list() : [store.manifests.find(name)].filter((found) => found !== null)
  if (name !== null && manifests.length === 0) throw new AppError('model-not-found', `model '${displayName(name)}' not found`)
  const states = new Map<string, UpdateState>()
  await inParallel(
    manifests.filter((manifest): manifest is StoredManifest => !isBroken(manifest)),
    together,
    async (manifest, either) => {
      const shown = displayName(manifest.name)
      try {
        const remote = await find({ name: manifest.name, insecure }, either)
        const digest = createHash('sha256').update(remote.manifest).digest('hex')
        states.set(shown, { name: shown, state: digest === manifest.digest ? 'current' : 'newer' })
      } catch (error) {
        if (isAbort(error) || !(error instanceof AppError)) throw error
        const reason = error instanceof RegistryError && error.status === 404 ? 'its registry has no model of this name' : error.message
        states.set(shown, { name: shown, state: 'unknown', reason })
      }
    },
    signal,
  )
  return manifests.map((manifest) => states.get(displayName(manifest.name))).filter((state) => state !== undefined)
}
