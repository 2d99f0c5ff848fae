import { z } from 'zod'
import type { Database } from '../../database.ts'
import { fullName, type ModelName, parseName } from '../name.ts'
import type { DownloadState } from './download-info.ts'

/** Bytes of one blob of a download. */
export interface BlobBytes {
  total: number
  completed: number
}

/** A download as it is kept. */
export interface DownloadRow {
  id: string
  name: ModelName
  insecure: boolean
  state: DownloadState
  reason: string | null
  position: number
  startedAtMs: number
  blobs: ReadonlyMap<string, BlobBytes>
}

const Row = z.object({
  id: z.string(),
  name: z.string(),
  insecure: z.number(),
  state: z.enum(['queued', 'running', 'paused', 'failed', 'done']),
  reason: z.string().nullable(),
  position: z.number(),
  started_at: z.number(),
  blobs: z.string(),
})
const Blobs = z.record(z.string().regex(/^sha256:[0-9a-f]{64}$/), z.object({ total: z.number(), completed: z.number() }))

/** Table `downloads`. A database that cannot be written keeps nothing, and says nothing. */
export class DownloadTable {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** All rows that can be understood, in the queue's order. */
  read(): DownloadRow[] {
    if (this.#database.readOnly) return []
    const rows = this.#database.connection.prepare('SELECT * FROM downloads ORDER BY position').all()
    return rows.flatMap((row) => {
      const known = Row.safeParse(row)
      const name = known.success ? parseName(known.data.name) : null
      if (!known.success || name === null) return []
      const { id, insecure, state, reason, position, started_at: startedAtMs, blobs } = known.data
      return [{ id, name, insecure: insecure === 1, state, reason, position, startedAtMs, blobs: readBlobs(blobs) }]
    })
  }

  save({ id, name, insecure, state, reason, position, startedAtMs, blobs }: DownloadRow): void {
    if (this.#database.readOnly) return
    this.#database.connection
      .prepare('INSERT OR REPLACE INTO downloads VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(id, fullName(name), insecure ? 1 : 0, state, reason, position, startedAtMs, JSON.stringify(Object.fromEntries(blobs)))
  }

  remove(id: string): void {
    if (!this.#database.readOnly) this.#database.connection.prepare('DELETE FROM downloads WHERE id = ?').run(id)
  }
}

function readBlobs(text: string): Map<string, BlobBytes> {
  try {
    return new Map(Object.entries(Blobs.parse(JSON.parse(text))))
  } catch {
    // Only what is shown until the registry is asked again.
    return new Map()
  }
}
