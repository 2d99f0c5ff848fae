import { createHash } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { mediaTypes } from '../manifest.ts'
import { type RegistryClient, type RegistryInit, redirectTarget } from './client.ts'
import { RegistryError } from './errors.ts'
import { type RetryRules, withRetries } from './retry.ts'
import type { RegistryResponse } from './transport.ts'
import type { UploadSession, UploadSessions } from './upload-sessions.ts'

export interface UploadRules {
  /** A blob goes in so many parts, within these sizes. */
  parts: { count: number; minBytes: number; maxBytes: number }
  retries: RetryRules
}

/** A blob to upload, wherever its bytes lie. */
export interface BlobToPush {
  digest: string
  sizeBytes: number
  /** The bytes from `start` up to, not including, `end`. */
  open: (start: number, end: number) => AsyncIterable<Uint8Array>
  /** Repository of the same registry that may have it already. */
  mountFrom: string | null
}

/** A registry that checks the digest of a large blob takes its time. */
const commitPatienceMs = 10 * 60_000
const octets = 'application/octet-stream'

/** Uploads one blob to one repository, and goes on where an earlier try or an earlier process stopped. Made for one use. */
export class Upload {
  readonly #client: RegistryClient
  /** `…/v2/<repository>/`. */
  readonly #repository: URL
  readonly #blob: BlobToPush
  readonly #sessions: UploadSessions
  readonly #rules: UploadRules
  readonly #key: string
  #completed = 0
  #acknowledged = 0

  constructor({
    client,
    repository,
    blob,
    sessions,
    rules,
  }: { client: RegistryClient; repository: URL; blob: BlobToPush; sessions: UploadSessions; rules: UploadRules }) {
    this.#client = client
    this.#repository = repository
    this.#blob = blob
    this.#sessions = sessions
    this.#rules = rules
    this.#key = `${repository.href} ${blob.digest}`
  }

  /** Bytes on their way or there; never fewer than before, even when some are sent again. */
  get completedBytes(): number {
    return this.#completed
  }

  async run(signal: AbortSignal): Promise<void> {
    await withRetries(
      this.#rules.retries,
      () => this.#acknowledged,
      () => this.#attempt(signal),
      signal,
    )
    this.#completed = this.#blob.sizeBytes
    this.#remember(null)
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    if (await this.#isThere(signal)) return
    const known = this.#sessions.get(this.#key)
    let session = (known && (await this.#resumed(known, signal))) ?? (await this.#opened(signal))
    if (session === null) return
    this.#reach(session.offset)
    while (session.offset < this.#blob.sizeBytes) {
      session = await this.#sendPart(session, signal)
      this.#acknowledged = Math.max(this.#acknowledged, session.offset)
      this.#remember(session)
    }
    await this.#commit(session, signal)
  }

  async #isThere(signal: AbortSignal): Promise<boolean> {
    const url = new URL(`blobs/${this.#blob.digest}`, this.#repository)
    using response = await this.#client.request(url, { method: 'HEAD', expect: [404] }, signal)
    return response.status === 200
  }

  /** null when the registry had the blob elsewhere and needs nothing more. */
  async #opened(signal: AbortSignal): Promise<UploadSession | null> {
    const url = new URL('blobs/uploads/', this.#repository)
    const { digest, mountFrom } = this.#blob
    if (mountFrom !== null) {
      url.searchParams.set('mount', digest)
      url.searchParams.set('from', mountFrom)
    }
    using response = await this.#client.request(url, { method: 'POST' }, signal)
    if (response.status === 201) return null
    const session = { url: nextUrl(response), offset: 0, parts: [] as string[], at: Date.now() }
    this.#remember(session)
    return session
  }

  /** Asks the registry how much it holds; null when it knows the upload no more. */
  async #resumed(session: UploadSession, signal: AbortSignal): Promise<UploadSession | null> {
    using response = await this.#request(session, { expect: [400, 404, 405, 410, 416] }, signal)
    const held = heldBytes(response)
    // `0-0` may stand for one byte or for none.
    if (response.status >= 400 || held === null || held <= 1 || held > this.#blob.sizeBytes) {
      this.#remember(null)
      return null
    }
    const url = response.headers.location === undefined ? session.url : nextUrl(response)
    return { url, offset: held, parts: held === session.offset ? session.parts : null, at: Date.now() }
  }

  async #sendPart(session: UploadSession, signal: AbortSignal): Promise<UploadSession> {
    const { offset, parts } = session
    const { sizeBytes } = this.#blob
    const { count, minBytes, maxBytes } = this.#rules.parts
    const end = Math.min(sizeBytes, offset + Math.min(maxBytes, Math.max(minBytes, Math.ceil(sizeBytes / count))))
    const part = new Part(this.#blob, offset, end, (bytes) => this.#reach(bytes))
    const headers = { 'content-type': octets, 'content-range': `${offset}-${end - 1}`, 'x-redirect-uploads': '1' }
    using response = await this.#request(session, { method: 'PATCH', headers, body: part.body, expect: [404, 416] }, signal)
    if (response.status === 404) {
      this.#remember(null)
      throw new RegistryError(`${response.url.host} knows the upload of ${this.#blob.digest} no more`, { status: null })
    }
    // What it holds is asked before the next try.
    if (response.status === 416) throw new RegistryError(`${response.url.host} holds other bytes of ${this.#blob.digest} than expected`, { status: null })
    const url = nextUrl(response)
    if (response.status >= 300) {
      await this.#store(redirectTarget(response.url, response.headers.location ?? ''), part, signal)
      return { url, offset: end, parts: parts && [...parts, part.md5], at: Date.now() }
    }
    const held = heldBytes(response) ?? end
    if (held <= offset || held > end) {
      this.#remember(null)
      throw new RegistryError(`${response.url.host} says that it holds ${held} bytes of ${this.#blob.digest}, not ${end}`)
    }
    return { url, offset: held, parts: held === end && parts !== null ? [...parts, part.md5] : null, at: Date.now() }
  }

  /** Puts a part where the registry wants it: a storage that takes no credentials of ours. */
  async #store(url: URL, part: Part, signal: AbortSignal): Promise<void> {
    const init: RegistryInit = { method: 'PUT', headers: { 'content-type': octets }, body: part.body, ledBy: this.#repository }
    using _stored = await this.#client.request(url, init, signal)
  }

  async #commit({ url: address, parts }: UploadSession, signal: AbortSignal): Promise<void> {
    const url = new URL(address)
    url.searchParams.set('digest', this.#blob.digest)
    if (parts !== null) {
      const etag = createHash('md5')
        .update(Buffer.from(parts.join(''), 'hex'))
        .digest('hex')
      url.searchParams.set('etag', `${etag}-${parts.length}`)
    }
    const init: RegistryInit = { method: 'PUT', headers: { 'content-type': octets }, expect: [400, 404, 416], patienceMs: commitPatienceMs }
    using response = await this.#request({ url: url.href }, init, signal)
    if (response.status < 400) return
    this.#remember(null)
    const text = await response.bytes(64 * 1024).then(String, () => '')
    if (text.includes('DIGEST_INVALID'))
      throw new AppError('invalid-model', `the blob ${this.#blob.digest} is damaged: ${url.host} counts another digest; get the model again`)
    throw new RegistryError(`${response.status}: ${text.trim().slice(0, 300)}`, { status: response.status, isTemporary: response.status !== 400 })
  }

  #request({ url }: Pick<UploadSession, 'url'>, init: RegistryInit, signal: AbortSignal): Promise<RegistryResponse> {
    return this.#client.request(new URL(url), { ...init, redirect: 'manual', ledBy: this.#repository }, signal)
  }

  #reach(bytes: number): void {
    this.#completed = Math.max(this.#completed, bytes)
  }

