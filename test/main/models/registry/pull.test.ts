import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mediaTypes } from '../../../../main/models/manifest.ts'
import { displayName } from '../../../../main/models/name.ts'
import type { TransferProgress } from '../../../../main/models/registry/pieces.ts'
import { criaModel, modelOf, publish } from '../../../helpers/publish.ts'
import { hasRegistry, type Registry, startRegistry } from '../../../helpers/registry.ts'
import { name } from '../setup.ts'
import { openPuller, type Puller } from './setup.ts'

describe.runIf(hasRegistry)('pullModel() from a real registry', () => {
  let registry: Registry
  let cria: Awaited<ReturnType<typeof criaModel>>

  beforeAll(async () => {
    registry = await startRegistry()
    cria = await criaModel()
    await publish(registry.url, 'library/cria:latest', cria)
  })
  afterAll(() => registry?.[Symbol.asyncDispose]())

  test('brings a model that can be opened, its manifest byte for byte', async () => {
    await using puller = await openPuller()
    const steps = await puller.pull(`${registry.host}/library/cria`)
    expect(statuses(steps)).toEqual([
      'pulling manifest',
      ...[cria.config, ...cria.layers].sort((a, b) => a.size - b.size).map(({ digest }) => `pulling ${digest.slice(7, 19)}`),
      'verifying sha256 digest',
      'writing manifest',
      'success',
    ])
    const [, , layer] = [...cria.layers].sort((a, b) => a.size - b.size)
    const last = steps.filter(({ digest }) => digest === layer?.digest).at(-1)
    expect(last).toEqual({ status: `pulling ${layer?.digest.slice(7, 19)}`, digest: layer?.digest, total: layer?.size, completed: layer?.size })
    expect(await readFile(path.join(puller.root, 'manifests', registry.host, 'library/cria/latest'))).toEqual(Buffer.from(cria.manifest))
    const model = await puller.library.resolve(name(`${registry.host}/library/cria`))
    expect([model?.system, model?.parameters]).toEqual(['You are small.', { temperature: 0.5, stop: ['<end>'] }])
    expect(await leftovers(puller)).toEqual([])
  })

  test('goes up only, for each blob', async () => {
    await using puller = await openPuller()
    const last = new Map<string, number>()
    for (const { digest, completed = 0 } of await puller.pull(`${registry.host}/library/cria`)) {
      if (digest === undefined) continue
      expect(completed).toBeGreaterThanOrEqual(last.get(digest) ?? 0)
      last.set(digest, completed)
    }
  })

  test('says of what is here that it is complete, and removes what only the former model needed', async () => {
    await using puller = await openPuller()
    const other = await criaModel({ system: 'You are smaller.' })
    await publish(registry.url, 'library/changing:latest', cria)
    await puller.pull(`${registry.host}/library/changing`)
    await publish(registry.url, 'library/changing:latest', other)
    const steps = await puller.pull(`${registry.host}/library/changing`)
    expect(steps.slice(-2)).toEqual([{ status: 'removing unused layers' }, { status: 'success' }])
    const [weights, system] = cria.layers
    expect(steps).toContainEqual({ status: `pulling ${weights?.digest.slice(7, 19)}`, digest: weights?.digest, total: weights?.size, completed: weights?.size })
    expect(await puller.store.blobs.has(system?.digest ?? '')).toBe(false)
  })

  test('says what the peer says of a model that the registry has not', async () => {
    await using puller = await openPuller()
    await expect(puller.pull(`${registry.host}/library/none`)).rejects.toThrow('pull model manifest: file does not exist')
  })

  test('does not list what is no model', async () => {
    await using puller = await openPuller()
    await publish(registry.url, 'library/broken:latest', modelOf([{ mediaType: mediaTypes.model, bytes: Buffer.alloc(5000, 'GGUF') }]))
    await expect(puller.pull(`${registry.host}/library/broken`)).rejects.toMatchObject({ code: 'invalid-model' })
    expect(await listed(puller)).toEqual([])
  })
})

function statuses(steps: TransferProgress[]): string[] {
  return steps.map(({ status }) => status).filter((status, i, all) => all.indexOf(status) === i)
}

async function listed({ library }: Puller): Promise<string[]> {
  return (await library.list()).map((model) => displayName(model.name))
}

async function leftovers({ root }: Puller): Promise<string[]> {
  return (await readdir(path.join(root, 'blobs'))).filter((file) => !/^sha256-[0-9a-f]{64}$/.test(file))
}
