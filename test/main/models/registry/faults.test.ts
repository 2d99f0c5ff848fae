import { appendFile, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { displayName } from '../../../../main/models/name.ts'
import { type Fault, type FaultyProxy, type Rule, startFaultyProxy } from '../../../helpers/faulty-proxy.ts'
import { criaModel, publish } from '../../../helpers/publish.ts'
import { hasRegistry, type Registry, startRegistry } from '../../../helpers/registry.ts'
import { smallDisk } from '../../../helpers/small-disk.ts'
import { openPuller, type Puller } from './setup.ts'

let registry: Registry
let cria: Awaited<ReturnType<typeof criaModel>>
let weights: string

beforeAll(async () => {
  if (!hasRegistry) return
  registry = await startRegistry()
  cria = await criaModel()
  weights = cria.layers[0]?.digest ?? ''
  await publish(registry.url, 'library/cria:latest', cria)
})
afterAll(() => registry?.[Symbol.asyncDispose]())

/** What meets requests for the weights. */
const ofWeights = (fault: Fault, more: Partial<Rule> = {}): Rule => ({ path: new RegExp(`/blobs/${weights}`), fault, ...more })

describe.runIf(hasRegistry)('a pull comes to its end', () => {
  const faults: [what: string, rules: () => Rule[]][] = [
    ['connections that break', () => [ofWeights({ type: 'break', afterBytes: 100_000 }, { times: 10 })]],
    ['answers that are too short', () => [ofWeights({ type: 'truncate', afterBytes: 100_000 }, { times: 10 })]],
    ['parts that stall', () => [ofWeights({ type: 'stall', afterBytes: 50_000 }, { times: 3 })]],
    ['parts that never begin', () => [ofWeights({ type: 'stall', afterBytes: 0 }, { times: 3 })]],
    ['a registry that knows no ranges', () => [ofWeights({ type: 'no-ranges' })]],
    [
      'a registry that knows no ranges, and breaks',
      () => [ofWeights({ type: 'break', afterBytes: 1_000_000 }, { times: 1 }), ofWeights({ type: 'no-ranges' })],
    ],
    ['500', () => [ofWeights({ type: 'answer', status: 500 }, { times: 5 })]],
    ['429 with a time to wait', () => [ofWeights({ type: 'answer', status: 429, headers: { 'retry-after': '0' } }, { times: 5 })]],
    ['416 for a range that is there', () => [ofWeights({ type: 'answer', status: 416 }, { times: 3 })]],
    [
      'a sign-in page, until someone has signed in',
      () => [ofWeights({ type: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }, { times: 2 })],
    ],
    ['one wrong byte', () => [ofWeights({ type: 'flip', at: 1000 }, { times: 1 })]],
  ]
  test.each(faults)('with %s', async (_, rules) => {
    await using proxy = await startFaultyProxy(registry.url, rules())
    await using puller = await openPuller({ stallMs: 300 })
    const steps = await puller.pull(`${proxy.host}/library/cria`)
    expect(steps.at(-1)).toEqual({ status: 'success' })
    expect(await listed(puller)).toEqual([`${proxy.host}/library/cria:latest`])
    await expectMonotonic(steps)
  })

  test('by way of another host, which sees no credentials, and anew when a signed address has expired', async () => {
    await using elsewhere = await startFaultyProxy(registry.url, [
      { path: /\/blobs\//, after: 3, times: 2, fault: { type: 'answer', status: 403, body: '<Error>expired</Error>' } },
    ])
    await using proxy = await startFaultyProxy(registry.url, [ofWeights({ type: 'redirect', to: elsewhere.url })])
    await using puller = await openPuller()
    expect((await puller.pull(`${proxy.host}/library/cria`)).at(-1)).toEqual({ status: 'success' })
    expect(elsewhere.seen.length).toBeGreaterThan(3)
    expect(elsewhere.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true)
  })

  test('fetching again only the part that was doubtful', async () => {
    // The second connection of one part brings a wrong byte: the part is known to have been broken off.
    await using proxy = await startFaultyProxy(registry.url, [
      ofWeights({ type: 'break', afterBytes: 100_000 }, { times: 1 }),
      ofWeights({ type: 'flip', at: 10 }, { times: 1 }),
    ])
    await using puller = await openPuller({ rules: { connections: 1 } })
    await puller.pull(`${proxy.host}/library/cria`)
    // Each part once, one more for the break, one for the repair.
    expect(blobRequests(proxy)).toBeLessThanOrEqual((await parts()) + 2)
    expect(puller.lines.join('\n')).toContain('is not what its digest says')
  })

  test('after its process ended, from where it was', async () => {
    await using proxy = await startFaultyProxy(registry.url, [ofWeights({ type: 'stall', afterBytes: 100_000 })])
    await using puller = await openPuller()
    const leaving = new AbortController()
    const pulling = puller.pull(`${proxy.host}/library/cria`, { signal: leaving.signal })
    const here = () => puller.downloads.bytesHere({ digest: weights, sizeBytes: cria.layers[0]?.size ?? 0 })
    await expect.poll(here).toBeGreaterThan(0)
    leaving.abort(new Error('left'))
    await expect(pulling).rejects.toThrow('left')
    expect(await tables(puller)).toBe(await parts())
    proxy.rules.length = 0
    proxy.seen.length = 0
    const again = await openPuller({ root: puller.root })
    await again.pull(`${proxy.host}/library/cria`)
    expect(await listed(again)).toHaveLength(1)
    const starts = proxy.seen.map(({ headers }) => Number(/bytes=(\d+)/.exec(String(headers.range))?.[1] ?? 0))
    expect(starts.some((start) => start % (256 * 1024) !== 0)).toBe(true)
    await again[Symbol.asyncDispose]()
  })
})

describe.runIf(hasRegistry)('a pull fails, and lists nothing,', () => {
  const faults: [what: string, rules: () => Rule[], message: RegExp][] = [
    ['when every connection breaks', () => [ofWeights({ type: 'break', afterBytes: 0 })], /^max retries exceeded: Get ".*": connection reset by peer$/],
    [
      'when a sign-in page is all there is',
      () => [ofWeights({ type: 'answer', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' })],
      /web page/,
    ],
    [
      'when the bytes are always wrong',
      () => [ofWeights({ type: 'flip', at: 1000 })],
      /^digest mismatch, file must be downloaded again: want sha256:[0-9a-f]{64}, got sha256:[0-9a-f]{64}$/,
    ],
    ['when the blob is not there', () => [ofWeights({ type: 'answer', status: 404 })], /^file does not exist$/],
    [
      'when the blob has another size',
      () => [ofWeights({ type: 'answer', status: 206, headers: { 'content-range': 'bytes 0-9/10' }, body: '0123456789' })],
      /has 10 bytes for .*, but the manifest says/,
    ],
    ['when the manifest is refused', () => [{ path: /manifests/, fault: { type: 'answer', status: 500, body: 'no' } }], /^pull model manifest: 500: no$/],
    [
      'when the manifest is a page',
      () => [{ path: /manifests/, fault: { type: 'answer', status: 200, body: '<html>' } }],
      /^pull model manifest: the manifest is invalid/,
    ],
    [
      'when a token is to be fetched elsewhere',
      () => [
        {
          path: /manifests/,
          fault: { type: 'answer', status: 401, headers: { 'www-authenticate': 'Bearer realm="http://evil.example/token",service="x",scope="y"' } },
        },
      ],
      /^pull model manifest: realm host "evil.example" does not match original host "127\.0\.0\.1:\d+"$/,
    ],
    ['when a stranger may not', () => [{ path: /manifests/, fault: { type: 'answer', status: 401 } }], /^pull model manifest: unauthorized: access denied$/],
  ]
  test.each(faults)('%s', async (_, rules, message) => {
    await using proxy = await startFaultyProxy(registry.url, rules())
    await using puller = await openPuller()
    await expect(puller.pull(`${proxy.host}/library/cria`)).rejects.toThrow(message)
    expect(await listed(puller)).toEqual([])
    expect(await puller.store.blobs.has(weights)).toBe(false)
  })

  test('when the disk has no room, naming what is needed and what is free', async ({ skip }) => {
    const disk = await smallDisk(2)
    if (disk === null) return skip('no small disk can be mounted here')
    await using _ = disk
    await using puller = await openPuller({ root: path.join(disk.path, 'models') })
    await expect(puller.pull(`${registry.host}/library/cria`)).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(/needs [\d.]+ GB \(\d+ bytes\) more, and 0\.002 GB \(\d+ bytes\) are free/),
    })
    expect((await readdir(path.join(puller.root, 'blobs'))).length).toBe(0)
  })
})

test.runIf(hasRegistry)('a disk that somebody else fills meanwhile ends the pull by its reason, and the next one goes on', async ({ skip }) => {
  const disk = await smallDisk(6)
  if (disk === null) return skip('no small disk can be mounted here')
  await using _ = disk
  await using proxy = await startFaultyProxy(registry.url, [ofWeights({ type: 'slow', bytesPerSecond: 200_000 })])
  await using puller = await openPuller({ root: path.join(disk.path, 'models') })
  const model = `${proxy.host}/library/cria`
  const other = path.join(disk.path, 'other')
  const filled = async () => {
    for await (const { digest, completed = 0 } of puller.steps(model, new AbortController().signal)) {
      if (digest !== weights || completed === 0) continue
      // All that is left, and then the last block by block.
      for (const size of [2 ** 16, 2 ** 12])
        for (;;)
          if (
            !(await appendFile(other, Buffer.alloc(size)).then(
              () => true,
              () => false,
            ))
          )
            break
      proxy.rules.length = 0
    }
  }
  await expect(filled()).rejects.toMatchObject({ code: 'disk-full', message: expect.stringContaining('no space left') })
  expect(await listed(puller)).toEqual([])
  await rm(other)
  expect((await puller.pull(model)).at(-1)?.status).toBe('success')
  expect(await listed(puller)).toEqual([`${model}:latest`])
})

async function expectMonotonic(steps: { digest?: string; completed?: number }[]): Promise<void> {
  const last = new Map<string, number>()
  for (const { digest = '', completed = 0 } of steps) {
    expect(completed).toBeGreaterThanOrEqual(digest === '' ? 0 : (last.get(digest) ?? 0))
    last.set(digest, completed)
  }
}

async function listed({ library }: Puller): Promise<string[]> {
  return (await library.list()).map((model) => displayName(model.name))
}

/** How many the weights have. */
async function parts(): Promise<number> {
  return Math.ceil((cria.layers[0]?.size ?? 0) / (256 * 1024))
}

async function tables({ root }: Puller): Promise<number> {
  return (await readdir(path.join(root, 'blobs'))).filter((name) => /-partial-\d+$/.test(name)).length
}

function blobRequests({ seen }: FaultyProxy): number {
  return seen.filter((request) => request.path.includes(weights)).length
}
