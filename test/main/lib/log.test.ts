import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import { LogFile } from '../../../main/lib/log-file.ts'

describe('Log', () => {
  test('writes one line a record, whatever text comes from outside', () => {
    const lines: string[] = []
    new Log('info', (line) => lines.push(line)).info('request', { client: 'evil\n2026-01-01 ERROR forged', status: 200 })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^\S+Z INFO {2}request client="evil\\n2026-01-01 ERROR forged" status=200$/)
  })

  test('writes a message on one line too', () => {
    const lines: string[] = []
    new Log('info', (line) => lines.push(line)).error('GET /a\n2026-01-01 ERROR forged\u001b[2J\u009b2J failed')
    expect(lines[0]).toMatch(/ERROR GET \/a\\n2026-01-01 ERROR forged\\u001b\[2J\\u009b2J failed$/)
  })

  test('leaves out what is below its level', () => {
    const lines: string[] = []
    const log = new Log('warn', (line) => lines.push(line))
    log.info('a')
    log.warn('b')
    log.error('c', new Error('why'))
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['WARN', 'ERROR'])
  })
})

describe('LogFile', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'paddock-logs-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  test('starts a new file when the old one is full, and keeps three of those', () => {
    {
      using file = new LogFile(folder)
      const line = 'x'.repeat(1024 * 1024)
      for (let i = 0; i < 45; i++) file.sink(`${i} ${line}`, 'info')
    }
    expect(readFileSync(path.join(folder, 'server.log'), 'utf8').split('\n').at(-2)?.slice(0, 3)).toBe('44 ')
    expect(readdirSync(folder).sort()).toEqual(['server.log', 'server.log.1', 'server.log.2', 'server.log.3'])
  })
})
