import type { Log } from '../../lib/log.ts'
import { inParallel } from '../../lib/parallel.ts'
import type { RegistryClient } from './client.ts'
import { RegistryError } from './errors.ts'
import { type Part, PartialFile, type PartSizes } from './partial-file.ts'
import { PrefixHash } from './prefix-hash.ts'
import { type RetryRules, withRetries } from './retry.ts'
import type { RegistryResponse } from './transport.ts'

export interface DownloadRules {
  parts: PartSizes
  /** Connections for one blob. */
  connections: number
  retries: RetryRules
}

export interface BlobSource {
  digest: string
  sizeBytes: number
  url: URL
}

/** Bytes that are gathered before they are written, */
const batchBytes = 1024 * 1024
/** but for no longer than this: what is slow shall be seen to move, and be kept. */
const batchMs = 200
/** How often the tables of the parts are brought up to date. */
const saveEveryMs = 1000

/** What a refusal may mean when it comes from where the registry led us: that a signed address has expired. A new try asks for another. */
const expired: readonly number[] = [400, 401, 403, 404, 410]

/** The server has no use for ranges: the blob must come in one piece. */
class NoRanges extends Error {}

/** Fetches one blob into its partial file, and gives it its name when its digest is right. Made for one use. */
export class Download {
  readonly #source: BlobSource
  readonly #client: RegistryClient
  readonly #rules: DownloadRules
  readonly #log: Log
  #file: PartialFile | null = null
  #completed = 0

  constructor(source: BlobSource, client: RegistryClient, rules: DownloadRules, log: Log) {
    this.#source = source
    this.#client = client
    this.#rules = rules
    this.#log = log
  }

  /** Bytes that are there; never fewer than before, even when some are fetched again. */
  get completedBytes(): number {
    this.#completed = Math.max(this.#completed, this.#file?.completedBytes ?? 0)
    return this.#completed
  }

  /** What has come stays when the signal aborts or the registry fails; a later download goes on from there. */
  async run(final: string, signal: AbortSignal): Promise<void> {
    const { digest, sizeBytes } = this.#source
    await using file = await PartialFile.open(final, sizeBytes, this.#rules.parts)
    this.#file = file
    let actual = await this.#complete(file, signal)
    for (const suspects of suspectsFirst(file.parts)) {
      if (actual === digest) break
      const bytes = suspects.reduce((sum, { size }) => sum + size, 0)
      this.#log.warn('a blob is not what its digest says: parts of it are fetched again', { digest, actual, bytes })
      for (const part of suspects) part.completed = 0
      await file.save()
      actual = await this.#complete(file, signal)
    }
    if (actual !== digest) {
      await file.discard()
      throw new RegistryError(`digest mismatch, file must be downloaded again: want ${digest}, got ${actual}`, { isTemporary: false })
    }
    await file.finish()
  }

  /** Fetches what is missing; the digest of the whole. */
  async #complete(file: PartialFile, signal: AbortSignal): Promise<string> {
    const hash = new PrefixHash(file)
    const saving = setInterval(() => void file.save().catch(() => undefined), saveEveryMs)
    try {
      hash.written([], 0)
      const missing = file.parts.filter(({ completed, size }) => completed < size)
      await inParallel(missing, this.#rules.connections, (part, either) => this.#part(file, hash, part, either), signal).catch(async (error: unknown) => {
        if (!(error instanceof NoRanges)) throw error
        await this.#whole(file, hash, signal)
      })
      return await hash.digest(signal)
    } finally {
      clearInterval(saving)
      await hash.stop()
      await file.save()
    }
  }

  async #part(file: PartialFile, hash: PrefixHash, part: Part, signal: AbortSignal): Promise<void> {
    const attempt = async () => {
      while (part.completed < part.size) {
        const [from, end] = [part.offset + part.completed, part.offset + part.size]
        using response = await this.#request(`bytes=${from}-${end - 1}`, signal)
        if (response.status !== 206) throw new NoRanges()
        this.#checkRange(response, from)
        const before = part.completed
        await new PartWriter(file, hash, part).take(response)
        if (part.completed === before) throw this.#broken('the answer is empty')
      }
    }
    await this.#retried(file, [part], () => part.completed, attempt, signal)
  }

  /** One answer for all parts; what they have already is passed over. */
  async #whole(file: PartialFile, hash: PrefixHash, signal: AbortSignal): Promise<void> {
    const attempt = async () => {
      using response = await this.#request(null, signal)
      if (response.status !== 200) throw this.#broken(`the answer has the status ${response.status}`)
      this.#checkLength(response)
      const chunks = new Chunks(response.body())
      for (const part of file.parts) {
        await chunks.skip(part.completed)
        await new PartWriter(file, hash, part).take(response, chunks)
        if (part.completed < part.size) throw this.#broken('the answer is too short')
      }
    }
    await this.#retried(file, file.parts, () => file.completedBytes, attempt, signal)
  }

  async #retried(file: PartialFile, parts: readonly Part[], progress: () => number, attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const watched = async () => {
      try {
        await attempt()
      } catch (error) {
        if (error instanceof RegistryError) {
          for (const part of parts) part.isSuspect ||= part.completed > 0 && part.completed < part.size
          this.#log.debug('a part of a blob has to be asked for again', { digest: this.#source.digest, reason: error.message, bytes: file.completedBytes })
        }
        throw error
      }
    }
    await withRetries(this.#rules.retries, progress, watched, signal)
  }

  async #request(range: string | null, signal: AbortSignal): Promise<RegistryResponse> {
    const { url } = this.#source
    const headers = range === null ? {} : { range }
    const response = await this.#client.request(url, { headers, expect: [...expired, 416] }, signal)
    if (response.status < 400) return response
    using refused = response
    const elsewhere = refused.url.host !== url.host
    if (refused.status === 416) {
      this.#checkTotal(refused)
      if (range !== null) throw new NoRanges()
    }
    const text = await refused.bytes(64 * 1024).then(String, () => '')
    const message = refused.status === 404 ? 'file does not exist' : `${refused.status}: ${text.trim().slice(0, 300)}`
    throw new RegistryError(message, { status: refused.status, isTemporary: elsewhere })
  }

  #checkRange(response: RegistryResponse, from: number): void {
    this.#checkPage(response)
    this.#checkTotal(response)
    const start = /^bytes (\d+)-/.exec(response.headers['content-range'] ?? '')?.[1]
    if (Number(start) !== from) throw this.#broken(`the answer begins at byte ${start ?? '?'}, not at ${from}`)
  }

  #checkTotal({ headers }: RegistryResponse): void {
    const total = /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
    if (total !== undefined) this.#checkSize(Number(total))
  }

  #checkLength(response: RegistryResponse): void {
    this.#checkPage(response)
    const length = response.headers['content-length']
    if (length !== undefined) this.#checkSize(Number(length))
  }

  #checkSize(bytes: number): void {
    const { digest, sizeBytes, url } = this.#source
    if (bytes !== sizeBytes) {
      throw new RegistryError(`${url.host} has ${bytes} bytes for ${digest}, but the manifest says ${sizeBytes}`, { isTemporary: false })
    }
  }

  /** A network that wants a sign-in first answers everything with its page. */
  #checkPage({ headers, url }: RegistryResponse): void {
    if (/^text\/html\b/i.test(headers['content-type'] ?? '')) {
      throw new RegistryError(`${url.host} answers with a web page in place of ${this.#source.digest}; does this network ask for a sign-in?`)
    }
  }

  #broken(what: string): RegistryError {
    return new RegistryError(`${this.#source.url.host}, ${this.#source.digest}: ${what}`)
  }
}

