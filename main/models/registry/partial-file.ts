import { type FileHandle, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { partialEnd } from '../blobs.ts'
import { diskError, incomingName, makeFolder } from '../disk.ts'

/** Sizes of the pieces that a blob is fetched in. */
export interface PartSizes {
  minBytes: number
  maxBytes: number
}

/** The peer's own (native protocol reference, §5.9), so that either program goes on with what the other began. */
export const partSizes: PartSizes = { minBytes: 100_000_000, maxBytes: 1_000_000_000 }
const partsAtMost = 16

export interface Part {
  /** Number in its table's name. */
  readonly n: number
  readonly offset: number
  readonly size: number
  /** Bytes that are in the file, from the part's start. */
  completed: number
  /** Some of them may be wrong: an earlier process left them, or the connection broke. */
  isSuspect: boolean
}

const PartTable = z.object({ N: z.int().nonnegative(), Offset: z.int().nonnegative(), Size: z.int().positive(), Completed: z.int().nonnegative() })

/**
 * A blob that is not complete: `sha256-<hex>-partial`, with a table `sha256-<hex>-partial-<N>` for each of its parts.
 *
 * Names and content are the peer's. It gets its final name by `finish` alone.
 */
export class PartialFile implements AsyncDisposable {
  readonly parts: readonly Part[]
  readonly #final: string
  readonly #handle: FileHandle
  readonly #saved = new Map<Part, number>()
  #saving: Promise<void> = Promise.resolve()

  private constructor(final: string, handle: FileHandle, parts: readonly Part[]) {
    this.#final = final
    this.#handle = handle
    this.parts = parts
  }

  /** Opens what is there of the blob that will be `final`, or begins it. */
  static async open(final: string, sizeBytes: number, sizes: PartSizes): Promise<PartialFile> {
    const folder = path.dirname(final)
    await makeFolder(folder)
    try {
      const found = await readParts(final, sizeBytes)
      const handle = await open(partialName(final), found === null ? 'w+' : 'r+', 0o644)
      const partial = new PartialFile(final, handle, found ?? freshParts(sizeBytes, sizes))
      if (found === null) await removeTables(final)
      await handle.truncate(sizeBytes)
      await partial.save()
      return partial
    } catch (error) {
      throw diskError(error, folder)
    }
  }

  get completedBytes(): number {
    return this.parts.reduce((sum, { completed }) => sum + completed, 0)
  }

  /** Where the first gap begins. */
  get prefixBytes(): number {
    let end = 0
    for (const { completed, size } of this.parts) {
      end += completed
      if (completed < size) break
    }
    return end
  }

  /** Puts bytes behind those that the part has. */
  async append(part: Part, chunks: readonly Uint8Array[]): Promise<void> {
    let position = part.offset + part.completed
    try {
      let left = chunks
      while (left.length > 0) {
        const { bytesWritten } = await this.#handle.writev(left, position)
        position += bytesWritten
        left = behind(left, bytesWritten)
      }
    } catch (error) {
      throw diskError(error, path.dirname(this.#final))
    }
    part.completed = position - part.offset
  }

  /** Bytes of the file; fewer than asked for only at its end. */
  async read(buffer: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(buffer, 0, buffer.length, position)).bytesRead
  }

  /** Writes the tables of the parts that have moved on. */
  save(): Promise<void> {
    // One after the other: an older state must not come last.
    const saved = this.#saving.then(() => this.#save())
    this.#saving = saved.catch(() => undefined)
    return saved
  }

  async #save(): Promise<void> {
    const folder = path.dirname(this.#final)
    for (const part of this.parts) {
      const { n, offset, size, completed } = part
      if (this.#saved.get(part) === completed) continue
      const incoming = path.join(folder, incomingName())
      try {
        await writeFile(incoming, `${JSON.stringify({ N: n, Offset: offset, Size: size, Completed: completed })}\n`)
        await rename(incoming, `${partialName(this.#final)}-${n}`)
      } catch (error) {
        await rm(incoming, { force: true })
        throw diskError(error, folder)
      }
      this.#saved.set(part, completed)
    }
  }

  /** Gives the file its final name, once it has been checked. */
  async finish(): Promise<void> {
    try {
      await this.#handle.sync()
      await this.#handle.close()
      await rename(partialName(this.#final), this.#final)
      await removeTables(this.#final)
    } catch (error) {
      throw diskError(error, path.dirname(this.#final))
    }
  }

  /** Removes it with its tables. */
  async discard(): Promise<void> {
    await this.#handle.close()
    await removePartial(this.#final)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

/** Bytes that are there of the blob that will be `final`. */
export async function partialBytes(final: string, sizeBytes: number): Promise<number> {
  const parts = await readParts(final, sizeBytes)
  return (parts ?? []).reduce((sum, { completed }) => sum + completed, 0)
}

export async function removePartial(final: string): Promise<void> {
  await rm(partialName(final), { force: true })
  await removeTables(final)
}

function partialName(final: string): string {
  return `${final}${partialEnd}`
}

function freshParts(sizeBytes: number, { minBytes, maxBytes }: PartSizes): Part[] {
  const step = Math.min(Math.max(Math.floor(sizeBytes / partsAtMost), minBytes), maxBytes)
  const parts: Part[] = []
  for (let offset = 0; offset < sizeBytes; offset += step) {
    parts.push({ n: parts.length, offset, size: Math.min(step, sizeBytes - offset), completed: 0, isSuspect: false })
  }
  return parts
}

/**
 * The parts that an earlier process left; null when there is nothing to go on with.
 *
 * A table that is missing or torn costs its own part: what no table speaks of becomes a part of its own. Tables that contradict each other or the blob's size are not believed.
 */
async function readParts(final: string, sizeBytes: number): Promise<Part[] | null> {
  const file = await stat(partialName(final)).catch(() => null)
  if (!file?.isFile() || file.size > sizeBytes) return null
  const tables: Part[] = []
  for (const n of await tableNumbers(final)) {
    const table = await readTable(`${partialName(final)}-${n}`)
    if (table === null) continue
    const { Offset: offset, Size: size, Completed } = table
    const completed = Math.max(0, Math.min(Completed, file.size - offset))
    if (Completed > size || offset + size > sizeBytes) return null
    tables.push({ n, offset, size, completed, isSuspect: completed > 0 })
  }
  tables.sort((a, b) => a.offset - b.offset)
  return tables.length === 0 ? null : withoutGaps(tables, sizeBytes)
}

function withoutGaps(tables: Part[], sizeBytes: number): Part[] | null {
  const parts: Part[] = []
  let free = Math.max(...tables.map(({ n }) => n)) + 1
  let end = 0
  const fill = (to: number) => {
    if (to > end) parts.push({ n: free++, offset: end, size: to - end, completed: 0, isSuspect: false })
  }
  for (const part of tables) {
    if (part.offset < end) return null
    fill(part.offset)
    parts.push(part)
    end = part.offset + part.size
  }
  fill(sizeBytes)
  return parts
}

async function readTable(file: string): Promise<z.infer<typeof PartTable> | null> {
  try {
    return PartTable.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    // Torn by a crash: the part begins anew.
    return null
  }
}

async function tableNumbers(final: string): Promise<number[]> {
  const start = `${path.basename(partialName(final))}-`
  const names = await readdir(path.dirname(final)).catch(() => [])
  return names.filter((name) => name.startsWith(start) && /^\d{1,9}$/.test(name.slice(start.length))).map((name) => Number(name.slice(start.length)))
}

async function removeTables(final: string): Promise<void> {
  for (const n of await tableNumbers(final)) await rm(`${partialName(final)}-${n}`, { force: true })
}

/** What is left of the chunks behind so many bytes. */
function behind(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = []
  let skip = bytes
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(chunk.subarray(skip))
    skip = Math.max(0, skip - chunk.length)
  }
  return left
}
