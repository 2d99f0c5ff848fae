import http from 'node:http'
import https from 'node:https'
import type { z } from 'zod'
import { AppError, type ErrorCode } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import type { Outgoing } from '../lib/outgoing.ts'
import type { UpstreamRecord } from './engine.ts'

const connectMs = 10_000
/** An engine may think over a first word as long as it likes; once it writes, such a pause is the end of it. */
const idleMs = 10 * 60_000
/** Vectors of a large batch fit. */
const largestAnswerBytes = 128 * 1024 * 1024
const largestErrorBytes = 64 * 1024

export interface ConnectionParts {
  outgoing: Outgoing
  /** How we name ourselves to engines. */
  userAgent: string
}

/** HTTP with one engine. The key goes to the engine's own address alone: a redirect is never followed. */
export class Connection {
  readonly #record: Pick<UpstreamRecord, 'name' | 'url' | 'key'>
  readonly #parts: ConnectionParts

  constructor(record: Pick<UpstreamRecord, 'name' | 'url' | 'key'>, parts: ConnectionParts) {
    this.#record = record
    this.#parts = parts
  }

  /** A JSON answer, read by a schema. Throws an AppError that begins with the engine's name. */
  async json<S extends z.ZodType>(
    schema: S,
    method: 'GET' | 'POST',
    path: string,
    body: JsonObject | null,
    signal: AbortSignal,
    limitBytes = largestAnswerBytes,
  ): Promise<z.output<S>> {
    const message = await this.#send(method, path, body, signal)
    const text = await this.#text(message, limitBytes, signal)
    return this.parse(schema, text ?? this.#tooLong(path, limitBytes))
  }

  /** Chunks of a streamed answer as they come. Leaving the loop closes the connection, which ends the engine's work. */
  async stream(path: string, body: JsonObject, type: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const message = await this.#send('POST', path, body, signal)
    const given = message.headers['content-type'] ?? ''
    if (!given.toLowerCase().startsWith(type)) {
      message.destroy()
      throw this.failure(`answers ${path} with ${JSON.stringify(given)} in place of a stream`)
    }
    return this.#chunks(message, signal)
  }

  /** Text of the engine as JSON of a certain shape. */
  parse<S extends z.ZodType>(schema: S, text: string): z.output<S> {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (cause) {
      throw this.failure('sends JSON that is broken', { cause })
    }
    const parsed = schema.safeParse(value)
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw this.failure(`sends JSON of another shape (${issue?.path.join('.') || 'the whole'}: ${issue?.message})`)
  }

  /** The engine does not keep to its protocol. */
  failure(what: string, options?: ErrorOptions): AppError {
    return new AppError('upstream-failed', this.#public(`the engine ${this.#record.name} at ${this.#record.url} ${what}`), options)
  }

  /** An error in the engine's own words. */
  refusal(status: number, body: string): AppError {
    const { name, key } = this.#record
    const said = this.#public(errorText(body) || `HTTP ${status}`)
    if (status === 401 || status === 403) {
      const advice = key === '' ? 'it asks for a key: add the engine again with --key' : 'it does not take the key that it was added with'
      return new AppError('upstream-failed', `${name}: ${said} (${advice})`)
    }
    return new AppError(codeOf(status), `${name}: ${said}`)
  }

  async #send(method: 'GET' | 'POST', path: string, body: JsonObject | null, signal: AbortSignal): Promise<http.IncomingMessage> {
    const message = await this.#request(method, path, body === null ? null : Buffer.from(JSON.stringify(body)), signal)
    const status = message.statusCode ?? 0
    if (status >= 200 && status < 300) return message
    if (status >= 300 && status < 400) {
      message.destroy()
      throw this.failure(
        `sends elsewhere (to ${JSON.stringify(message.headers.location ?? '')}), which is not followed: add the engine by the address where it is`,
      )
    }
    throw this.refusal(status, (await this.#text(message, largestErrorBytes, signal)) ?? '')
  }

  async #request(method: 'GET' | 'POST', path: string, body: Buffer | null, signal: AbortSignal, again = true): Promise<http.IncomingMessage> {
    signal.throwIfAborted()
    const { url: base, key } = this.#record
    const url = new URL(base + path)
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      agent: this.#parts.outgoing.agent(url),
      signal,
      headers: {
        'user-agent': this.#parts.userAgent,
        'accept-encoding': 'identity',
        ...(key !== '' && { authorization: `Bearer ${key}` }),
        ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
      },
    })
    const late = setTimeout(() => request.destroy(new Error(`no connection within ${connectMs / 1000} seconds`)), connectMs)
    request.on('socket', (socket) => {
      if (!socket.connecting) clearTimeout(late)
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(late))
    })
    request.on('response', resolve)
    request.on('error', reject)
    request.end(body ?? undefined)
    try {
      return await promise
    } catch (error) {
      signal.throwIfAborted()
      // The engine closed a kept connection at the moment we used it again: it has not seen the request.
      if (again && request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET') return await this.#request(method, path, body, signal, false)
      throw this.#unreachable(error)
    } finally {
      clearTimeout(late)
    }
  }

  /** null when it is longer. */
  async #text(message: http.IncomingMessage, limitBytes: number, signal: AbortSignal): Promise<string | null> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of this.#chunks(message, signal)) {
      size += chunk.length
      if (size > limitBytes) return null
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString()
  }

  async *#chunks(message: http.IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let pause: NodeJS.Timeout | undefined
    const giveUp = () => message.destroy(new Error(`nothing came for ${idleMs / 60_000} minutes`))
    try {
      for await (const chunk of message) {
        clearTimeout(pause)
        yield chunk as Uint8Array
        pause = setTimeout(giveUp, idleMs)
      }
    } catch (error) {
      signal.throwIfAborted()
      throw this.failure(`broke off in the middle of its answer: ${reasonOf(error)}`, { cause: error })
    } finally {
      clearTimeout(pause)
      if (!message.complete) message.destroy()
    }
  }

  #tooLong(path: string, limitBytes: number): never {
    throw this.failure(`answers ${path} with more than ${Math.round(limitBytes / 1024 / 1024)} MB`)
  }

  #unreachable(cause: unknown): AppError {
    const { name, url } = this.#record
    return new AppError('upstream-unreachable', this.#public(`the engine ${name} at ${url} does not answer: ${reasonOf(cause)}`), { cause })
  }

  /** An engine that repeats the key in an error does not make us repeat it. */
  #public(text: string): string {
    const { key } = this.#record
    return key === '' ? text : text.replaceAll(key, '…')
  }
}

function codeOf(status: number): ErrorCode {
  switch (status) {
    case 404:
      return 'model-not-found'
    case 413:
      return 'too-large'
    case 429:
      return 'upstream-busy'
    case 501:
      return 'not-implemented'
    case 503:
      return 'unavailable'
    default:
      return status < 500 ? 'invalid-request' : 'upstream-failed'
  }
}

/** What an error body says: OpenAI's, Ollama's and FastAPI's shapes, else its first words. */
export function errorText(body: string): string {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return body.trim().slice(0, 500)
  }
  return messageOf(value).slice(0, 4000)
}

export function messageOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.slice(0, 5).map(messageOf).join('; ')
  if (!isJsonObject(value)) return ''
  return messageOf(value.error ?? value.message ?? value.detail ?? value.msg ?? '')
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'the connection is refused',
  ECONNRESET: 'the connection was closed',
  ENOTFOUND: 'no such host is known',
  EAI_AGAIN: 'its host name cannot be looked up',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'its host cannot be reached',
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return (code !== undefined && reasons[code]) || message || code || 'for no reason that is known'
}
