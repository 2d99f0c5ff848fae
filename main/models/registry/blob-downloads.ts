import type { Log } from '../../lib/log.ts'
import type { BlobStore } from '../blobs.ts'
import type { RegistryClient } from './client.ts'
import { type BlobSource, Download, type DownloadRules } from './download.ts'
import { partialBytes, removePartial } from './partial-file.ts'

/** A download of one blob, shared by all who want it. */
export interface SharedDownload {
  readonly completedBytes: number
  /** Resolves when the blob is in the store. */
  readonly done: Promise<void>
}

interface Running {
  download: Download
  source: BlobSource
  wanted: number
  controller: AbortController
  done: Promise<void>
}

/** The downloads of a store's blobs: one at a time for each digest, whoever asks; it ends when nobody wants it any more. */
export class BlobDownloads {
  readonly #blobs: BlobStore
  readonly #client: RegistryClient
  readonly #rules: DownloadRules
  readonly #log: Log
  readonly #running = new Map<string, Running>()
  readonly #removals = new Map<string, Promise<void>>()

  constructor({ blobs, client, rules, log }: { blobs: BlobStore; client: RegistryClient; rules: DownloadRules; log: Log }) {
    this.#blobs = blobs
    this.#client = client
    this.#rules = rules
    this.#log = log
  }

  /** Begins the download of a blob or joins the one that runs; the signal is this caller's leave, after which `done` rejects with its reason. */
  join(source: BlobSource, signal: AbortSignal): SharedDownload {
    const present = this.#running.get(source.digest)
    // Of one digest and two sizes one is a lie, and whose it is only the bytes tell: they are not fetched together.
    const joins = present !== undefined && !present.controller.signal.aborted && present.source.sizeBytes === source.sizeBytes
    const running = joins ? present : this.#start(source, present)
    const { download, controller, done } = running
    running.wanted++
    const left = Promise.withResolvers<never>()
    const leave = () => {
      left.reject(signal.reason)
      if (--running.wanted > 0) return
      controller.abort(signal.reason)
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    // The last one who leaves waits until the file is let go.
    const ended = done.finally(() => signal.removeEventListener('abort', leave))
    const mine = Promise.race([ended, left.promise.catch(async (reason) => (running.wanted > 0 ? Promise.reject(reason) : done))])
    return {
      get completedBytes() {
        return download.completedBytes
      },
      done: mine,
    }
  }

  /** Bytes of a blob that are on the disk: all, or those of an unfinished download. */
  async bytesHere({ digest, sizeBytes }: Pick<BlobSource, 'digest' | 'sizeBytes'>): Promise<number> {
    const running = this.#running.get(digest)
    return running?.source.sizeBytes === sizeBytes ? running.download.completedBytes : partialBytes(this.#blobs.path(digest), sizeBytes)
  }

  /** Bytes that running downloads of other blobs are still going to write. */
  bytesToCome(except: ReadonlySet<string>): number {
    let bytes = 0
    for (const { source, download } of this.#running.values()) {
      if (!except.has(source.digest)) bytes += source.sizeBytes - download.completedBytes
    }
    return bytes
  }

  /** Removes what has come of a blob, unless somebody is fetching it. */
  async removePartial(digest: string): Promise<void> {
    if (this.#running.has(digest)) return
    const removal = removePartial(this.#blobs.path(digest)).finally(() => this.#removals.delete(digest))
    this.#removals.set(digest, removal)
    await removal
  }

  /** Begins behind the end of one that has just been left, or that is of another size. */
  #start(source: BlobSource, former: Running | undefined): Running {
    const controller = new AbortController()
    const download = new Download(source, this.#client, this.#rules, this.#log)
    const run = async () => {
      await former?.done.catch(() => undefined)
      await this.#removals.get(source.digest)?.catch(() => undefined)
      // It may have come to its end while this caller was still looking.
      if (!(await this.#blobs.holds(source.digest, source.sizeBytes))) await download.run(this.#blobs.path(source.digest), controller.signal)
    }
    const done = run().finally(() => {
      if (this.#running.get(source.digest) === running) this.#running.delete(source.digest)
    })
    const running: Running = { download, source, wanted: 0, controller, done }
    this.#running.set(source.digest, running)
    return running
  }
}
