import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { copyFile, type FileHandle, link, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'
import { diskError, incomingName, incomingPrefix, makeFolder } from './disk.ts'

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

/** Files named by their content, in `blobs/` of a models folder, laid out as Ollama does. */
export class BlobStore {
  readonly folder: string

  constructor(root: string) {
    this.folder = path.join(root, 'blobs')
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
    const incoming = path.join(this.folder, incomingName())
    try {
      const hash = createHash('sha256')
      let sizeBytes = 0
      const handle = await open(incoming, 'wx', 0o644)
      try {
        for await (const chunk of stream) {
          signal.throwIfAborted()
          hash.update(chunk)
          await writeAll(handle, chunk)
          sizeBytes += chunk.length
        }
        signal.throwIfAborted()
        await handle.sync()
      } finally {
        await handle.close()
      }
      const digest = `sha256:${hash.digest('hex')}`
      if (wanted !== null && wanted !== digest) throw mismatch(wanted, digest)
      return { digest, sizeBytes, created: await this.#keep(incoming, digest) }
    } catch (error) {
      await rm(incoming, { force: true })
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

  /**
   * Brings a file from elsewhere into the store: shares its bytes where the file system can, else copies them. Checks the digest; null takes any.
   *
   * @param before told the digest once it is sure and before the blob is there, for the caller to hold on to it
   */
  async adopt(expected: string | null, file: string, signal: AbortSignal, before?: (digest: string) => void): Promise<WrittenBlob> {
    if (expected !== null) before?.(expected)
    if (expected !== null && (await this.has(expected))) return { digest: expected, sizeBytes: (await stat(this.path(expected))).size, created: false }
    await makeFolder(this.folder)
    const incoming = path.join(this.folder, incomingName())
    try {
      await copyFile(file, incoming, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
        .catch(() => linkFile(file, incoming))
        .catch(() => copyFile(file, incoming, constants.COPYFILE_EXCL))
      const digest = await digestOfFile(incoming, signal)
      if (expected !== null && digest !== expected) throw new AppError('invalid-model', `${file} is damaged: ${mismatch(expected, digest).message}`)
      if (expected === null) before?.(digest)
      const { size } = await stat(incoming)
      return { digest, sizeBytes: size, created: await this.#keep(incoming, digest) }
    } catch (error) {
      await rm(incoming, { force: true })
      throw diskError(error, this.folder)
    }
  }

  async remove(digest: string): Promise<void> {
    await rm(this.path(digest), { force: true }).catch((error: unknown) => {
      throw diskError(error, this.folder)
    })
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

  /** Removes what writes that never ended have left, if it has not been touched since `beforeMs`. */
  async removeAbandoned(beforeMs: number): Promise<number> {
    let removed = 0
    for (const name of await this.#names()) {
      if (!name.startsWith(incomingPrefix)) continue
      const file = path.join(this.folder, name)
      const entry = await stat(file).catch(() => null)
      if (entry === null || entry.mtimeMs >= beforeMs) continue
      await rm(file, { force: true })
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

  async #keep(incoming: string, digest: string): Promise<boolean> {
    if (await this.has(digest)) {
      await rm(incoming, { force: true })
      return false
    }
    await rename(incoming, this.path(digest))
    return true
  }
}

/** Of a link to a file the file itself: a second name for a link would break with what it leads to. */
async function linkFile(file: string, target: string): Promise<void> {
  await link(await realpath(file), target)
}

function mismatch(wanted: string, actual: string): AppError {
  return new AppError('invalid-request', `digest mismatch, expected ${JSON.stringify(wanted)}, got ${JSON.stringify(actual)}`)
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) written += (await handle.write(chunk, written)).bytesWritten
}

export async function digestOfFile(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20, signal })) hash.update(chunk as Buffer)
  return `sha256:${hash.digest('hex')}`
}
