import { createHash } from 'node:crypto'
import type { PartialFile } from './partial-file.ts'

const blockBytes = 1024 * 1024

/**
 * SHA-256 of a file while it is written in several places: hashes each byte once the ones before it are there.
 *
 * What comes in order is hashed on its way to the disk; the rest is read back when its turn comes.
 */
export class PrefixHash {
  readonly #file: PartialFile
  readonly #hash = createHash('sha256')
  #at = 0
  #reading: Promise<void> | null = null
  #stopped = false

  constructor(file: PartialFile) {
    this.#file = file
  }

  /** Tells it of bytes that now stand at `position`. */
  written(chunks: readonly Uint8Array[], position: number): void {
    if (this.#stopped) return
    if (this.#reading === null && position === this.#at) {
      for (const chunk of chunks) {
        this.#hash.update(chunk)
        this.#at += chunk.length
      }
    }
    this.#follow()
  }

  /** The digest, once the file is complete. Throws what reading the file throws. */
  async digest(signal: AbortSignal): Promise<string> {
    while (this.#at < this.#file.prefixBytes) {
      signal.throwIfAborted()
      this.#follow()
      await this.#reading
    }
    return `sha256:${this.#hash.digest('hex')}`
  }

  /** Resolves when it reads the file no more. */
  async stop(): Promise<void> {
    this.#stopped = true
    // Whoever asks for the digest is told of a failure; here nobody does any more.
    await this.#reading?.catch(() => undefined)
  }

  #follow(): void {
    if (this.#reading !== null || this.#at >= this.#file.prefixBytes) return
    this.#reading = this.#readBack().finally(() => {
      this.#reading = null
    })
    // `digest` meets the same failure when it reads on.
    this.#reading.catch(() => undefined)
  }

  async #readBack(): Promise<void> {
    const block = Buffer.allocUnsafe(blockBytes)
    for (let end = this.#file.prefixBytes; this.#at < end && !this.#stopped; end = this.#file.prefixBytes) {
      const bytes = await this.#file.read(block.subarray(0, Math.min(blockBytes, end - this.#at)), this.#at)
      if (bytes === 0) throw new Error('the file became shorter while it was read')
      this.#hash.update(block.subarray(0, bytes))
      this.#at += bytes
    }
  }
}
