import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from './errors.ts'

/** Each step takes the schema from the version of its index to the next; steps are never changed once released. */
const migrations: readonly string[] = [
  `CREATE TABLE requests (
     id TEXT PRIMARY KEY,
     started_at INTEGER NOT NULL,          -- milliseconds since 1970
     method TEXT NOT NULL,
     path TEXT NOT NULL,
     client TEXT NOT NULL,                 -- User-Agent, or 'window'
     model TEXT,
     status INTEGER NOT NULL,
     error TEXT,
     stop_reason TEXT,
     prompt_tokens INTEGER,
     cached_tokens INTEGER,
     completion_tokens INTEGER,
     first_token_ms REAL,
     total_ms REAL NOT NULL
   ) STRICT;
   CREATE INDEX requests_by_time ON requests (started_at);`,
  `CREATE TABLE speeds (
     weights TEXT NOT NULL,                -- digest
     device TEXT NOT NULL,                 -- where it ran: CPU, CUDA0, …
     bytes_per_token INTEGER NOT NULL,     -- read for one token
     tokens_per_second REAL NOT NULL,
     measured_at INTEGER NOT NULL,         -- milliseconds since 1970
     PRIMARY KEY (weights, device)
   ) STRICT;`,
  `CREATE TABLE downloads (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,            -- full, such as registry.ollama.ai/library/llama3.2:latest
     insecure INTEGER NOT NULL,
     state TEXT NOT NULL,                  -- queued, running, paused, failed, done
     reason TEXT,
     position INTEGER NOT NULL,            -- in the queue
     started_at INTEGER NOT NULL,          -- milliseconds since 1970
     blobs TEXT NOT NULL                   -- JSON: {digest: {total, completed}}
   ) STRICT;`,
]

/** The one SQLite file: request log now, chats and downloads as they come. */
export interface Database extends Disposable {
  readonly connection: DatabaseSync
  /** The file is of a newer program: it can be read, nothing is written. */
  readonly readOnly: boolean
}

/** Opens the file and brings its schema up to date, one migration a transaction. Throws `internal` naming a file that is damaged or cannot be opened. */
export function openDatabase(file: string): Database {
  let connection: DatabaseSync
  let readOnly = false
  try {
    // It tells who asked what: only its owner reads it, and the files that SQLite puts beside it.
    closeSync(openSync(file, 'a', 0o600))
    connection = new DatabaseSync(file)
    connection.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000;')
    const version = (connection.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
    if (version > migrations.length) {
      connection.close()
      connection = new DatabaseSync(file, { readOnly: true })
      readOnly = true
    } else {
      for (let step = version; step < migrations.length; step++) {
        connection.exec(`BEGIN IMMEDIATE; ${migrations[step]}; PRAGMA user_version = ${step + 1}; COMMIT;`)
      }
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('internal', `the database ${file} cannot be opened (${reason}). Move it away to start with an empty one.`, { cause })
  }
  return { connection, readOnly, [Symbol.dispose]: () => connection.close() }
}
