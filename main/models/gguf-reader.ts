import type { FileHandle } from 'node:fs/promises'
import { AppError } from '../errors.ts'

const firstReadBytes = 256 * 1024
/** No single entry of a real header comes near this; the largest vocabularies are 20 MB. */
const maxWindowBytes = 128 * 1024 * 1024
const maxStringBytes = 64 * 1024 * 1024

/** Thrown when the window ends inside an entry; `atomically` reads more and starts the entry again. */
class WindowEnd extends Error {}

/**
 * Little-endian reader over a window of a file.
 *
 * No length that the file claims is believed: every read is checked against the end of the file before anything is allocated.
 */
export class GgufReader {
  readonly #file: FileHandle
  readonly sizeBytes: number
  #window: Buffer = Buffer.alloc(0)
  /** Position in the file of the window's first byte. */
  #start = 0
  /** Position in the file of the next read. */
  position = 0

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file
    this.sizeBytes = sizeBytes
  }

  /** Runs `read` again from where it began until the window holds all it needs. */
  async atomically<T>(read: () => T): Promise<T> {
    const begin = this.position
    for (;;) {
      try {
        return read()
      } catch (error) {
        if (!(error instanceof WindowEnd)) throw error
        this.position = begin
        await this.#widen()
      }
    }
  }

  uint8(): number {
    return this.#window.readUInt8(this.#take(1))
  }
  int8(): number {
    return this.#window.readInt8(this.#take(1))
  }
  uint16(): number {
    return this.#window.readUInt16LE(this.#take(2))
  }
  int16(): number {
    return this.#window.readInt16LE(this.#take(2))
  }
  uint32(): number {
    return this.#window.readUInt32LE(this.#take(4))
  }
  int32(): number {
    return this.#window.readInt32LE(this.#take(4))
  }
  uint64(): bigint {
    return this.#window.readBigUInt64LE(this.#take(8))
  }
  int64(): bigint {
    return this.#window.readBigInt64LE(this.#take(8))
  }
  float64(): number {
    return this.#window.readDoubleLE(this.#take(8))
  }

  /** As the shortest decimal that is this float: 1e-5, not 0.000009999999747378752. */
  float32(): number {
    const value = this.#window.readFloatLE(this.#take(4))
    if (!Number.isFinite(value)) return value
    for (let digits = 6; digits < 9; digits++) {
      const short = Number(value.toPrecision(digits))
      if (Math.fround(short) === value) return short
    }
    return value
  }

  string(what: string): string {
    const length = this.#stringLength(what)
    const at = this.#take(length)
    return this.#window.toString('utf8', at, at + length)
  }

  /** Goes on behind `count` texts, as many at a time as the window holds: vocabularies are hundreds of thousands. */
  async skipStrings(count: number, what: string): Promise<void> {
    const begin = this.position
    for (let left = count; left > 0; ) {
      if (this.position - begin > maxWindowBytes) throw tooLarge()
      await this.atomically(() => this.#take(this.#stringLength(what)))
      left -= 1 + this.#skipWholeStrings(left - 1)
    }
  }

  /** Goes on behind `bytes` bytes without reading them. */
  skip(bytes: number, what: string): void {
    this.#checkEnd(bytes, what)
    this.position += bytes
  }

  /** A count of things of at least `bytesEach` bytes that still have to follow. */
  count(what: string, bytesEach: number, limit = Number.MAX_SAFE_INTEGER): number {
    const count = this.uint64()
    if (count > BigInt(limit)) throw invalid(`${what}: ${count} is more than the ${limit} allowed`)
    if (count * BigInt(bytesEach) > BigInt(this.sizeBytes - this.position)) throw invalid(`${what}: ${count} do not fit into the file`)
    return Number(count)
  }

  #stringLength(what: string): number {
    const at = this.#take(8)
    const length = this.#window.readUInt32LE(at + 4) === 0 ? this.#window.readUInt32LE(at) : Number.POSITIVE_INFINITY
    if (length > maxStringBytes) {
      throw invalid(`${what}: a text of ${this.#window.readBigUInt64LE(at)} bytes is longer than the ${maxStringBytes} allowed`)
    }
    this.#checkEnd(length, what)
    return length
  }

  /** Goes on behind the texts that the window holds whole, `limit` at most; gives how many they were. */
  #skipWholeStrings(limit: number): number {
    const window = this.#window
    let at = this.position - this.#start
    let count = 0
    for (; count < limit && at + 8 <= window.length; count++) {
      const end = at + 8 + window.readUInt32LE(at)
      if (end > window.length || window.readUInt32LE(at + 4) !== 0) break
      at = end
    }
    this.position = this.#start + at
    return count
  }

  #checkEnd(bytes: number, what: string): void {
    if (bytes > this.sizeBytes - this.position) throw invalid(`the file ends inside ${what}`)
  }

  #take(bytes: number): number {
    if (bytes > this.sizeBytes - this.position) throw invalid('the file ends inside its header')
    const at = this.position - this.#start
    if (at + bytes > this.#window.length) throw new WindowEnd()
    this.position += bytes
    return at
  }

  /** Moves the window to the current position, twice as large as what did not suffice. */
  async #widen(): Promise<void> {
    const held = this.position === this.#start ? this.#window.length : 0
    if (held >= maxWindowBytes) throw tooLarge()
    const size = Math.min(Math.max(firstReadBytes, held * 2), this.sizeBytes - this.position)
    const window = Buffer.allocUnsafe(size)
    let filled = 0
    while (filled < size) {
      const { bytesRead } = await this.#file.read(window, filled, size - filled, this.position + filled)
      if (bytesRead === 0) throw invalid('the file became shorter while it was read')
      filled += bytesRead
    }
    this.#window = window
    this.#start = this.position
  }
}

function tooLarge(): AppError {
  return invalid(`one entry of the header is larger than ${maxWindowBytes} bytes`)
}

/** Reasons carry no file name; `readGguf` puts it in front. */
export function invalid(reason: string): AppError {
  return new AppError('invalid-model', reason)
}
