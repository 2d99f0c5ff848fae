import { statfs } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { makeFolder } from './disk.ts'

/** Throws `disk-full` when `folder` has no room for so many bytes more, naming both figures. */
export async function requireSpace(folder: string, neededBytes: number, what: string): Promise<void> {
  if (neededBytes <= 0) return
  await makeFolder(folder)
  const { bavail, bsize } = await statfs(folder)
  const freeBytes = bavail * bsize
  if (neededBytes <= freeBytes) return
  throw new AppError(
    'disk-full',
    `not enough space in ${folder} for ${what}: it needs ${shown(neededBytes)} more, and ${shown(freeBytes)} are free; free some, or set OLLAMA_MODELS to a folder on another disk`,
  )
}

function shown(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1)} GB (${bytes} bytes)`
}
