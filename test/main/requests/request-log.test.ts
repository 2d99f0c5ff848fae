import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase } from '../../../main/database.ts'
import { RequestLog, type RequestRecord } from '../../../main/requests/request-log.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'paddock-log-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const record = (id: string, startedAt: Date): RequestRecord => ({
  id,
  startedAt,
  method: 'POST',
  path: '/api/chat',
  client: 'ollama-js/0.6.4',
  model: 'cria:latest',
  status: 200,
  error: null,
  stopReason: 'stop',
  promptTokens: 17,
  cachedTokens: 0,
  completionTokens: 12,
  firstTokenMs: 4.5,
  totalMs: 20.25,
})

describe('RequestLog', () => {
  test('gives back what was added, the newest first, also after the program was restarted', () => {
    const file = path.join(folder, 'paddock.db')
    const older = record('a', new Date(Date.now() - 1000))
    const newer = record('b', new Date())
    {
      using database = openDatabase(file)
      using log = new RequestLog(database)
      log.add(older)
      log.add(newer)
    }
    using database = openDatabase(file)
    using log = new RequestLog(database)
    expect(log.recent(10)).toEqual([newer, older])
  })

  test('forgets what is older than 30 days when it is opened', () => {
    const file = path.join(folder, 'paddock.db')
    {
      using database = openDatabase(file)
      using log = new RequestLog(database)
      log.add(record('old', new Date(Date.now() - 31 * 86_400_000)))
      log.add(record('new', new Date()))
    }
    using database = openDatabase(file)
    using log = new RequestLog(database)
    expect(log.recent(10).map(({ id }) => id)).toEqual(['new'])
  })

  test('keeps both requests when a caller gives two of them one id', () => {
    using database = openDatabase(path.join(folder, 'paddock.db'))
    using log = new RequestLog(database)
    log.add(record('mine', new Date(Date.now() - 1000)))
    log.add(record('mine', new Date()))
    expect(log.recent(10).map(({ id }) => id)).toEqual([expect.stringMatching(/^mine#[\w-]{36}$/), 'mine'])
  })

  test('keeps its records while another program holds the file, and writes them later', () => {
    const file = path.join(folder, 'paddock.db')
    using database = openDatabase(file)
    database.connection.exec('PRAGMA busy_timeout = 0')
    using log = new RequestLog(database)
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    log.add(record('a', new Date(Date.now() - 1000)))
    expect(log.recent(5)).toEqual([])
    other.exec('COMMIT')
    other.close()
    log.add(record('b', new Date()))
    expect(log.recent(5).map(({ id }) => id)).toEqual(['b', 'a'])
  })
})

describe('openDatabase()', () => {
  test('makes files that only their owner reads', () => {
    const file = path.join(folder, 'paddock.db')
    using database = openDatabase(file)
    using log = new RequestLog(database)
    log.add(record('a', new Date()))
    log.flush()
    expect([file, `${file}-wal`].map((name) => statSync(name).mode & 0o077)).toEqual([0, 0])
  })

  test('opens a file of a newer program read-only and leaves it as it is', () => {
    const file = path.join(folder, 'paddock.db')
    const newer = new DatabaseSync(file)
    newer.exec('CREATE TABLE requests (id TEXT); PRAGMA user_version = 999')
    newer.close()
    using database = openDatabase(file)
    expect(database.readOnly).toBe(true)
    expect(() => database.connection.exec('DELETE FROM requests')).toThrow('readonly')
  })

  test('names a file that is no database', async () => {
    const file = path.join(folder, 'paddock.db')
    const { writeFileSync } = await import('node:fs')
    writeFileSync(file, 'this is not a database, but long enough to look like one '.repeat(50))
    expect(() => openDatabase(file)).toThrow(`the database ${file} cannot be opened`)
  })
})
