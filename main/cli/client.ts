import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

/** The server's answer was an error, in its own words. */
export class ServerError extends Error {
  override readonly name = 'ServerError'
  /** HTTP status; of an error in the middle of a stream 500. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Where the server is, and who asks. */
export interface ClientOptions {
  /** Without a slash at the end. */
  url: string
  /** '' sends none. */
  key: string
  version: string
}

type Method = 'GET' | 'HEAD' | 'POST' | 'DELETE'

/** One line of a stream may hold all log-probabilities of a reply, but not more than this. */
const maxLineLength = 64 * 1024 * 1024

/**
 * The native API over HTTP. Errors of the server are thrown as ServerError; without a server, an Error says how to start one.
 *
 * On `node:http` rather than `fetch`, which gives up on a model that thinks for five minutes before its first word.
 */
export class Client {
  readonly url: string
  readonly #key: string
  readonly #version: string

  constructor({ url, key, version }: ClientOptions) {
    this.url = url
    this.#key = key
    this.#version = version
  }

  /** The JSON that the server answers; undefined when it answers nothing. */
  async call<T>(method: Method, path: string, body?: object, signal?: AbortSignal): Promise<T> {
    const response = await this.#send(method, path, body, signal)
    const answer = await text(response)
    return (answer === '' ? undefined : JSON.parse(answer)) as T
  }

  /** The objects of a stream, as they come. Leaving the loop closes the connection, which stops the server's work. */
  async *stream<T>(path: string, body: object, signal?: AbortSignal): AsyncIterable<T> {
    const response = await this.#send('POST', path, body, signal)
    try {
      for await (const line of lines(response)) {
        const object: unknown = JSON.parse(line)
        const { error } = object as { error?: unknown }
        if (typeof error === 'string') throw new ServerError(500, error)
        yield object as T
      }
    } finally {
      response.destroy()
    }
  }

  /** True unless the server says 404. */
  async has(path: string): Promise<boolean> {
    try {
      await this.call('HEAD', path)
      return true
    } catch (error) {
      if (error instanceof ServerError && error.status === 404) return false
      throw error
    }
  }

  /** Sends bytes as they are. */
  async upload(path: string, bytes: AsyncIterable<Uint8Array>, sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const response = await this.#send('POST', path, { bytes, sizeBytes }, signal)
    response.resume()
  }

  async #send(method: Method, path: string, body?: object | Upload, signal?: AbortSignal): Promise<http.IncomingMessage> {
    const response = await this.#request(method, path, body, signal)
    const status = response.statusCode ?? 500
    if (status >= 200 && status < 300) return response
    throw new ServerError(status, errorText(status, await text(response)))
  }

  #request(method: Method, path: string, body: object | Upload | undefined, signal: AbortSignal | undefined): Promise<http.IncomingMessage> {
    const url = new URL(this.url + path)
    const json = body === undefined || isUpload(body) ? undefined : Buffer.from(JSON.stringify(body))
    const headers: http.OutgoingHttpHeaders = {
      'user-agent': `paddock/${this.#version} (${process.arch} ${process.platform})`,
      ...(this.#key !== '' && { authorization: `Bearer ${this.#key}` }),
      ...(json && { 'content-type': 'application/json', 'content-length': json.length }),
      ...(body && isUpload(body) && { 'content-type': 'application/octet-stream', 'content-length': body.sizeBytes }),
    }
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    const request = (url.protocol === 'https:' ? https : http).request(url, { method, headers, agent: false, ...(signal && { signal }) })
    request.on('response', resolve)
    // After the answer has begun, an error of the connection reaches the one who reads the answer.
    request.on('error', (error) => reject(signal?.aborted ? signal.reason : unreachable(this.url, error)))
    if (body && isUpload(body)) {
      // A server that refuses answers before it has read everything: then its answer counts, not the broken pipe.
      pipeline(body.bytes, request).catch((error: Error) => setTimeout(() => reject(error), 1000).unref())
    } else {
      request.end(json)
    }
    return promise
  }
}

interface Upload {
  bytes: AsyncIterable<Uint8Array>
  sizeBytes: number
}

function isUpload(body: object): body is Upload {
  return 'bytes' in body
}

async function* lines(response: http.IncomingMessage): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of unbroken(response)) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > maxLineLength) throw new Error('the server sent a line without an end')
    for (const part of parts) if (part.trim() !== '') yield part
  }
  if (rest.trim() !== '') yield rest
}

async function* unbroken(response: http.IncomingMessage): AsyncIterable<Uint8Array> {
  try {
    yield* response as AsyncIterable<Uint8Array>
  } catch (cause) {
    throw new Error('the server ended the connection in the middle of its answer', { cause })
  }
}

/** The server's own words; of a proxy between, what it wrote; of an empty answer, its status. */
function errorText(status: number, body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: string | { message?: string } }
    const message = typeof error === 'string' ? error : error?.message
    if (message !== undefined) return message
  } catch {
    // No JSON: not from a Paddock.
  }
  return body.trim() === '' ? `the server answered ${status} ${http.STATUS_CODES[status] ?? ''}`.trim() : body.trim().slice(0, 1000)
}

function unreachable(url: string, cause: Error): Error {
  const { code } = cause as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED')
    return new Error(`nothing listens at ${url}: start the server with "paddock serve", or name another one in OLLAMA_HOST`, { cause })
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new Error(`${new URL(url).hostname} is not known: check OLLAMA_HOST`, { cause })
  if (code === 'ECONNRESET') return new Error(`the server at ${url} ended the connection`, { cause })
  return new Error(`the server at ${url} cannot be reached: ${cause.message}`, { cause })
}
