import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openDatabase } from '../../../../main/database.ts'
import { Log } from '../../../../main/lib/log.ts'
import { BlobDownloads } from '../../../../main/models/registry/blob-downloads.ts'
import { DownloadTable } from '../../../../main/models/registry/download-table.ts'
import { Downloads } from '../../../../main/models/registry/downloads.ts'
import { RegistryError } from '../../../../main/models/registry/errors.ts'
import type { TransferProgress } from '../../../../main/models/registry/pieces.ts'
import type { PullRequest } from '../../../../main/models/registry/pull.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { forever, name, openLibrary } from '../setup.ts'
import { quickRules, testClient } from './setup.ts'

const log = new Log('error')
const digest = `sha256:${'ab'.repeat(32)}`
const request = (model: string): PullRequest => ({ name: name(model), insecure: false })

/** A queue whose registry the test plays: each pull waits until it is told how to go on. */
async function openQueue({ file, atOnce = 2, delayMs = () => 5 }: { file?: string; atOnce?: number; delayMs?: (n: number) => number } = {}) {
  const stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder()).path
  const { store } = stack.use(await openLibrary())
  const database = stack.use(openDatabase(file ?? path.join(folder, 'paddock.db')))
  const pulls: { model: string; succeed: () => void; fail: (error: unknown) => void; left: boolean }[] = []
  async function* pull(wanted: PullRequest, signal: AbortSignal): AsyncGenerator<TransferProgress> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const own = { model: wanted.name.model, succeed: resolve, fail: reject, left: false }
    pulls.push(own)
    signal.addEventListener('abort', () => {
      own.left = true
      reject(signal.reason)
    })
    yield { status: 'pulling manifest' }
    yield { status: 'pulling abababababab', digest, total: 100, completed: 40 }
    await promise
    yield { status: 'success' }
  }
  const blobs = new BlobDownloads({ blobs: store.blobs, client: testClient(), rules: quickRules, log })
  const queue = stack.use(
    new Downloads({ table: new DownloadTable(database), blobs, store, pull, refuseName: () => {}, atOnce, retries: { maxTries: 3, delayMs }, log }),
  )
  return { queue, pulls, store, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

test('Downloads runs a few at a time, the others in their order', async () => {
  await using open = await openQueue({ atOnce: 2 })
  for (const model of ['a', 'b', 'c', 'd']) open.queue.start(request(model))
  await expect.poll(() => open.pulls.map(({ model }) => model)).toEqual(['a', 'b'])
  expect(open.queue.list().map(({ state }) => state)).toEqual(['running', 'running', 'queued', 'queued'])
  open.pulls[1]?.succeed()
  await expect.poll(() => open.pulls.map(({ model }) => model)).toEqual(['a', 'b', 'c'])
  expect(open.queue.list().map(({ state }) => state)).toEqual(['running', 'done', 'running', 'queued'])
})

test('Downloads shares one pull between callers, who see what was done before they came, and ends it with the last', async () => {
  await using open = await openQueue()
  const [one, two] = [new AbortController(), new AbortController()]
  const first = Array.fromAsync(open.queue.pull(request('a'), one.signal))
  await expect.poll(() => open.pulls.length).toBe(1)
  const second = open.queue.pull(request('A'), two.signal)
  expect((await second.next()).value).toEqual({ status: 'pulling manifest' })
  one.abort(new Error('one left'))
  await expect(first).rejects.toThrow('one left')
  expect(open.pulls).toMatchObject([{ left: false }])
  await second.return(undefined)
  expect(open.pulls).toMatchObject([{ left: true }])
  expect(open.queue.list()).toMatchObject([{ name: 'a:latest', state: 'paused', completedBytes: 40, totalBytes: 100 }])
})

test('Downloads goes on without its caller when the queue was asked for it', async () => {
  await using open = await openQueue()
  open.queue.start(request('a'))
  const leaving = new AbortController()
  const caller = Array.fromAsync(open.queue.pull(request('a'), leaving.signal))
  await expect.poll(() => open.pulls.length).toBe(1)
  leaving.abort(new Error('left'))
  await expect(caller).rejects.toThrow('left')
  expect(open.queue.list()).toMatchObject([{ state: 'running' }])
})

test('Downloads comes back after a restart with what ran, and with what was paused still paused', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'paddock.db')
  {
    await using open = await openQueue({ file })
    for (const model of ['a', 'b']) open.queue.start(request(model))
    await expect.poll(() => open.queue.list().map(({ completedBytes }) => completedBytes)).toEqual([40, 40])
    await open.queue.pause(open.queue.list()[1]?.id ?? '')
  }
  await using again = await openQueue({ file })
  expect(again.queue.list()).toMatchObject([
    { name: 'a:latest', state: 'queued' },
    { name: 'b:latest', state: 'paused', completedBytes: 40, totalBytes: 100 },
  ])
  again.queue.resumeInterrupted()
  await expect.poll(() => again.pulls.map(({ model }) => model)).toEqual(['a'])
  again.queue.resume(again.queue.list()[1]?.id ?? '')
  await expect.poll(() => again.pulls.map(({ model }) => model)).toEqual(['a', 'b'])
})

