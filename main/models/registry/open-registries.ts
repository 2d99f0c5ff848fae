import type { Log } from '../../lib/log.ts'
import type { Library } from '../library.ts'
import { BlobDownloads } from './blob-downloads.ts'
import { type ConnectOptions, connectRegistries } from './connect.ts'
import type { DownloadsParts } from './downloads.ts'
import { findRemote } from './find.ts'
import { partSizes } from './partial-file.ts'
import { type PullRequest, pullModel } from './pull.ts'
import { createPush, type Push } from './push.ts'
import { type RemoteHeaders, readRemoteHeaders } from './remote-headers.ts'
import { retryRules } from './retry.ts'
import type { RemoteModel } from './source.ts'

export interface RegistriesOptions extends ConnectOptions {
  library: Library
  /** Where unfinished uploads are noted. */
  sessionsFile: string
  /** Remove what only the former manifest of a name needed. */
  prune: boolean
  log: Log
}

/** What the program does with registries, into the library's store and out of it. */
export interface Registries {
  find: (request: PullRequest, signal: AbortSignal) => Promise<RemoteModel>
  readHeaders: (request: PullRequest, signal: AbortSignal) => Promise<RemoteHeaders>
  pull: DownloadsParts['pull']
  /** In parts as the peer's. */
  blobs: BlobDownloads
  push: Push
}

export function openRegistries({ library, sessionsFile, prune, log, ...options }: RegistriesOptions): Registries {
  const registries = connectRegistries(options)
  const { client } = registries
  const find: Registries['find'] = (request, signal) => findRemote(registries, request, signal)
  const rules = { parts: partSizes, connections: 16, retries: retryRules }
  const blobs = new BlobDownloads({ blobs: library.store.blobs, client, rules, log })
  return {
    find,
    readHeaders: (request, signal) => readRemoteHeaders({ client, find }, request, signal),
    pull: (request, signal) => pullModel({ library, downloads: blobs, find, prune }, request, signal),
    blobs,
    push: createPush({ library, client, sessionsFile }),
  }
}
