import dns from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { AppError } from '../../errors.ts'
import type { Outgoing } from '../../lib/outgoing.ts'
import { isPrivateAddress, isPrivateHost } from './addresses.ts'
import { RegistryError, unreachable } from './errors.ts'

/** What is sent with a request. `open` may be called again: after a 401 the request is repeated. */
export interface RequestBody {
  sizeBytes: number
  open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

export interface Exchange {
  method: string
  headers: Record<string, string>
  body: RequestBody | null
  /** False refuses addresses of this machine and of private networks. */
  mayBePrivate: boolean
  /** In place of the usual `stallMs`; null for that. */
  patienceMs: number | null
}

export interface TransportOptions {
  outgoing: Outgoing
  /** A connection on which nothing moves for so long is given up. */
  stallMs: number
}

/** An answer whose body is still to come. Dispose it: what was not read by then is dropped with its connection. */
export class RegistryResponse implements Disposable {
  readonly url: URL
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly #message: http.IncomingMessage
  readonly #method: string
  readonly #signal: AbortSignal

  constructor(message: http.IncomingMessage, method: string, url: URL, signal: AbortSignal) {
    this.#message = message
    this.#method = method
    this.#signal = signal
    this.url = url
    this.status = message.statusCode ?? 0
    this.headers = message.headers
  }

  /** Chunks as the network brings them. Throws RegistryError when the connection breaks or stalls before the announced end. */
  async *body(): AsyncGenerator<Buffer, void> {
    try {
      for await (const chunk of this.#message) yield chunk as Buffer
    } catch (error) {
      this.#signal.throwIfAborted()
      throw error instanceof RegistryError ? error : unreachable(this.#method, this.url, error)
    }
  }

  /** The whole body; throws RegistryError when it is longer. */
  async bytes(limit: number): Promise<Buffer> {
    const chunks: Buffer[] = []
    let size = 0
    for await (const chunk of this.body()) {
      size += chunk.length
      if (size > limit) throw new RegistryError(`${this.url.origin}${this.url.pathname}: the answer is larger than ${limit} bytes`, { status: this.status })
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  [Symbol.dispose](): void {
    if (!this.#message.readableEnded) this.#message.destroy()
  }
}

/** One request, one answer, on connections that are kept. Knows neither redirects nor credentials. */
export class Transport {
  readonly #stallMs: number
  readonly #outgoing: Outgoing
  /** Whether a host's name led to a private address when it was last connected to; a kept connection asks nobody again. */
  readonly #isPrivate = new Map<string, boolean>()

  constructor({ outgoing, stallMs }: TransportOptions) {
    this.#outgoing = outgoing
    this.#stallMs = stallMs
  }

  /** True when the host is of this machine or of a private network, as far as is known. */
  isPrivate({ hostname }: URL): boolean {
    return isPrivateHost(hostname) || (this.#isPrivate.get(hostname) ?? false)
  }

  async send(url: URL, { method, headers, body, mayBePrivate, patienceMs }: Exchange, signal: AbortSignal): Promise<RegistryResponse> {
    signal.throwIfAborted()
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new RegistryError(`unsupported protocol scheme ${JSON.stringify(url.protocol.slice(0, -1))}`)
    if (!mayBePrivate && this.isPrivate(url)) throw refusedAddress(url)
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      agent: this.#outgoing.agent(url),
      headers: { ...headers, 'accept-encoding': 'identity', ...(body && bodyHeaders(body)) },
      lookup: this.#lookup(url, mayBePrivate),
      signal,
    })
    const stallMs = patienceMs ?? this.#stallMs
    const stalled = new RegistryError(`${url.host}: nothing came for ${stallMs / 1000} seconds`)
    let message: http.IncomingMessage | null = null
    request.setTimeout(stallMs, () => (message ?? request).destroy(stalled))
    request.on('response', (answer) => {
      message = answer
      // An answer that came before everything was sent: nobody wants the rest.
      answer.once('end', () => request.writableFinished || request.destroy())
      resolve(answer)
    })
    request.on('error', reject)
    if (body === null) request.end()
    // A registry that refuses answers before it has read everything: then its answer counts, not the broken pipe.
    else sendBody(request, body, reject).catch((error: unknown) => setTimeout(() => reject(error), 1000).unref())
    try {
      return new RegistryResponse(await promise, method, url, signal)
    } catch (error) {
      signal.throwIfAborted()
      // What failed may be the file that is sent.
      throw error instanceof AppError ? error : unreachable(method, url, error)
    }
  }

  #lookup(url: URL, mayBePrivate: boolean): LookupFunction {
    return (hostname, options, callback) => {
      dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
        const first = addresses?.[0]
        if (error || first === undefined) return callback(error, '')
        // A proxy's own name comes this way too, and may well be private.
        if (hostname === url.hostname) {
          const found = addresses.some(({ address }) => isPrivateAddress(address))
          this.#isPrivate.set(hostname, found)
          if (found && !mayBePrivate) return callback(refusedAddress(url), '')
        }
        if (options.all === true) callback(null, addresses)
        else callback(null, first.address, first.family)
      })
    }
  }
}

/** Larger bodies wait for a word of the server: one that wants them elsewhere, or not from a stranger, says so first. */
const unaskedBytes = 64 * 1024
/** Servers that know nothing of such a word get the body after so long. */
const wordWaitMs = 1000

function bodyHeaders({ sizeBytes }: RequestBody): Record<string, string | number> {
  return { 'content-length': sizeBytes, ...(sizeBytes > unaskedBytes && { expect: '100-continue' }) }
}

/** @param lost told at once what the body itself fails with */
async function sendBody(request: http.ClientRequest, body: RequestBody, lost: (error: unknown) => void): Promise<void> {
  if (body.sizeBytes > unaskedBytes) {
    const answered = await new Promise<boolean>((resolve, reject) => {
      request.flushHeaders()
      const timer = setTimeout(resolve, wordWaitMs, false)
      request
        .once('continue', () => resolve(false))
        .once('response', () => resolve(true))
        .once('error', reject)
      request.once('close', () => clearTimeout(timer))
    })
    if (answered) return
  }
  const watched = async function* () {
    try {
      yield* body.open()
    } catch (error) {
      lost(error)
      throw error
    }
  }
  await pipeline(watched(), request)
}

function refusedAddress({ host }: URL): RegistryError {
  return new RegistryError(`refused: a public registry leads to ${host}, an address of this machine or of a private network`, { isTemporary: false })
}
