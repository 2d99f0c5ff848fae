import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mediaTypes } from '../../main/models/manifest.ts'
import { startFaultyProxy } from '../helpers/faulty-proxy.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { criaModel, modelOf, publish } from '../helpers/publish.ts'
import { hasRegistry, type Registry, startRegistry } from '../helpers/registry.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

describe.runIf(hasRegistry)('a model that is not here', () => {
  let registry: Registry
  let server: TestServer
  let cria: Awaited<ReturnType<typeof criaModel>>

  beforeAll(async () => {
    registry = await startRegistry()
    server = await startTestServer()
    cria = await criaModel()
    await publish(registry.url, 'library/cria:latest', cria)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  const fitOf = (model: string, more: object = {}) => post(server.url, '/api/fit', { model, remote: true, insecure: true, options: { num_ctx: 2048 }, ...more })

  test('is judged by its header as the same file here is, and nothing is kept', async () => {
    const { status, body } = await fitOf(`${registry.host}/library/cria`)
    expect([status, body.model]).toEqual([200, `${registry.host}/library/cria:latest`])
    await using other = await startTestServer()
    await addModel(other.url, 'cria', criaFile)
    const here = (await post(other.url, '/api/fit', { model: 'cria', options: { num_ctx: 2048 } })).body
    for (const field of ['verdict', 'num_ctx', 'largest_num_ctx', 'layers', 'memory']) expect(body[field]).toEqual(here[field])
    expect((await server.services.library.list()).map(({ name }) => name.model)).not.toContain('cria')
  })

  test('is not asked for unless that is wanted', async () => {
    expect(await post(server.url, '/api/fit', { model: `${registry.host}/library/cria` })).toMatchObject({ status: 404 })
  })

  test('that the registry does not have is a 404, one that is no model an error with its reason', async () => {
    expect(await fitOf(`${registry.host}/library/nope`)).toMatchObject({ status: 404, body: { error: expect.stringContaining('not found') } })
    await publish(registry.url, 'library/words:latest', modelOf([{ mediaType: mediaTypes.model, bytes: 'just words' }]))
    expect(await fitOf(`${registry.host}/library/words`)).toMatchObject({ status: 500, body: { error: expect.stringContaining('not a GGUF file') } })
  })

  test('is read from a server that knows no ranges', async () => {
    await using proxy = await startFaultyProxy(registry.url, [{ fault: { type: 'no-ranges' } }])
    expect(await fitOf(`${proxy.host}/library/cria`)).toMatchObject({ status: 200, body: { verdict: 'cpu', layers: 4 } })
  })
})

describe.runIf(hasRegistry)('/api/updates', () => {
  test('tells a model that has a newer version from one that has none, and from one that was made here', async () => {
    await using registry = await startRegistry()
    await using server = await startTestServer()
    const [first, second] = [await criaModel(), await criaModel({ system: 'You are smaller.' })]
    await publish(registry.url, 'library/same:latest', first)
    await publish(registry.url, 'library/changing:latest', first)
    for (const model of ['same', 'changing']) {
      const pulled = await post(server.url, '/api/pull', { model: `${registry.host}/library/${model}`, insecure: true, stream: false })
      expect(pulled).toMatchObject({ status: 200, body: { status: 'success' } })
    }
    await publish(registry.url, 'library/changing:latest', second)
    await post(server.url, '/api/copy', { source: `${registry.host}/library/same`, destination: `${registry.host}/library/mine` })
    const { status, body } = await post(server.url, '/api/updates', { insecure: true })
    expect(status).toBe(200)
    expect((body.models as { name: string }[]).toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      { name: `${registry.host}/library/changing:latest`, state: 'newer' },
      { name: `${registry.host}/library/mine:latest`, state: 'unknown', reason: 'its registry has no model of this name' },
      { name: `${registry.host}/library/same:latest`, state: 'current' },
    ])
    expect((await post(server.url, '/api/updates', { model: 'nope', insecure: true })).status).toBe(404)
  })
})
