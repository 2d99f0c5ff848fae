import { createHash, randomBytes } from 'node:crypto'
import os from 'node:os'
import { AppError } from '../../errors.ts'
import type { ModelName } from '../name.ts'
import { asksForBasic, type Challenge, parseChallenge } from './challenge.ts'
import { RegistryError, retryAfterMs } from './errors.ts'
import type { Signer } from './ollama-key.ts'
import { type RegistryResponse, type RequestBody, Transport, type TransportOptions } from './transport.ts'

export interface RegistryInit {
  /** GET when left out. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  headers?: Record<string, string>
  body?: RequestBody
  /** Statuses from 400 on that the caller wants to see; all others are thrown. */
  expect?: readonly number[]
  /** Redirects of GET and HEAD are followed unless this says `manual`; those of other methods never. */
  redirect?: 'follow' | 'manual'
  /** The registry that named this address: what holds for redirects holds for it. */
  ledBy?: URL
  /** How long nothing may come, in milliseconds, where that is longer than usual. */
  patienceMs?: number
}

export interface ClientOptions extends TransportOptions {
  /** Of this program. */
  version: string
  /** Of the protocol that it speaks; registries look at it. */
  protocolVersion: string
  /** Who the user is at a host (`registry.example:5000`), for when it asks; null for a stranger. */
  login?: (host: string) => Login | null
  /** Who signs a request for a token of this host; null where nobody does. */
  signer?: (host: string) => Promise<Signer | null>
  /** A token that an origin (`https://hub.example`) is shown unasked; null for none. */
  token?: (origin: string) => string | null
}

export interface Login {
  username: string
  password: string
}

const maxRedirects = 10
/** Errors and tokens. */
const maxTextBytes = 64 * 1024
const goArchitectures: Partial<Record<string, string>> = { x64: 'amd64', ia32: '386' }

/** Where a name's registry is asked. `http` only for a caller who allows an insecure one, as the peer does. */
export function registryUrl({ host, namespace, model }: ModelName, path: string, { insecure }: { insecure: boolean }): URL {
  const text = `${insecure ? 'http' : 'https'}://${host}/v2/${namespace}/${model}/${path}`
  // A name's grammar allows hosts that are none, such as `a:b:c`.
  if (!URL.canParse(text)) throw new AppError('invalid-request', 'invalid model name')
  return new URL(text)
}

/**
 * HTTP with a registry: tokens, redirects and their limits.
 *
 * Credentials go to the registry's own host only, whoever asks for them; a public registry cannot lead into private networks.
 */
export class RegistryClient {
  readonly #transport: Transport
  readonly #userAgent: string
  readonly #login: (host: string) => Login | null
  readonly #signer: (host: string) => Promise<Signer | null>
  readonly #token: (origin: string) => string | null
  /** What `Authorization` says, by host, repository and whether something is written. */
  readonly #credentials = new Map<string, string>()

  constructor({ version, protocolVersion, login = () => null, signer = async () => null, token = () => null, ...options }: ClientOptions) {
    this.#transport = new Transport(options)
    this.#login = login
    this.#signer = signer
    this.#token = token
    const machine = `${goArchitectures[process.arch] ?? process.arch} ${os.platform()}`
    this.#userAgent = `ollama/${protocolVersion} (${machine}) paddock/${version}`
  }

  /**
   * The answer, after redirects; dispose it when done.
   *
   * Throws RegistryError with the peer's texts: `file does not exist` (404), `unauthorized: access denied`, `<status>: <body>`.
   */
  async request(url: URL, init: RegistryInit, signal: AbortSignal): Promise<RegistryResponse> {
    const { method = 'GET', redirect = 'follow', expect = [], ledBy = url } = init
    const response = await this.#ledTo(redirectTarget(ledBy, url.href), ledBy, init, signal)
    const follows = redirect === 'follow' && (method === 'GET' || method === 'HEAD')
    const final = follows ? await this.#followed(url, response, init, signal) : response
    if (final.status < 400 || expect.includes(final.status)) return final
    using failed = final
    throw await refusal(failed)
  }

