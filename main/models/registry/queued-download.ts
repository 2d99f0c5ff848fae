import { randomUUID } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { Changes } from '../../lib/changes.ts'
import { displayName } from '../name.ts'
import type { DownloadInfo, DownloadState } from './download-info.ts'
import type { BlobBytes, DownloadRow } from './download-table.ts'
import type { TransferProgress } from './pieces.ts'
import type { PullRequest } from './pull.ts'
import { Speed } from './speed.ts'

/** One run of a pull, watched by any number of callers. */
class Run {
  readonly controller = new AbortController()
  readonly #changes = new Changes()
  /** The latest line for each blob and each other step, in the order in which they came. */
  readonly #lines = new Map<string, { line: TransferProgress; version: number }>()
  #version = 0
  #end: { error: unknown } | 'success' | null = null

  add(line: TransferProgress): void {
    const key = line.digest ?? line.status
    this.#lines.delete(key)
    this.#lines.set(key, { line, version: ++this.#version })
    this.#changes.announce()
  }

  end(end: { error: unknown } | 'success'): void {
    this.#end ??= end
    this.#changes.announce()
  }

  /** What has been done, then what is being done; a watcher who is slow misses steps in between. Throws what the run failed with. */
  async *watch(signal: AbortSignal): AsyncGenerator<TransferProgress, void> {
    let seen = 0
    for await (const _ of this.#changes.watch(signal)) {
      const end = this.#end
      const news = [...this.#lines.values()].filter(({ version }) => version > seen)
      seen = this.#version
      for (const { line } of news) yield line
      if (end === 'success') return
      if (end !== null) throw end.error
    }
    signal.throwIfAborted()
  }
}

/** One download of the queue: what is kept of it, and its run while there is one. */
export class QueuedDownload {
  readonly id: string
  readonly request: PullRequest
  state: DownloadState
  reason: string | null = null
  /** The user asked the queue for it, so it goes on without a caller. */
  isKept: boolean
  /** Callers that wait for it. */
  callers = 0
  /** Failures in a row that brought nothing. */
  failures = 0
  /** Not to be started before; milliseconds since 1970. */
  notBeforeMs = 0
  run = new Run()
  /** Resolves when the run has let go of everything. */
  ended: Promise<void> = Promise.resolve()
  readonly blobs = new Map<string, BlobBytes>()
  readonly #position: number
  readonly #startedAtMs: number
  #speed = new Speed()
  /** The run has not said yet what the model is made of. */
  #isNew = true

  constructor(request: PullRequest, position: number, { isKept, row }: { isKept: boolean; row?: DownloadRow }) {
    this.id = row?.id ?? randomUUID()
    this.request = request
    this.isKept = isKept
    this.state = row?.state ?? 'queued'
    this.reason = row?.reason ?? null
    for (const [digest, bytes] of row?.blobs ?? []) this.blobs.set(digest, bytes)
    this.#position = position
    this.#startedAtMs = row?.startedAtMs ?? Date.now()
  }

  get name(): string {
    return displayName(this.request.name)
  }

  get completedBytes(): number {
    return [...this.blobs.values()].reduce((sum, { completed }) => sum + completed, 0)
  }

  get row(): DownloadRow {
    const { id, state, reason, blobs, request } = this
    return { id, ...request, state, reason, position: this.#position, startedAtMs: this.#startedAtMs, blobs }
  }

  get info(): DownloadInfo {
    const { id, name, state, reason, completedBytes } = this
    const totalBytes = [...this.blobs.values()].reduce((sum, { total }) => sum + total, 0)
    const isRunning = state === 'running'
    return {
      id,
      name,
      state,
      reason,
      completedBytes,
      totalBytes,
      bytesPerSecond: isRunning ? this.#speed.bytesPerSecond : null,
      secondsLeft: isRunning ? this.#speed.secondsFor(totalBytes - completedBytes) : null,
      startedAtMs: this.#startedAtMs,
    }
  }

  /** Waits in the queue for a run, with what was there before forgotten. */
  enqueue(): void {
    this.state = 'queued'
    this.reason = null
    this.notBeforeMs = 0
    this.run = new Run()
  }

  begin(): void {
    this.state = 'running'
    this.reason = null
    this.#speed = new Speed()
    this.#isNew = true
  }

  see(line: TransferProgress): void {
    const { digest, total, completed = 0 } = line
    if (digest !== undefined && total !== undefined) {
      // What the manifest does not name any more is not of this download.
      if (this.#isNew) this.blobs.clear()
      this.#isNew = false
      this.blobs.set(digest, { total, completed })
      this.#speed.add(this.completedBytes)
    }
    this.run.add(line)
  }

  /** Ends the run, which keeps what has come. */
  stop(what: string): void {
    this.run.controller.abort(new AppError('cancelled', `the download of ${this.name} was ${what}`))
  }
}
