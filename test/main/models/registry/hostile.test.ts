import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import { Outgoing } from '../../../../main/lib/outgoing.ts'
import { mediaTypes } from '../../../../main/models/manifest.ts'
import { manifestPath, parseName } from '../../../../main/models/name.ts'
import { isPrivateAddress, isPrivateHost } from '../../../../main/models/registry/addresses.ts'
import { registryUrl } from '../../../../main/models/registry/client.ts'
import { checkManifest } from '../../../../main/models/registry/manifest-check.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { forever } from '../setup.ts'
import { openPuller, testClient } from './setup.ts'

/** The same numbers at each run. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

const hex = 'ab'.repeat(32)
const evil = [
  '../../../etc/passwd',
  'sha256:../../x',
  `sha256:${hex}/..`,
  `sha256:${'AB'.repeat(32)}`,
  `sha512:${hex}`,
  `sha256:${hex}\0`,
  '',
  'sha256:',
  `sha256-${hex}/../../y`,
  '/etc/passwd',
  'C:\\x',
  'con',
  `sha256:${hex.slice(1)}`,
  `${hex}`,
  'sha256:..',
  '\u202esha256',
  null,
  7,
  {},
  [],
]
const evilNumbers: unknown[] = [-1, 1.5, 1e308, Number.MAX_SAFE_INTEGER, '12', null, {}, 2 ** 53, true]
const evilTypes: unknown[] = [
  'text/plain',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  '',
  `${mediaTypes.model}/../x`,
  null,
  3,
  'application/vnd.ollama.image.tensor',
  mediaTypes.system,
]

function hostileManifest(random: () => number): unknown {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const digest = () => (random() < 0.5 ? pick(evil) : `sha256:${hex}`)
  const size = () => (random() < 0.5 ? pick(evilNumbers) : Math.floor(random() * 1e12))
  const layer = () =>
    random() < 0.1
      ? pick<unknown>([null, 1, 'x', []])
      : { mediaType: random() < 0.5 ? pick(evilTypes) : mediaTypes.model, digest: digest(), size: size(), from: random() < 0.2 ? '../x' : undefined }
  const layers = random() < 0.1 ? pick<unknown>([null, {}, 'x', 3]) : Array.from({ length: Math.floor(random() * 4) }, layer)
  return { schemaVersion: pick<unknown>([2, 1, 'x', null]), mediaType: pick<unknown>([mediaTypes.manifest, 'text/html', null]), config: layer(), layers }
}

test('thousands of hostile manifests are refused, or name nothing but digests and sizes that are none', () => {
  const random = numbers(5)
  let refused = 0
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(JSON.stringify(hostileManifest(random)))
    const cut = random() < 0.1 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes
    try {
      const { blobs, totalBytes } = checkManifest(cut)
      for (const { digest, size, mediaType } of blobs) {
        expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
        expect(Number.isSafeInteger(size) && size >= 0 && size <= totalBytes).toBe(true)
        expect(typeof mediaType).toBe('string')
      }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      refused++
    }
  }
  expect(refused).toBeGreaterThan(3000)
})

test.each([
  ['too many layers', { layers: Array.from({ length: 1001 }, () => ({ mediaType: mediaTypes.license, digest: `sha256:${hex}`, size: 1 })) }, /1001 layers/],
  ['a text of a gigabyte', { layers: [{ mediaType: mediaTypes.system, digest: `sha256:${hex}`, size: 1e9 }] }, /has 1000000000 bytes, more than/],
  ['a digest in the spelling of files', { layers: [{ mediaType: mediaTypes.model, digest: `sha256-${hex}`, size: 1 }] }, /sha256/],
  [
    'a layer of a container',
    { layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest: `sha256:${hex}`, size: 1 }] },
    /no part of a model/,
  ],
  ['one digest with two sizes', { layers: [1, 2].map((size) => ({ mediaType: mediaTypes.model, digest: `sha256:${hex}`, size })) }, /two sizes/],
  ['tensors', { layers: [{ mediaType: 'application/vnd.ollama.image.tensor', digest: `sha256:${hex}`, size: 1 }] }, /^this model requires MLX support/],
])('a manifest with %s is refused', (_, part, message) => {
  const config = { mediaType: mediaTypes.config, digest: `sha256:${'cd'.repeat(32)}`, size: 2 }
  expect(() => checkManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, config, ...part })))).toThrow(message)
})

test('thousands of hostile names lead neither out of the store nor to another address', () => {
  const random = numbers(7)
  const pieces = [
    '..',
    '.',
    '/',
    '\\',
    ':',
    '%2e',
    '%2f',
    '@',
    '?',
    '#',
    ' ',
    '\0',
    'con',
    'aux.gguf',
    'a',
    'B',
    '_',
    '-',
    'hf.co',
    '127.0.0.1',
    '[::1]',
    'ü',
    '\u202e',
    'x'.repeat(90),
    'http://',
    'file://',
    '~',
  ]
  const root = path.resolve('/store/manifests')
  for (let i = 0; i < 10_000; i++) {
    const text = Array.from({ length: 1 + Math.floor(random() * 7) }, () => pieces[Math.floor(random() * pieces.length)]).join('')
    const name = parseName(text)
    if (name === null) continue
    for (const platform of ['linux', 'win32'] as const) {
      try {
        const file = manifestPath(root, name, platform)
        expect(path.relative(root, file).split(path.sep)).toHaveLength(4)
        expect(file.startsWith(root + path.sep)).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(AppError)
      }
    }
    try {
      const url = registryUrl(name, `manifests/${name.tag}`, { insecure: false })
      expect(url.pathname).toBe(`/v2/${name.namespace}/${name.model}/manifests/${name.tag}`)
      expect([url.protocol, url.username, url.password, url.search, url.hash]).toEqual(['https:', '', '', '', ''])
    } catch (error) {
      expect(error).toBeInstanceOf(AppError)
    }
  }
})

test.each([
  '127.0.0.1',
  '10.1.2.3',
  '172.16.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '0.0.0.0',
  '100.64.0.1',
  '[::1]',
  '::ffff:127.0.0.1',
  '[::ffff:a00:1]',
  'fe80::1',
  'fd00::1',
  '64:ff9b::7f00:1',
])('%s is a private address', (address) => {
  expect(isPrivateAddress(address)).toBe(true)
})
test.each(['8.8.8.8', '172.32.0.1', '2606:4700::1', '::ffff:8.8.8.8'])('%s is a public address', (address) => {
  expect(isPrivateAddress(address)).toBe(false)
})
test.each(['localhost', 'LOCALHOST.', 'a.localhost', '127.1.2.3'])('%s is of this machine', (host) => {
  expect(isPrivateHost(host)).toBe(true)
})

describe('a registry that lies', () => {
  let url: string
  const server = createServer((_, response) => {
    const config = { mediaType: mediaTypes.config, digest: `sha256:${hex}`, size: 2 }
    response.end(JSON.stringify({ schemaVersion: 2, config, layers: [{ mediaType: mediaTypes.model, digest: 'sha256:../../../../evil', size: 4 }] }))
  })
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => {
    server.close()
    server.closeAllConnections()
  })

  test('writes nothing, in the store or beside it', async () => {
    await using folder = await temporaryFolder()
    await using puller = await openPuller({ root: path.join(folder.path, 'models') })
    await expect(puller.pull(`${url}/library/evil`)).rejects.toThrow('the manifest is invalid')
    expect((await readdir(folder.path, { recursive: true })).sort()).toEqual(['models', 'models/.paddock', 'models/blobs', 'models/manifests'])
  })

  test.each(['127.0.0.1', 'localhost', '[::ffff:7f00:1]'])('that is public cannot lead to %s', async (inside) => {
    let reached = false
    const { port } = new URL(`http://${url}`)
    // Stands for the public network: what is asked of any host comes here, and is sent to a server of this machine.
    const network = createServer((request, response) => {
      if (!request.url?.startsWith('http://registry.example/')) reached = true
      response.writeHead(307, { location: `http://${inside}:${port}/v2/secret` }).end()
    })
    await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve))
    try {
      const proxy = `http://127.0.0.1:${(network.address() as AddressInfo).port}`
      const client = testClient({ outgoing: new Outgoing({ https: proxy, http: proxy, exceptions: [] }) })
      await expect(client.request(new URL('http://registry.example/v2/library/x/blobs/y'), {}, forever)).rejects.toThrow(
        /^refused: a public registry leads to /,
      )
      expect(reached).toBe(false)
    } finally {
      network.close()
      network.closeAllConnections()
    }
  })
})
