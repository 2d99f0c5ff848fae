import { copyFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Handlers } from '../../../main/bridge/contract.ts'
import { createHandlers } from '../../../main/bridge/handlers.ts'
import { ServerHost } from '../../../main/bridge/server-host.ts'
import { Chats } from '../../../main/chats/chats.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'
import { silent } from '../chats/scripted.ts'

const never = new AbortController().signal
let server: TestServer
let host: ServerHost<TestServer>
let handlers: Handlers

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  host = new ServerHost({ start: async () => server, facts: () => ({ device: 'CPU', loaded: [] }), follow: () => {}, version: '1', log: silent })
  host.start()
  handlers = createHandlers({ server: host, chats: new Chats({ generate: server.services.chat, log: silent }) })
})
afterAll(() => host?.[Symbol.asyncDispose]())

const names = async () => (await handlers['models.list'](undefined, never)).map(({ name }) => name)

describe('what the window may ask of the models', () => {
  test('a file that was dropped is a model where it lies, until it is let go', async () => {
    await using folder = await temporaryFolder()
    const file = path.join(folder.path, 'Dropped-Q8_0.gguf')
    await copyFile(criaFile, file)
    const { name } = await handlers['models.import']({ path: file, copy: false }, never)
    const found = (await handlers['models.list'](undefined, never)).find((model) => model.name === name)
    expect([found?.problem, found?.quantization]).toEqual([null, 'Q8_0'])
    expect(found?.origin).not.toBe('store')
    await handlers['models.hide']({ model: name }, never)
    expect(await names()).not.toContain(name)
    await handlers['models.restore']({ model: name }, never)
    expect(await names()).toContain(name)
    await expect(handlers['models.hide']({ model: 'nope' }, never)).rejects.toMatchObject({ code: 'model-not-found' })
  })

  test('folders of the user are added and removed', async () => {
    await using folder = await temporaryFolder()
    const added = await handlers['origins.change']({ on: [], off: [], add: [folder.path], remove: [] }, never)
    expect(added).toContainEqual(expect.objectContaining({ folder: folder.path, on: true }))
    const removed = await handlers['origins.change']({ on: [], off: [], add: [], remove: [folder.path] }, never)
    expect(removed.map((origin) => origin.folder)).not.toContain(folder.path)
    expect(await handlers['origins.list'](undefined, never)).toEqual(removed)
  })

  test('an engine elsewhere is added without its key being told again, and its models are listed', async () => {
    await using other = await startTestServer()
    const added = await handlers['upstreams.add']({ name: 'attic', url: other.url, key: 'secret-key', protocol: null }, never)
    expect(added).toMatchObject({ name: 'attic', protocol: 'ollama', hasKey: true })
    expect(JSON.stringify(await handlers['upstreams.list'](undefined, never))).not.toContain('secret-key')
    await expect.poll(names).toContain('attic/smollm2:135m')
    await handlers['upstreams.remove']({ name: 'attic' }, never)
    expect(await names()).not.toContain('attic/smollm2:135m')
  })

  test('whether a model fits, what the folder takes, whether the files are whole, what nobody needs', async () => {
    expect(await handlers['models.assess']({ model: 'cria', contextLength: 1024, remote: false }, never)).toMatchObject({ verdict: 'cpu', contextLength: 1024 })
    const { models } = await handlers['models.diskUse'](undefined, never)
    expect(models.map(({ name }) => name)).toEqual(['cria:latest'])
    const events = await Array.fromAsync(await handlers['models.verify']({ model: 'cria', discard: false }, never))
    const states = events.flatMap((event) => (event.type === 'result' ? [event.state] : []))
    expect(new Set(states)).toEqual(new Set(['intact']))
    expect(await handlers['models.prune']({ dryRun: true }, never)).toEqual([])
    await expect(handlers['models.updates']({ model: 'nope' }, never)).rejects.toMatchObject({ code: 'model-not-found' })
  })

  test('a model is examined check by check, until that is given up', async () => {
    const stop = new AbortController()
    const seen: string[] = []
    const examining = (async () => {
      for await (const event of await handlers['models.examine']({ model: 'cria' }, stop.signal)) {
        seen.push(event.type)
        if (seen.length === 3) stop.abort()
      }
    })()
    await expect(examining).rejects.toThrow('abort')
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('downloads are started, watched and given up', async () => {
    const started = await handlers['downloads.start']({ model: '127.0.0.1:9/library/nope', insecure: true }, never)
    const lists = (await handlers['downloads.watch'](undefined, never))[Symbol.asyncIterator]()
    expect((await lists.next()).value.map(({ id }: { id: string }) => id)).toContain(started.id)
    await handlers['downloads.cancel']({ id: started.id, keepPartial: false }, never)
    await lists.return?.()
    const again = (await handlers['downloads.watch'](undefined, never))[Symbol.asyncIterator]()
    expect((await again.next()).value.map(({ id }: { id: string }) => id)).not.toContain(started.id)
    await again.return?.()
  })
})