  #remember(session: UploadSession | null): void {
    this.#sessions.set(this.#key, session)
  }
}

/** One part on its way. */
class Part {
  readonly body: NonNullable<RegistryInit['body']>
  #hash = createHash('md5')

  constructor(blob: BlobToPush, start: number, end: number, reach: (bytes: number) => void) {
    const sent = async function* (this: Part) {
      // An earlier sending may not have ended yet.
      const hash = createHash('md5')
      this.#hash = hash
      let at = start
      for await (const chunk of blob.open(start, end)) {
        hash.update(chunk)
        yield chunk
        at += chunk.length
        reach(at)
      }
    }
    this.body = { sizeBytes: end - start, open: () => sent.call(this) }
  }

  /** Hex, of what was sent last. */
  get md5(): string {
    return this.#hash.copy().digest('hex')
  }
}

/** Puts the manifest, which makes the model appear. */
export async function putManifest(client: RegistryClient, repository: URL, tag: string, manifest: Uint8Array, signal: AbortSignal): Promise<void> {
  const url = new URL(`manifests/${tag}`, repository)
  const body = { sizeBytes: manifest.length, open: () => [manifest] }
  using _put = await client.request(url, { method: 'PUT', headers: { 'content-type': mediaTypes.manifest }, body, patienceMs: commitPatienceMs }, signal)
}

/** Where an upload goes on; the peer's registry says it in a header of its own, as `Location` names the storage then. */
function nextUrl({ headers, url }: RegistryResponse): string {
  const own = headers['docker-upload-location']
  const location = (Array.isArray(own) ? own[0] : own) ?? headers.location
  if (location === undefined) throw new RegistryError(`${url.host}: an upload without Location header`, { isTemporary: false })
  return redirectTarget(url, location).href
}

/** `Range: 0-99` as 100; null where there is none. */
function heldBytes({ headers: { range } }: RegistryResponse): number | null {
  const last = /^(?:bytes=)?0-(\d+)$/.exec([range ?? ''].flat()[0] ?? '')?.[1]
  return last === undefined ? null : Number(last) + 1
}
