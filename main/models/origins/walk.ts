import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'

/** A file somewhere below a folder. */
export interface FoundFile {
  file: string
  /** Folders between the root and the file, from the outside in. */
  folders: string[]
  name: string
  sizeBytes: number
  modifiedAt: Date
  inode: number
}

export interface WalkLimits {
  /** Folders below the root that are entered one in another. */
  depth: number
  /** Files and folders that are looked at in all. */
  entries: number
}

export const walkLimits: WalkLimits = { depth: 12, entries: 100_000 }

/** What a look into a folder came upon; each warning is one sentence for the log. */
export interface Found<T> {
  found: T[]
  warnings: string[]
}

interface Folder {
  file: string
  /** The same without links, by which one that has been seen is known again. */
  real: string
  folders: string[]
}

/**
 * The files with these names below a folder, in the order of their paths; links are followed, each folder is entered once.
 *
 * One question to the disk at a time, so that a drive that does not answer holds one thread of the pool and no more. A folder that is not there is empty;
 * what may not be read is a warning.
 */
export async function findFiles(root: string, isWanted: (name: string) => boolean, signal: AbortSignal, limits = walkLimits): Promise<Found<FoundFile>> {
  const warnings: string[] = []
  const found: FoundFile[] = []
  const start = await realpath(root).catch((error: unknown) => {
    if (!isMissing(error)) warnings.push(unreadable(root, error))
    return null
  })
  if (start === null) return { found, warnings }

  const waiting: Folder[] = [{ file: root, real: start, folders: [] }]
  const seen = new Set([start])
  let looked = 0
  let tooDeep = 0
  for (let folder = waiting.shift(); folder !== undefined; folder = waiting.shift()) {
    for (const entry of await entriesOf(folder.file, warnings)) {
      signal.throwIfAborted()
      if (++looked > limits.entries) {
        warnings.push(`${root} holds more than ${limits.entries} files and folders: not all of it was looked at`)
        return { found: sorted(found), warnings }
      }
      // Hidden files and what macOS puts beside others' (`._model.gguf`) are no models.
      if (entry.name.startsWith('.')) continue
      const file = path.join(folder.file, entry.name)
      const kind = await kindOf(entry, file, isWanted, warnings)
      if (kind === 'folder') {
        const real = entry.isSymbolicLink() ? await realpath(file).catch(() => null) : path.join(folder.real, entry.name)
        if (real === null || seen.has(real)) continue
        seen.add(real)
        if (folder.folders.length >= limits.depth) tooDeep++
        else waiting.push({ file, real, folders: [...folder.folders, entry.name] })
      } else if (kind !== null) {
        found.push({ file, folders: folder.folders, name: entry.name, ...kind })
      }
    }
  }
  if (tooDeep > 0) warnings.push(`${tooDeep} folders in ${root} lie more than ${limits.depth} deep and were not entered`)
  return { found: sorted(found), warnings }
}

/** The names in a folder; none with a warning where it may not be read, none where it is gone. */
async function entriesOf(folder: string, warnings: string[]): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if (!isMissing(error)) warnings.push(unreadable(folder, error))
    return []
  }
}

async function kindOf(
  entry: Dirent,
  file: string,
  isWanted: (name: string) => boolean,
  warnings: string[],
): Promise<'folder' | Pick<FoundFile, 'sizeBytes' | 'modifiedAt' | 'inode'> | null> {
  if (entry.isDirectory()) return 'folder'
  const wanted = isWanted(entry.name)
  // A link with another name may still lead to a folder.
  if (!(entry.isFile() && wanted) && !entry.isSymbolicLink()) return null
  try {
    const stats = await stat(file)
    if (stats.isDirectory()) return 'folder'
    return stats.isFile() && wanted ? { sizeBytes: stats.size, modifiedAt: stats.mtime, inode: stats.ino } : null
  } catch (error) {
    if (wanted) warnings.push(unreadable(file, error))
    return null
  }
}

function sorted(files: FoundFile[]): FoundFile[] {
  return files.sort((a, b) => (a.file < b.file ? -1 : 1))
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

export function unreadable(file: string, error: unknown): string {
  return `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`
}
