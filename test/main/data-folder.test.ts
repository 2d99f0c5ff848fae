import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataFolder } from '../../main/data-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'paddock-home-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const lockFile = () => path.join(folder, 'paddock.lock')

describe('DataFolder.claim()', () => {
  test('writes a lock that only the user can read, and removes it at the end', async () => {
    {
      await using claimed = await DataFolder.claim(folder)
      await claimed.announce('http://127.0.0.1:1')
      expect(statSync(lockFile()).mode & 0o777).toBe(0o600)
      expect(JSON.parse(readFileSync(lockFile(), 'utf8'))).toMatchObject({ pid: process.pid, url: 'http://127.0.0.1:1' })
    }
    expect(() => statSync(lockFile())).toThrow('ENOENT')
  })

  test('refuses a folder whose owner lives and answers, naming it', async () => {
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'])
    const server = createServer((_, response) => response.end('{"version":"0.33.0","paddock":"0.1.0"}')).listen(0, '127.0.0.1')
    try {
      await new Promise((resolve) => server.once('listening', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      writeFileSync(lockFile(), JSON.stringify({ pid: other.pid, url, token: 't' }))
      await expect(DataFolder.claim(folder)).rejects.toThrow(`already running at ${url} (process ${other.pid})`)
    } finally {
      other.kill()
      server.close()
    }
  })

  test('takes over the lock of a process that is gone', async () => {
    const gone = spawn(process.execPath, ['-e', ''])
    await new Promise((resolve) => gone.once('exit', resolve))
    writeFileSync(lockFile(), JSON.stringify({ pid: gone.pid, url: 'http://127.0.0.1:9', token: 't' }))
    await using claimed = await DataFolder.claim(folder)
    expect(claimed.folder).toBe(folder)
  })

  test('takes over a lock that is not readable as one', async () => {
    writeFileSync(lockFile(), 'garbage')
    await using claimed = await DataFolder.claim(folder)
    expect(claimed.token).not.toBe('')
  })

  test('names a folder that cannot be made', async () => {
    const file = path.join(folder, 'file')
    writeFileSync(file, '')
    await expect(DataFolder.claim(path.join(file, 'home'))).rejects.toThrow(`the data folder ${path.join(file, 'home')} cannot be written`)
  })
})