  /** Answers a 401 once. */
  async #authorized(url: URL, init: RegistryInit, signal: AbortSignal): Promise<RegistryResponse> {
    const key = credentialsKey(url, init.method)
    const given = this.#token(url.origin)
    const first = await this.#send(url, init, given === null ? this.#credentials.get(key) : `Bearer ${given}`, true, signal)
    if (first.status !== 401) return first
    const credentials = await this.#answerTo(url, first.headers['www-authenticate'], signal).catch((error: unknown) => {
      first[Symbol.dispose]()
      throw error
    })
    if (credentials === null && init.expect?.includes(401)) return first
    first[Symbol.dispose]()
    if (credentials === null) throw unauthorized()
    this.#credentials.set(key, credentials)
    const second = await this.#send(url, init, credentials, true, signal)
    if (second.status !== 401) return second
    second[Symbol.dispose]()
    this.#credentials.delete(key)
    throw unauthorized()
  }

  /** What `Authorization` has to say to whoever asks like this; null when there is nothing to say. */
  async #answerTo(url: URL, asked: string | undefined, signal: AbortSignal): Promise<string | null> {
    const challenge = parseChallenge(asked)
    if (challenge !== null) return `Bearer ${await this.#tokenFrom(url, challenge, signal)}`
    return asksForBasic(asked) ? this.#basic(url) : null
  }

  /** As the peer signs it: the method, the address with time and nonce, the digest of no body. */
  async #signature({ host }: URL, realm: URL): Promise<string | null> {
    const signer = await this.#signer(host)
    if (signer === null) return null
    realm.searchParams.set('ts', String(Math.floor(Date.now() / 1000)))
    realm.searchParams.set('nonce', randomBytes(16).toString('base64url'))
    realm.searchParams.sort()
    const noBody = Buffer.from(createHash('sha256').digest('hex')).toString('base64')
    return signer(`GET,${realm.href},${noBody}`)
  }

  #basic({ host }: URL): string | null {
    const login = this.#login(host)
    return login === null ? null : `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
  }

  async #followed(url: URL, first: RegistryResponse, init: RegistryInit, signal: AbortSignal): Promise<RegistryResponse> {
    let response = first
    for (let count = 0; isRedirect(response.status); count++) {
      const { location } = response.headers
      const from = response.url
      response[Symbol.dispose]()
      if (location === undefined) throw new RegistryError(`${response.status} response missing Location header`, { isTemporary: false })
      if (count === maxRedirects) throw new RegistryError(`stopped after ${maxRedirects} redirects`, { isTemporary: false })
      response = await this.#ledTo(redirectTarget(from, location), url, init, signal)
    }
    return response
  }

  /** Asks at an address that a registry has named: elsewhere as a stranger. */
  #ledTo(target: URL, by: URL, init: RegistryInit, signal: AbortSignal): Promise<RegistryResponse> {
    if (target.host === by.host) return this.#authorized(target, init, signal)
    return this.#send(target, withoutCredentials(init), undefined, this.#transport.isPrivate(by), signal)
  }

  #send(
    url: URL,
    { method = 'GET', headers = {}, body, patienceMs }: RegistryInit,
    authorization: string | undefined,
    mayBePrivate: boolean,
    signal: AbortSignal,
  ) {
    const all = { 'user-agent': this.#userAgent, ...(authorization !== undefined && { authorization }), ...headers }
    return this.#transport.send(url, { method, headers: all, body: body ?? null, mayBePrivate, patienceMs: patienceMs ?? null }, signal)
  }

  async #tokenFrom(url: URL, { realm, service, scopes }: Challenge, signal: AbortSignal): Promise<string> {
    if (realm.host !== url.host) {
      const hosts = [realm.host, url.host].map((host) => JSON.stringify(host))
      throw new RegistryError(`realm host ${hosts[0]} does not match original host ${hosts[1]}`, { isTemporary: false })
    }
    if (url.protocol === 'https:' && realm.protocol !== 'https:') throw new RegistryError('realm asks for a token without TLS', { isTemporary: false })
    realm.searchParams.set('service', service)
    for (const scope of scopes) realm.searchParams.append('scope', scope)
    const authorization = (await this.#signature(url, realm)) ?? this.#basic(url)
    using response = await this.#send(realm, {}, authorization ?? undefined, true, signal)
    if (response.status !== 200) throw await refusal(response)
    const answer = (await response.bytes(maxTextBytes)).toString('utf8')
    const token = readToken(answer)
    if (token === null) throw new RegistryError(`${realm.origin}${realm.pathname}: the answer holds no token`, { isTemporary: false })
    return token
  }
}

function credentialsKey(url: URL, method = 'GET'): string {
  const [, repository = ''] = /^\/v2\/(.+?)\/(?:manifests|blobs)\//.exec(url.pathname) ?? []
  return `${url.host} ${repository} ${method === 'GET' || method === 'HEAD' ? 'read' : 'write'}`
}

/** Some registries call it `access_token`. A token that could not stand in a header is none. */
function readToken(text: string): string | null {
  try {
    const { token, access_token } = JSON.parse(text) as { token?: unknown; access_token?: unknown }
    const found = token ?? access_token
    return typeof found === 'string' && /^[\x21-\x7e]+$/.test(found) ? found : null
  } catch {
    return null
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

/** Where a `Location` leads; never from TLS to none, never with a user's name in it. Throws RegistryError. */
export function redirectTarget(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw new RegistryError(`failed to parse Location header ${JSON.stringify(location.slice(0, 200))}`, { isTemporary: false })
  const target = new URL(location, from)
  if (from.protocol === 'https:' && target.protocol !== 'https:') {
    throw new RegistryError(`refused: ${from.host} leads to ${target.host} without TLS`, { isTemporary: false })
  }
  target.username = ''
  target.password = ''
  return target
}

function withoutCredentials({ headers = {}, ...init }: RegistryInit): RegistryInit {
  return { ...init, headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !/^(authorization|cookie)$/i.test(name))) }
}

function unauthorized(): RegistryError {
  return new RegistryError('unauthorized: access denied', { status: 401 })
}

async function refusal(response: RegistryResponse): Promise<RegistryError> {
  const { status, headers } = response
  const more = { status, retryAfterMs: retryAfterMs(headers['retry-after']) }
  if (status === 404) return new RegistryError('file does not exist', more)
  if (status === 401) return unauthorized()
  const text = await response.bytes(maxTextBytes).then(
    (bytes) => bytes.toString('utf8').trim(),
    () => '',
  )
  return new RegistryError(`${status}: ${text.slice(0, 1000)}`, more)
}
