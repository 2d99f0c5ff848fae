import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import type { Library } from './library.ts'
import { displayName, type ModelName } from './name.ts'
import type { Entry } from './origin.ts'
import type { BlobState, VerifyEvent } from './upkeep-facts.ts'

/** How often a large file says how far it has come. */
const progressBytes = 64 * 2 ** 20

interface Blob {
  digest: string
  file: string
  models: string[]
}

/**
 * Reads every file of one model, or with null of all, again and compares it with its digest; a file that several share is read once.
 *
 * Files of other programs whose names say nothing of their content are left out: there is nothing to compare them with. With `discard` a damaged file leaves
 * our store; nobody else's is touched.
 */
export async function* verify(
  library: Library,
  { name, discard }: { name: ModelName | null; discard: boolean },
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, void> {
  for (const { digest, file, models } of blobsOf(library, await entriesOf(library, name))) {
    let state: BlobState = 'missing'
    for await (const found of check(digest, file, signal)) {
      if (typeof found === 'string') state = found
      else yield found
    }
    const removed = discard && state === 'damaged' && file === library.store.blobs.path(digest)
    if (removed) await library.store.discard(digest)
    yield { type: 'result', digest, file, state, models, removed }
  }
}

async function entriesOf(library: Library, name: ModelName | null): Promise<Entry[]> {
  if (name === null) return library.entries()
  const entry = await library.find(name)
  if (entry === null) throw new AppError('model-not-found', `model '${displayName(name)}' not found`)
  return [entry]
}

function blobsOf(library: Library, entries: readonly Entry[]): Blob[] {
  const blobs = new Map<string, Blob>()
  for (const entry of entries) {
    const name = displayName(entry.name)
    for (const { digest, file } of filesOf(library, entry)) {
      const known = blobs.get(file)
      if (known === undefined) blobs.set(file, { digest, file, models: [name] })
      else if (!known.models.includes(name)) known.models.push(name)
    }
  }
  return [...blobs.values()]
}

function filesOf(library: Library, { origin, configBlob, layers }: Entry): { digest: string; file: string }[] {
  const config = origin === library.store.id ? [{ digest: configBlob.digest, file: library.store.blobs.path(configBlob.digest) }] : []
  return [...layers.filter(({ unhashed }) => !unhashed), ...config]
}

async function* check(digest: string, file: string, signal: AbortSignal): AsyncGenerator<BlobState | VerifyEvent, void> {
  const stats = await stat(file).catch(() => null)
  if (stats === null || !stats.isFile()) {
    yield 'missing'
    return
  }
  const hash = createHash('sha256')
  let completedBytes = 0
  let told = 0
  yield { type: 'progress', digest, completedBytes, totalBytes: stats.size }
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20, signal })) {
    hash.update(chunk as Buffer)
    completedBytes += (chunk as Buffer).length
    if (completedBytes - told < progressBytes) continue
    told = completedBytes
    yield { type: 'progress', digest, completedBytes, totalBytes: stats.size }
  }
  yield `sha256:${hash.digest('hex')}` === digest ? 'intact' : 'damaged'
}