test('Downloads asks again and again for what the queue was asked for while the network is gone, and then gives the reason', async () => {
  await using open = await openQueue()
  open.queue.start(request('a'))
  for (let tries = 1; tries <= 4; tries++) {
    await expect.poll(() => open.pulls.length).toBe(tries)
    open.pulls.at(-1)?.fail(new RegistryError('no such host'))
  }
  await expect.poll(() => open.queue.list()).toMatchObject([{ state: 'failed', reason: 'no such host' }])
  const { id } = open.queue.list()[0] ?? { id: '' }
  expect(open.queue.resume(id)).toMatchObject({ state: 'running', reason: null })
})

test('Downloads fails at once for what will not pass, and tells the caller', async () => {
  await using open = await openQueue()
  const caller = Array.fromAsync(open.queue.pull(request('a'), forever))
  await expect.poll(() => open.pulls.length).toBe(1)
  open.pulls[0]?.fail(new RegistryError('file does not exist', { status: 404 }))
  await expect(caller).rejects.toThrow('file does not exist')
  expect(open.queue.list()).toMatchObject([{ state: 'failed', reason: 'file does not exist' }])
})

test('Downloads tells callers of one that is paused under them', async () => {
  await using open = await openQueue()
  const caller = Array.fromAsync(open.queue.pull(request('a'), forever))
  await expect.poll(() => open.pulls.length).toBe(1)
  await open.queue.pause(open.queue.list()[0]?.id ?? '')
  await expect(caller).rejects.toThrow('the download of a:latest was paused')
})

test('Downloads goes on when it is resumed while it is still being paused', async () => {
  await using open = await openQueue()
  const { id } = open.queue.start(request('a'))
  await expect.poll(() => open.pulls.length).toBe(1)
  const pausing = open.queue.pause(id)
  open.queue.resume(id)
  await pausing
  await expect.poll(() => open.pulls.length).toBe(2)
  open.pulls[1]?.succeed()
  await expect.poll(() => open.queue.list()).toMatchObject([{ state: 'done' }])
})

test('Downloads goes on for who asks for it while it is being cancelled', async () => {
  await using open = await openQueue()
  const { id } = open.queue.start(request('a'))
  await expect.poll(() => open.pulls.length).toBe(1)
  const cancelling = open.queue.cancel(id, { keepPartial: false })
  const caller = Array.fromAsync(open.queue.pull(request('a'), forever))
  await cancelling
  expect(open.queue.list()).toMatchObject([{ name: 'a:latest' }])
  await expect.poll(() => open.pulls.length).toBe(2)
  open.pulls[1]?.succeed()
  expect((await caller).at(-1)).toEqual({ status: 'success' })
  expect(open.queue.list()).toMatchObject([{ state: 'done' }])
})

test('Downloads that is cancelled leaves to another what both have begun', async () => {
  await using open = await openQueue()
  const [a, b] = ['a', 'b'].map((model) => open.queue.start(request(model)).id) as [string, string]
  await expect.poll(() => open.queue.list().map(({ completedBytes }) => completedBytes)).toEqual([40, 40])
  await open.queue.pause(b)
  const partial = `${open.store.blobs.path(digest)}-partial`
  await writeFile(partial, Buffer.alloc(40))
  await open.queue.cancel(a, { keepPartial: false })
  expect(existsSync(partial)).toBe(true)
  await open.queue.cancel(b, { keepPartial: false })
  expect(existsSync(partial)).toBe(false)
})

test('Downloads that is cancelled when it has just come to its end is done, and nothing of it is removed', async () => {
  await using open = await openQueue()
  const { id } = open.queue.start(request('a'))
  await expect.poll(() => open.pulls.length).toBe(1)
  await writeFile(open.store.blobs.path(digest), Buffer.alloc(100))
  open.pulls[0]?.succeed()
  await open.queue.cancel(id, { keepPartial: false })
  expect(open.queue.list()).toEqual([])
  expect(existsSync(open.store.blobs.path(digest))).toBe(true)
})

test('watch() gives the list now and when it changes', async () => {
  await using open = await openQueue()
  const leaving = new AbortController()
  const lists = open.queue.watch(leaving.signal)
  expect((await lists.next()).value).toEqual([])
  open.queue.start(request('a'))
  expect((await lists.next()).value).toMatchObject([{ name: 'a:latest' }])
  leaving.abort()
  expect((await lists.next()).done).toBe(true)
})
