import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { bytesOf } from './file-bytes.ts'
import { identity } from './headers.ts'
import type { Library } from './library.ts'
import { displayName, type ModelName } from './name.ts'
import type { Entry } from './origin.ts'
import type { BlobState, VerifyEvent } from './upkeep-facts.ts'

/** How often a large file says how far it has come. */
const progressBytes = 64 * 2 ** 20

interface Blob {
  digest: string
  file: string
  entries: Entry[]
}

/**
 * Reads every file of one model, or with null of all, again and compares it with its digest; a file that several share is read once.
 *
 * Files of other programs whose names say nothing of their content are left out: there is nothing to compare them with. With `discard` a damaged file leaves
 * our store; nobody else's is touched. What is deleted or replaced while it is read is not taken for damaged.
 */
export async function* verify(
  library: Library,
  { name, discard }: { name: ModelName | null; discard: boolean },
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, void> {
  for (const blob of blobsOf(library, await entriesOf(library, name))) {
    const { digest, file } = blob
    const found = yield* check(digest, file, signal)
    if (found.state === 'missing' && !(await isStillNamed(library, blob))) continue
    const mayGo = discard && found.state === 'damaged' && file === library.store.blobs.path(digest)
    const removed = mayGo && (await library.store.discard(digest, found.identity))
    yield { type: 'result', digest, file, state: found.state, models: [...new Set(blob.entries.map((entry) => displayName(entry.name)))], removed }
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
    for (const { digest, file } of filesOf(library, entry)) {
      const known = blobs.get(file)
      if (known === undefined) blobs.set(file, { digest, file, entries: [entry] })
      else known.entries.push(entry)
    }
  }
  return [...blobs.values()]
}

function filesOf(library: Library, { origin, configBlob, layers }: Entry): { digest: string; file: string }[] {
  const config = origin === library.store.id ? [{ digest: configBlob.digest, file: library.store.blobs.path(configBlob.digest) }] : []
  return [...layers.filter(({ unhashed }) => !unhashed), ...config]
}

/** False when all models that had it were deleted meanwhile. */
async function isStillNamed(library: Library, { file, entries }: Blob): Promise<boolean> {
  for (const { name } of entries) {
    const now = await library.find(name)
    if (now !== null && filesOf(library, now).some((one) => one.file === file)) return true
  }
  return false
}

/** `identity` is that of the file which was read. */
async function* check(digest: string, file: string, signal: AbortSignal): AsyncGenerator<VerifyEvent, { state: BlobState; identity: string }> {
  for (;;) {
    const stats = await stat(file).catch(() => null)
    if (!stats?.isFile()) return { state: 'missing', identity: '' }
    const hash = createHash('sha256')
    let completedBytes = 0
    let told = 0
    yield { type: 'progress', digest, completedBytes, totalBytes: stats.size }
    try {
      for await (const chunk of bytesOf(file, signal)) {
        hash.update(chunk)
        completedBytes += chunk.length
        if (completedBytes - told < progressBytes) continue
        told = completedBytes
        yield { type: 'progress', digest, completedBytes, totalBytes: stats.size }
      }
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'unavailable')) throw error
      return { state: existsSync(file) ? 'unreadable' : 'missing', identity: '' }
    }
    const before = identity(file, stats)
    if (`sha256:${hash.digest('hex')}` === digest) return { state: 'intact', identity: before }
    const now = await stat(file).catch(() => null)
    if (now !== null && identity(file, now) === before) return { state: 'damaged', identity: before }
    // It was replaced while it was read: what is there now counts.
  }
}
