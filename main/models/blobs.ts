import { createHash } from 'node:crypto'
import { constants, renameSync } from 'node:fs'
import { copyFile, type FileHandle, link, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'
import { diskError, incomingName, incomingPrefix, makeFolder } from './disk.ts'
import { bytesOf } from './file-bytes.ts'
import { requireSpace } from './free-space.ts'

/** A blob that is being downloaded has this behind its name. */
export const partialEnd = '-partial'
const digestPattern = /^sha256[:-]([0-9a-f]{64})$/

/** `sha256:<hex>` of either spelling; null when it is not a digest. */
export function normalizeDigest(digest: string): string | null {
  const hex = digestPattern.exec(digest)?.[1]
  return hex === undefined ? null : `sha256:${hex}`
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export interface WrittenBlob {
  digest: string
  sizeBytes: number
  /** False when the blob was there already. */
  created: boolean
}

export interface StoredBlob {
  digest: string
  file: string
  sizeBytes: number
  modifiedAtMs: number
}

/** How a file is brought in. */
export interface AdoptOptions {
  signal: AbortSignal
  /** Told the digest once it is sure and before the blob is there, for the caller to hold on to it. */
  before?: (digest: string) => void
  /** Given what tells how many bytes have been read, once there is anything to tell. */
  follow?: (completed: () => number) => void
}

/** Files named by their content, in `blobs/` of a models folder, laid out as Ollama does. */
export class BlobStore {
  readonly folder: string
  /** Names of what is being written now. */
  readonly #incoming = new Set<string>()

  constructor(root: string) {
    this.folder = path.join(root, 'blobs')
  }

  /** A file or folder for what is still being made: the housekeeping leaves it alone until it is disposed, which removes it. */
  incoming(): { file: string } & AsyncDisposable {
    const name = incomingName()
    const file = path.join(this.folder, name)
    this.#incoming.add(name)
    return {
      file,
      [Symbol.asyncDispose]: async () => {
        // What cannot be removed now the housekeeping finds by its name; the reason why it is removed is what counts.
        await rm(file, { recursive: true, force: true }).catch(() => undefined)
        this.#incoming.delete(name)
      },
    }
  }

  /** Where the blob lies: the one place where a digest becomes a path, so a hostile one ends here. */
  path(digest: string): string {
    const known = normalizeDigest(digest)
    if (known === null) throw new AppError('invalid-request', 'invalid digest format')
    return path.join(this.folder, known.replace(':', '-'))
  }

  async has(digest: string): Promise<boolean> {
    const entry = await stat(this.path(digest)).catch(() => null)
    return entry?.isFile() ?? false
  }

  /** True when a blob of just this size is there. */
  async holds(digest: string, sizeBytes: number): Promise<boolean> {
    const entry = await stat(this.path(digest)).catch(() => null)
    return entry?.isFile() === true && entry.size === sizeBytes
  }

  async open(digest: string): Promise<FileHandle> {
    const file = this.path(digest)
    return open(file).catch((error: unknown) => {
      throw new AppError('not-found', `blob ${JSON.stringify(digest)} not found`, { cause: error })
    })
  }

  /**
   * Keeps what `stream` delivers if its digest is the expected one; null takes any.
   *
   * The bytes go to another name first: whatever goes wrong, nothing half-written is left.
   */
  async write(expected: string | null, stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, signal: AbortSignal): Promise<WrittenBlob> {
    const wanted = expected === null ? null : path.basename(this.path(expected)).replace('-', ':')
    await makeFolder(this.folder)
    await using incoming = this.incoming()
    try {
      const { digest, sizeBytes } = await copied(stream, incoming.file, signal)
      if (wanted !== null && wanted !== digest) throw mismatch(wanted, digest)
      return { digest, sizeBytes, created: await this.#keep(incoming.file, digest, sizeBytes) }
    } catch (error) {
      throw diskError(error, this.folder)
    }
  }

  /** Keeps a text. `before` is told the digest first, so that the caller can hold on to the blob from the moment it exists. */
  async writeText(text: string, signal: AbortSignal, before: (digest: string) => void): Promise<WrittenBlob> {
    const bytes = Buffer.from(text)
    const digest = digestOf(bytes)
    before(digest)
    return this.write(digest, [bytes], signal)
  }

  /** Brings a file from elsewhere into the store: shares its bytes where the file system can, else copies them. Checks the digest; null takes any. */
  async adopt(expected: string | null, file: string, { signal, before, follow }: AdoptOptions): Promise<WrittenBlob> {
    if (expected !== null) before?.(expected)
    const { size: sizeBytes } = await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw new AppError('unavailable', `${file} cannot be read (${error.code}); is its drive connected?`, { cause: error })
    })
    if (expected !== null && (await this.holds(expected, sizeBytes))) return { digest: expected, sizeBytes, created: false }
    await makeFolder(this.folder)
    await using incoming = this.incoming()
    try {
      let completed = 0
      const counted = async function* (source: string) {
        follow?.(() => completed)
        for await (const chunk of bytesOf(source, signal)) {
          yield chunk
          completed += chunk.length
        }
      }
      const isShared = await shared(file, incoming.file)
      if (!isShared) await requireSpace(this.folder, sizeBytes, file)
      const written = isShared ? await hashed(counted(incoming.file)) : await copied(counted(file), incoming.file, signal)
      if (expected !== null && written.digest !== expected) {
        throw new AppError('invalid-model', `${file} is damaged: ${mismatch(expected, written.digest).message}`)
      }
      if (expected === null) before?.(written.digest)
      return { ...written, created: await this.#keep(incoming.file, written.digest, written.sizeBytes) }
    } catch (error) {
      throw diskError(error, this.folder)
    }
  }

  /** Removes a blob: from this very moment it is not there, though its bytes may take longer to go. */
  async remove(digest: string): Promise<void> {
    await this.#moveAway(this.path(digest))
  }

  async #moveAway(file: string): Promise<void> {
    await using leaving = this.incoming()
    try {
      renameSync(file, leaving.file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(error, this.folder)
    }
  }

  /** Finished blobs; `sha256:` in a name, which old versions of Ollama wrote, becomes `sha256-`. */
  async list(): Promise<StoredBlob[]> {
    const blobs: StoredBlob[] = []
    for (const name of await this.#names()) {
      const digest = normalizeDigest(name)
      if (digest === null) continue
      const file = this.path(digest)
      if (name !== path.basename(file)) await rename(path.join(this.folder, name), file)
      const entry = await stat(file).catch(() => null)
      if (entry?.isFile()) blobs.push({ digest, file, sizeBytes: entry.size, modifiedAtMs: entry.mtimeMs })
    }
    return blobs
  }

  /** What downloads have begun, by the names that Ollama gives them; bytes on the disk, as such files have holes. */
  async listPartial(): Promise<StoredBlob[]> {
    const found: StoredBlob[] = []
    for (const name of await this.#names()) {
      const digest = name.endsWith(partialEnd) ? normalizeDigest(name.slice(0, -partialEnd.length)) : null
      if (digest === null) continue
      const file = path.join(this.folder, name)
      const entry = await stat(file).catch(() => null)
      if (entry?.isFile()) found.push({ digest, file, sizeBytes: Math.min(entry.size, entry.blocks * 512), modifiedAtMs: entry.mtimeMs })
    }
    return found
  }

  /** Removes what a download has begun, with the tables of its parts: from this very moment it is not there. */
  async removePartial(digest: string): Promise<void> {
    const partial = `${path.basename(this.path(digest))}${partialEnd}`
    await this.#moveAway(path.join(this.folder, partial))
    for (const name of await this.#names()) if (name.startsWith(`${partial}-`)) await rm(path.join(this.folder, name), { force: true })
  }

  /** Removes what writes that never ended have left, if it has not been touched since `beforeMs`. */
  async removeAbandoned(beforeMs: number): Promise<number> {
    let removed = 0
    for (const name of await this.#names()) {
      if (!name.startsWith(incomingPrefix) || this.#incoming.has(name)) continue
      const file = path.join(this.folder, name)
      const entry = await stat(file).catch(() => null)
      if (entry === null || entry.mtimeMs >= beforeMs) continue
      await rm(file, { recursive: true, force: true })
      removed++
    }
    return removed
  }

  async #names(): Promise<string[]> {
    return readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw diskError(error, this.folder)
    })
  }

  /** A blob that is there already stays, unless it is too short or too long to be what its name says. */
  async #keep(incoming: string, digest: string, sizeBytes: number): Promise<boolean> {
    if (await this.holds(digest, sizeBytes)) return false
    await rename(incoming, this.path(digest))
    return true
  }
}

