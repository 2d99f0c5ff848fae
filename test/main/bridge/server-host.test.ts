import { expect, test } from 'vitest'
import type { ServerStatus } from '../../../main/bridge/contract.ts'
import { ServerHost } from '../../../main/bridge/server-host.ts'
import { AppError } from '../../../main/errors.ts'
import { silent } from '../chats/scripted.ts'

const running = () => ({ url: 'http://127.0.0.1:11434', async [Symbol.asyncDispose]() {} })

function hostOf(start: () => Promise<ReturnType<typeof running>>) {
  return new ServerHost({ start, facts: () => ({ device: 'CPU', loaded: [] }), follow: () => {}, version: '1.2.3', log: silent })
}

function watching(host: ReturnType<typeof hostOf>) {
  const statuses = host.watch(new AbortController().signal)
  return async (): Promise<ServerStatus> => (await statuses.next()).value as ServerStatus
}

test('watch() tells starting, then listening with the address', async () => {
  const started = Promise.withResolvers<ReturnType<typeof running>>()
  await using host = hostOf(() => started.promise)
  host.start()
  const next = watching(host)
  expect(await next()).toEqual({ state: 'starting' })
  started.resolve(running())
  expect(await next()).toEqual({ state: 'listening', url: 'http://127.0.0.1:11434', version: '1.2.3', device: 'CPU', loaded: [] })
})

test('watch() tells why a start failed, and start() tries again', async () => {
  let free = false
  await using host = hostOf(async () => {
    if (!free) throw new AppError('conflict', 'port 11434 is in use')
    return running()
  })
  host.start()
  await expect(host.running()).rejects.toThrow('port 11434 is in use')
  const next = watching(host)
  expect(await next()).toEqual({ state: 'failed', error: { code: 'conflict', message: 'port 11434 is in use' } })
  free = true
  host.start()
  expect((await host.running()).url).toBe('http://127.0.0.1:11434')
  expect(await next()).toMatchObject({ state: 'listening' })
})

test('disposing stops a server that is still starting', async () => {
  const started = Promise.withResolvers<void>()
  let stopped = false
  const host = hostOf(async () => {
    await started.promise
    return {
      url: '',
      async [Symbol.asyncDispose]() {
        stopped = true
      },
    }
  })
  host.start()
  const disposed = host[Symbol.asyncDispose]()
  started.resolve()
  await disposed
  expect(stopped).toBe(true)
})

test('watch() tells what was loaded', async () => {
  const loaded: { name: string; sizeBytes: number }[] = []
  let changed = () => {}
  await using host = new ServerHost({
    start: async () => running(),
    facts: () => ({ device: 'CPU', loaded: [...loaded] }),
    follow: (_, listener) => {
      changed = listener
    },
    version: '1.2.3',
    log: silent,
  })
  host.start()
  await host.running()
  const next = watching(host)
  expect(await next()).toMatchObject({ loaded: [] })
  loaded.push({ name: 'cria:latest', sizeBytes: 7 })
  changed()
  expect(await next()).toMatchObject({ loaded: [{ name: 'cria:latest', sizeBytes: 7 }] })
})
