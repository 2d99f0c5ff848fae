import { readdir, readlink, stat } from 'node:fs/promises'
import path from 'node:path'
import { readSmallFile } from '../small-file.ts'
import type { FileFacts } from './facts.ts'
import { isGguf, modelsOf, type PlacedFile, stemOf } from './gguf-files.ts'
import type { Scan } from './scanned.ts'
import { findFiles, isMissing, unreadable } from './walk.ts'

const sha256 = /^[0-9a-f]{64}$/

/** The Hugging Face cache: `models--user--repository/snapshots/<revision>/…`, links to blobs that are named by their sha256. */
export function scanHuggingFace(root: string, origin: string, facts: FileFacts): Scan {
  return async (signal) => {
    const placed: PlacedFile[] = []
    const warnings: string[] = []
    for (const name of await repositories(root, warnings)) {
      signal.throwIfAborted()
      const [, publisher, repository] = /^models--(?:(.+?)--)?(.+)$/.exec(name) ?? []
      const folder = path.join(root, name)
      const revision = await currentRevision(folder)
      if (repository === undefined || revision === null) continue
      const files = await findFiles(path.join(folder, 'snapshots', revision), isGguf, signal)
      warnings.push(...files.warnings)
      for (const file of files.found) {
        placed.push({ ...file, place: { namespace: repository, publisher: publisher ?? null, stem: stemOf(file.name) }, digest: await blobDigest(file.file) })
      }
    }
    const models = await modelsOf(placed, origin, facts, signal)
    facts.tidy()
    return { found: models.found, warnings: [...warnings, ...models.warnings] }
  }
}

async function repositories(root: string, warnings: string[]): Promise<string[]> {
  try {
    return (await readdir(root)).filter((name) => name.startsWith('models--')).sort()
  } catch (error) {
    if (!isMissing(error)) warnings.push(unreadable(root, error))
    return []
  }
}

/** What `refs/main` names; without it, as after a download of one revision, the snapshot that came last. */
async function currentRevision(folder: string): Promise<string | null> {
  const main = await readSmallFile(path.join(folder, 'refs', 'main'), 1024).catch(() => null)
  const named = main?.toString().trim() ?? ''
  const snapshots = await readdir(path.join(folder, 'snapshots')).catch((): string[] => [])
  if (snapshots.includes(named)) return named
  let latest: string | null = null
  let latestMs = Number.NEGATIVE_INFINITY
  for (const name of snapshots.sort()) {
    const stats = await stat(path.join(folder, 'snapshots', name)).catch(() => null)
    if (stats === null || !stats.isDirectory() || stats.mtimeMs <= latestMs) continue
    latest = name
    latestMs = stats.mtimeMs
  }
  return latest
}

/** The sha256 that the blob behind a link is named by; null for a file in place of a link (Windows without the right to link) and for other names. */
async function blobDigest(file: string): Promise<string | null> {
  const target = path.basename(await readlink(file).catch(() => ''))
  return sha256.test(target) ? `sha256:${target}` : null
}
