import { randomUUID } from 'node:crypto'
import type { StatementSync } from 'node:sqlite'
import type { Database } from '../database.ts'

/** Who asked what, what it cost and how it ended. Never a prompt, never a reply. */
export interface RequestRecord {
  /** The caller's own where it sent one. */
  id: string
  startedAt: Date
  method: string
  path: string
  /** The program that called: its User-Agent, or `window`. */
  client: string
  model: string | null
  status: number
  error: string | null
  stopReason: string | null
  promptTokens: number | null
  cachedTokens: number | null
  completionTokens: number | null
  firstTokenMs: number | null
  totalMs: number
}

const keptDays = 30
/** Records wait this long, so that a burst of requests is one transaction. */
const flushAfterMs = 500
/** Beyond this many waiting records the oldest are dropped: the log never holds up a reply. */
const waitingLimit = 10_000

/** Table `requests`: written behind the requests, in batches, kept for 30 days. */
export class RequestLog implements Disposable {
  readonly #database: Database
  readonly #insert: StatementSync | null
  #waiting: RequestRecord[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(database: Database) {
    this.#database = database
    this.#insert = database.readOnly
      ? null
      : database.connection.prepare('INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING')
    if (!database.readOnly) database.connection.prepare('DELETE FROM requests WHERE started_at < ?').run(Date.now() - keptDays * 86_400_000)
  }

  add(record: RequestRecord): void {
    if (this.#insert === null) return
    if (this.#waiting.length >= waitingLimit) this.#waiting.shift()
    this.#waiting.push(record)
    this.#timer ??= setTimeout(() => this.flush(), flushAfterMs).unref()
  }

  /** The newest first. */
  recent(limit: number): RequestRecord[] {
    this.flush()
    const rows = this.#database.connection.prepare('SELECT * FROM requests ORDER BY started_at DESC, rowid DESC LIMIT ?').all(limit) as unknown as Row[]
    return rows.map((row) => ({
      id: row.id,
      startedAt: new Date(row.started_at),
      method: row.method,
      path: row.path,
      client: row.client,
      model: row.model,
      status: row.status,
      error: row.error,
      stopReason: row.stop_reason,
      promptTokens: row.prompt_tokens,
      cachedTokens: row.cached_tokens,
      completionTokens: row.completion_tokens,
      firstTokenMs: row.first_token_ms,
      totalMs: row.total_ms,
    }))
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const batch = this.#waiting
    this.#waiting = []
    const insert = this.#insert
    if (batch.length === 0 || insert === null) return
    const { connection } = this.#database
    try {
      connection.exec('BEGIN')
      for (const record of batch) {
        // Callers may give two requests one id: the later keeps a row of its own.
        if (write(insert, record.id, record).changes === 0) write(insert, `${record.id}#${randomUUID()}`, record)
      }
      connection.exec('COMMIT')
    } catch {
      // A full disk, or another program that holds the file: the records wait for the next time, as many as may.
      if (connection.isTransaction) connection.exec('ROLLBACK')
      this.#waiting = [...batch, ...this.#waiting].slice(-waitingLimit)
    }
  }

  [Symbol.dispose](): void {
    this.flush()
  }
}

function write(insert: StatementSync, id: string, r: RequestRecord) {
  return insert.run(
    id,
    r.startedAt.getTime(),
    r.method,
    r.path,
    r.client,
    r.model,
    r.status,
    r.error,
    r.stopReason,
    r.promptTokens,
    r.cachedTokens,
    r.completionTokens,
    r.firstTokenMs,
    r.totalMs,
  )
}

interface Row {
  id: string
  started_at: number
  method: string
  path: string
  client: string
  model: string | null
  status: number
  error: string | null
  stop_reason: string | null
  prompt_tokens: number | null
  cached_tokens: number | null
  completion_tokens: number | null
  first_token_ms: number | null
  total_ms: number
}