/** Gives the bytes of a file another name, which costs nothing; false where the file system cannot. */
async function shared(file: string, target: string): Promise<boolean> {
  return copyFile(file, target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    .catch(() => linkFile(file, target))
    .then(
      () => true,
      () => false,
    )
}

/** Of a link to a file the file itself: a second name for a link would break with what it leads to. */
async function linkFile(file: string, target: string): Promise<void> {
  await link(await realpath(file), target)
}

function mismatch(wanted: string, actual: string): AppError {
  return new AppError('invalid-request', `digest mismatch, expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`)
}

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>

async function hashed(chunks: Chunks, take: (chunk: Uint8Array) => Promise<void> = async () => {}): Promise<{ digest: string; sizeBytes: number }> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of chunks) {
    hash.update(chunk)
    await take(chunk)
    sizeBytes += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

async function copied(chunks: Chunks, target: string, signal: AbortSignal): Promise<{ digest: string; sizeBytes: number }> {
  const handle = await open(target, 'wx', 0o644)
  try {
    const written = await hashed(chunks, async (chunk) => {
      signal.throwIfAborted()
      await writeAll(handle, chunk)
    })
    signal.throwIfAborted()
    await handle.sync()
    return written
  } finally {
    await handle.close()
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) written += (await handle.write(chunk, written)).bytesWritten
}

export async function digestOfFile(file: string, signal: AbortSignal): Promise<string> {
  return (await hashed(bytesOf(file, signal))).digest
}
