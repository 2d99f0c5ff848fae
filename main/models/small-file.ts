import { lstat, readFile, stat } from 'node:fs/promises'
import { digestOf } from './blobs.ts'

/** A file of at most so many bytes; throws the system's error, or one that says what is wrong. */
export async function readSmallFile(file: string, maxBytes = 1024 * 1024): Promise<Buffer> {
  const stats = await stat(file)
  // Before opening: opening a pipe would wait for its writer.
  if (!stats.isFile()) throw new Error('not a file')
  if (stats.size > maxBytes) throw new Error(`larger than ${maxBytes} bytes`)
  return readFile(file)
}

/** A small blob of any store. One that is a link could show a file of somebody else's: it has to be what its digest says. */
export async function readBlob(file: string, digest: string, maxBytes?: number): Promise<Buffer> {
  const bytes = await readSmallFile(file, maxBytes)
  if ((await lstat(file)).isSymbolicLink() && digestOf(bytes) !== digest) throw new Error('it is a link to something else')
  return bytes
}
