import { randomUUID } from 'node:crypto'
import { constants, existsSync } from 'node:fs'
import { access, mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'

/** Names of files that are still being written begin with this (no name of a model or blob does); what a crash leaves is found by it. */
export const incomingPrefix = '.incoming-'

export function incomingName(): string {
  return incomingPrefix + randomUUID()
}

/** What the caller can do about a failed write in `folder`; errors that say nothing about the disk come back as they are. */
export function diskError(error: unknown, folder: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new AppError('disk-full', `no space left in ${folder}; free some, or set OLLAMA_MODELS to a folder on another disk`, { cause: error })
    case 'EFBIG':
      return new AppError('disk-full', `the disk of ${folder} takes no file that large (FAT32 none over 4 GB); set OLLAMA_MODELS to a folder on another disk`, {
        cause: error,
      })
    case 'EIO':
      return new AppError('unavailable', `the disk of ${folder} fails (EIO): save what is on it, and set OLLAMA_MODELS to a folder on another disk`, {
        cause: error,
      })
    case 'ENOENT':
      if (existsSync(folder)) return error
      return new AppError('unavailable', `the models folder ${folder} is gone; connect its drive, or set OLLAMA_MODELS to another folder`, { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ENOTDIR':
      return new AppError('unavailable', `the models folder ${folder} cannot be written (${code}); change its permissions or set OLLAMA_MODELS`, {
        cause: error,
      })
    default:
      return error
  }
}

/** Makes `folder` and those above it. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    // Node says ENOENT where the disk is read-only; what the folder above says is the reason.
    await access(existingFolder(folder), constants.W_OK).catch((reason: unknown) => {
      throw diskError(reason, folder)
    })
    throw diskError(error, folder)
  }
}

function existingFolder(folder: string): string {
  return existsSync(folder) || folder === path.dirname(folder) ? folder : existingFolder(path.dirname(folder))
}

/** Puts `bytes` into `file` so that a reader sees the old content or the new, never a part. */
export async function replaceFile(file: string, bytes: Uint8Array): Promise<void> {
  const folder = path.dirname(file)
  await makeFolder(folder)
  const incoming = path.join(folder, incomingName())
  try {
    await using handle = await open(incoming, 'wx', 0o644)
    await handle.writeFile(bytes)
    await handle.sync()
    await handle.close()
    await rename(incoming, file)
  } catch (error) {
    await rm(incoming, { force: true })
    throw diskError(error, folder)
  }
}
