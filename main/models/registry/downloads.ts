import { AppError, isAbort } from '../../errors.ts'
import { Changes } from '../../lib/changes.ts'
import type { Log } from '../../lib/log.ts'
import { type ModelName, nameKey } from '../name.ts'
import type { Store } from '../store.ts'
import type { BlobDownloads } from './blob-downloads.ts'
import type { DownloadInfo } from './download-info.ts'
import type { DownloadTable } from './download-table.ts'
import { RegistryError } from './errors.ts'
import type { TransferProgress } from './pieces.ts'
import type { PullRequest } from './pull.ts'
import { QueuedDownload } from './queued-download.ts'
import type { RetryRules } from './retry.ts'

export interface DownloadsParts {
  table: DownloadTable
  blobs: Pick<BlobDownloads, 'removePartial'>
  store: Pick<Store, 'pin'>
  pull: (request: PullRequest, signal: AbortSignal) => AsyncIterable<TransferProgress>
  /** Throws for a name that no model of ours may have. */
  refuseName: (name: ModelName) => void
  /** Models at a time. */
  atOnce?: number
  /** For what the user asked the queue for: a network may be gone for a night. */
  retries?: RetryRules
  log: Log
}

const overnight: RetryRules = { maxTries: 200, delayMs: (n) => Math.min(300_000, 15_000 * 2 ** (n - 1)) }
/** Finished ones that stay in the list. */
const finishedAtMost = 50
/** Lists are told of bytes this often, and the table less. */
const announceEveryMs = 250
const saveEveryMs = 5000

/**
 * The downloads: those that run, those that wait, and what became of the others. Kept in the database, so that a restart goes on with them.
 *
 * All who pull one name share one download. It stops when no caller wants it, unless the user asked the queue for it.
 */
export class Downloads implements AsyncDisposable {
  readonly #parts: Required<DownloadsParts>
  readonly #all = new Map<string, QueuedDownload>()
  readonly #pins = new Map<string, DisposableStack>()
  readonly #changes = new Changes()
  #position = 0
  #timer: NodeJS.Timeout | null = null
  #announcedAt = 0
  #closed = false

