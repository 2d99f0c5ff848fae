import { Log } from '../../../../main/lib/log.ts'
import { Outgoing } from '../../../../main/lib/outgoing.ts'
import { BlobDownloads } from '../../../../main/models/registry/blob-downloads.ts'
import { type ClientOptions, RegistryClient } from '../../../../main/models/registry/client.ts'
import type { DownloadRules } from '../../../../main/models/registry/download.ts'
import { findRemote } from '../../../../main/models/registry/find.ts'
import { HuggingFace } from '../../../../main/models/registry/hugging-face.ts'
import type { TransferProgress } from '../../../../main/models/registry/pieces.ts'
import { pullModel } from '../../../../main/models/registry/pull.ts'
import { forever, name, openLibrary, type TestLibrary } from '../setup.ts'

/** Small parts and no waiting, so that a model of 3 MB shows what one of 40 GB would. */
export const quickRules: DownloadRules = { parts: { minBytes: 256 * 1024, maxBytes: 1024 * 1024 }, connections: 16, retries: { maxTries: 3, delayMs: () => 5 } }

export function testClient(options: Partial<ClientOptions> = {}): RegistryClient {
  const outgoing = new Outgoing({ https: '', http: '', exceptions: [] })
  return new RegistryClient({ version: '0', protocolVersion: '0.33.0', outgoing, stallMs: 5000, ...options })
}

export interface Puller extends TestLibrary {
  downloads: BlobDownloads
  /** All steps, by plain HTTP unless said. */
  pull(model: string, options?: { signal?: AbortSignal; insecure?: boolean }): Promise<TransferProgress[]>
  steps(model: string, signal: AbortSignal): AsyncIterable<TransferProgress>
}

/** A library that can pull from registries on loopback. */
export async function openPuller({
  root,
  rules = {},
  stallMs,
  hub: { endpoint, token } = { endpoint: 'http://127.0.0.1:9', token: '' },
}: {
  root?: string
  rules?: Partial<DownloadRules>
  stallMs?: number
  hub?: { endpoint: string; token: string }
} = {}): Promise<Puller> {
  const library = await openLibrary(root === undefined ? {} : { root })
  const client = testClient({ ...(stallMs !== undefined && { stallMs }), token: (origin) => (origin === endpoint ? token || null : null) })
  const hub = new HuggingFace({ client, endpoint, hasToken: () => token !== '' })
  const log = new Log('debug', (line) => library.lines.push(line))
  const downloads = new BlobDownloads({ blobs: library.store.blobs, client, rules: { ...quickRules, ...rules }, log })
  const steps = (model: string, signal: AbortSignal, insecure = true) =>
    pullModel(
      { library: library.library, downloads, find: (request, either) => findRemote({ client, hub }, request, either), prune: true },
      { name: name(model), insecure },
      signal,
    )
  return {
    ...library,
    downloads,
    steps,
    pull: (model, { signal = forever, insecure } = {}) => Array.fromAsync(steps(model, signal, insecure)),
  }
}