/** The parts to fetch again after a mismatch: first those with a reason to doubt them, then the others. */
function suspectsFirst(parts: readonly Part[]): Part[][] {
  return [parts.filter(({ isSuspect }) => isSuspect), parts.filter(({ isSuspect }) => !isSuspect)].filter((group) => group.length > 0)
}

/** Chunks of one answer, cut where parts end. */
class Chunks {
  readonly #source: AsyncIterator<Uint8Array>
  #rest: Uint8Array | null = null

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** At most so many bytes; null at the end. */
  async next(limit: number): Promise<Uint8Array | null> {
    let chunk = this.#rest
    if (chunk === null) {
      const result = await this.#source.next()
      if (result.done) return null
      chunk = result.value
    }
    this.#rest = chunk.length > limit ? chunk.subarray(limit) : null
    return chunk.subarray(0, limit)
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const chunk = await this.next(left)
      if (chunk === null) return
      left -= chunk.length
    }
  }
}

/** Writes an answer behind what a part has: while one batch goes to the disk, the next is gathered. */
class PartWriter {
  readonly #file: PartialFile
  readonly #hash: PrefixHash
  readonly #part: Part
  #batch: Uint8Array[] = []
  #batched = 0
  #flushedAt = 0
  #writing: Promise<void> = Promise.resolve()

  constructor(file: PartialFile, hash: PrefixHash, part: Part) {
    this.#file = file
    this.#hash = hash
    this.#part = part
  }

  /** Until the part is full or the answer ends. What has come is kept when the answer breaks. */
  async take(response: RegistryResponse, chunks = new Chunks(response.body())): Promise<void> {
    let left = this.#part.size - this.#part.completed
    try {
      while (left > 0) {
        const chunk = await chunks.next(left)
        if (chunk === null) break
        left -= chunk.length
        this.#batch.push(chunk)
        this.#batched += chunk.length
        if (this.#batched >= batchBytes || performance.now() - this.#flushedAt > batchMs) await this.#flush()
      }
    } finally {
      await this.#flush()
      await this.#writing
    }
  }

  async #flush(): Promise<void> {
    await this.#writing
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    this.#batched = 0
    this.#flushedAt = performance.now()
    const position = this.#part.offset + this.#part.completed
    this.#writing = this.#file.append(this.#part, batch).then(() => this.#hash.written(batch, position))
    // The next flush meets it; until then it is not unhandled.
    this.#writing.catch(() => undefined)
  }
}