  constructor({ atOnce = 3, retries = overnight, ...parts }: DownloadsParts) {
    this.#parts = { atOnce, retries, ...parts }
    for (const row of parts.table.read()) {
      const wasRunning = row.state === 'running' || row.state === 'queued'
      const download = new QueuedDownload({ name: row.name, insecure: row.insecure }, ++this.#position, { isKept: wasRunning, row })
      if (wasRunning) download.enqueue()
      this.#all.set(download.id, download)
      this.#pin(download)
    }
  }

  /** Starts what was running or waiting when the program ended. */
  resumeInterrupted(): void {
    this.#startNext()
  }

  list(): DownloadInfo[] {
    return [...this.#all.values()].map(({ info }) => info)
  }

  /** The list now, then whenever it changes. */
  async *watch(signal: AbortSignal): AsyncGenerator<DownloadInfo[], void> {
    for await (const _ of this.#changes.watch(signal)) yield this.list()
  }

  /** Puts a download into the queue, where it goes on without a caller; one that is there already goes on. */
  start(request: PullRequest): DownloadInfo {
    const download = this.#wanted(request)
    download.isKept = true
    this.#startNext()
    return download.info
  }

  /** Pulls for a caller, who shares the download of the same name if there is one. Throws what it fails with. */
  async *pull(request: PullRequest, signal: AbortSignal): AsyncGenerator<TransferProgress, void> {
    const download = this.#wanted(request)
    const { run } = download
    download.callers++
    this.#startNext()
    try {
      yield* run.watch(signal)
    } finally {
      download.callers--
      if (download.callers === 0 && !download.isKept && download.run === run) await this.#halt(download, 'paused', 'left by its callers')
    }
  }

  /** Throws `not-found`, also where the others do. */
  async pause(id: string): Promise<DownloadInfo> {
    const download = this.#find(id)
    await this.#halt(download, 'paused', 'paused')
    return download.info
  }

  resume(id: string): DownloadInfo {
    return this.start(this.#find(id).request)
  }

  /** Takes it out of the list, with what has come of it or without. */
  async cancel(id: string, { keepPartial }: { keepPartial: boolean }): Promise<void> {
    const download = this.#find(id)
    const { ended } = download
    await this.#halt(download, 'paused', 'cancelled')
    // One that is just being paused still writes.
    await ended
    // Somebody has asked for it again meanwhile: it goes on for him.
    if (download.state === 'queued' || download.state === 'running') return
    const digests = download.state === 'done' ? [] : [...download.blobs.keys()]
    this.#drop(download)
    if (keepPartial) return
    for (const digest of digests) if (!this.#isWanted(digest)) await this.#parts.blobs.removePartial(digest)
  }

  /** Some other download is not done with this blob yet. */
  #isWanted(digest: string): boolean {
    return [...this.#all.values()].some(({ state, blobs }) => state !== 'done' && blobs.has(digest))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const running = [...this.#all.values()].filter(({ state }) => state === 'running')
    for (const download of running) download.stop('interrupted: the program ends')
    await Promise.all(running.map(({ ended }) => ended))
    // What is pinned stays so: after the next start it goes on from there.
  }

  #find(id: string): QueuedDownload {
    const download = this.#all.get(id)
    if (download === undefined) throw new AppError('not-found', `there is no download ${JSON.stringify(id)}`)
    return download
  }

  /** The download of this name, running or about to. */
  #wanted(request: PullRequest): QueuedDownload {
    if (this.#closed) throw new AppError('unavailable', 'the program ends')
    this.#parts.refuseName(request.name)
    const known = [...this.#all.values()].find((one) => nameKey(one.request.name) === nameKey(request.name))
    if (known !== undefined && known.request.insecure === request.insecure) {
      if (known.state === 'running' || (known.state === 'queued' && known.notBeforeMs === 0)) return known
      known.isKept &&= known.state === 'queued'
      known.failures = 0
      known.enqueue()
      this.#changed(known)
      return known
    }
    if (known !== undefined) {
      if (known.state === 'running')
        throw new AppError('conflict', `${known.name} is being downloaded ${known.request.insecure ? 'without' : 'with'} TLS already`)
      this.#drop(known)
    }
    const download = new QueuedDownload(request, ++this.#position, { isKept: false })
    this.#all.set(download.id, download)
    this.#changed(download)
    return download
  }

  #startNext(): void {
    if (this.#closed) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const all = [...this.#all.values()]
    let free = this.#parts.atOnce - all.filter(({ state }) => state === 'running').length
    let nextAt = Number.POSITIVE_INFINITY
    for (const download of all) {
      if (download.state !== 'queued') continue
      if (download.notBeforeMs > Date.now()) nextAt = Math.min(nextAt, download.notBeforeMs)
      else if (free-- > 0) download.ended = this.#run(download)
    }
    if (nextAt < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#startNext(), nextAt - Date.now()).unref()
  }

  async #run(download: QueuedDownload): Promise<void> {
    const { run, request } = download
    const before = download.ended
    const bytesBefore = download.completedBytes
    download.begin()
    this.#changed(download)
    const saving = setInterval(() => this.#parts.table.save(download.row), saveEveryMs)
    try {
      await before
      run.controller.signal.throwIfAborted()
      for await (const line of this.#parts.pull(request, run.controller.signal)) {
        const isNew = line.digest !== undefined && !download.blobs.has(line.digest)
        download.see(line)
        if (isNew) this.#pin(download)
        this.#announceSoon()
      }
      if (download.run === run) this.#finish(download, 'done', null)
      run.end('success')
    } catch (error) {
      // Who stopped it has said what is to become of it.
      if (!run.controller.signal.aborted) this.#failed(download, error, download.completedBytes > bytesBefore)
      run.end({ error })
    } finally {
      clearInterval(saving)
      this.#startNext()
    }
  }

  #failed(download: QueuedDownload, error: unknown, broughtSomething: boolean): void {
    const { log, retries } = this.#parts
    const reason = error instanceof AppError ? error.message : 'internal error'
    if (!(error instanceof AppError || isAbort(error))) log.error(`the download of ${download.name} failed`, error)
    download.failures = broughtSomething ? 1 : download.failures + 1
    const mayPass = error instanceof RegistryError && error.isTemporary
    if (!download.isKept || !mayPass || download.failures > retries.maxTries) {
      this.#finish(download, 'failed', reason)
      // Its caller has been told; a mistyped name is nothing to keep.
      if (!download.isKept && download.blobs.size === 0) this.#drop(download)
      return
    }
    download.enqueue()
    download.reason = reason
    download.notBeforeMs = Date.now() + retries.delayMs(download.failures)
    this.#changed(download)
    log.info('a download waits for its registry', { name: download.name, reason, tries: download.failures })
  }

  async #halt(download: QueuedDownload, state: 'paused', what: string): Promise<void> {
    if (download.state !== 'running' && download.state !== 'queued') return
    const wasQueued = download.state === 'queued'
    const { run, ended } = download
    download.isKept = false
    download.stop(what)
    this.#finish(download, state, null)
    if (wasQueued) run.end({ error: run.controller.signal.reason })
    await ended
    this.#startNext()
  }

  #finish(download: QueuedDownload, state: 'done' | 'failed' | 'paused', reason: string | null): void {
    download.state = state
    download.reason = reason
    if (state === 'done') this.#unpin(download)
    this.#changed(download)
    const finished = [...this.#all.values()].filter((one) => one.state === 'done' || one.state === 'failed')
    for (const old of finished.slice(0, Math.max(0, finished.length - finishedAtMost))) this.#drop(old)
  }

  #drop(download: QueuedDownload): void {
    this.#all.delete(download.id)
    this.#unpin(download)
    this.#parts.table.remove(download.id)
    this.#changes.announce()
  }

  /** Blobs of a download that is to go on are not for the housekeeping. */
  #pin(download: QueuedDownload): void {
    this.#unpin(download)
    if (download.state === 'done') return
    const pins = new DisposableStack()
    for (const digest of download.blobs.keys()) pins.use(this.#parts.store.pin(digest))
    this.#pins.set(download.id, pins)
  }

  #unpin(download: QueuedDownload): void {
    this.#pins.get(download.id)?.dispose()
    this.#pins.delete(download.id)
  }

  #changed(download: QueuedDownload): void {
    if (this.#all.has(download.id)) this.#parts.table.save(download.row)
    this.#changes.announce()
  }

  #announceSoon(): void {
    if (performance.now() - this.#announcedAt < announceEveryMs) return
    this.#announcedAt = performance.now()
    this.#changes.announce()
  }
}
