export type DownloadState = 'queued' | 'running' | 'paused' | 'failed' | 'done'

/** A download as lists show it. */
export interface DownloadInfo {
  id: string
  /** As the user writes it: `llama3.2:latest`. */
  name: string
  state: DownloadState
  /** Why it failed, or what it waits for; null when there is nothing to say. */
  reason: string | null
  completedBytes: number
  /** 0 until the registry has said it. */
  totalBytes: number
  /** null when it cannot be told. */
  bytesPerSecond: number | null
  secondsLeft: number | null
  startedAtMs: number
}
