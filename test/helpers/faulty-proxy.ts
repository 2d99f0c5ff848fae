import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** What goes wrong with one exchange. Bytes are those of the body. */
export type Fault =
  /** The connection breaks after so many bytes of the answer. */
  | { type: 'break'; afterBytes: number }
  /** The answer ends in good order after so many bytes, with a length that says so. */
  | { type: 'truncate'; afterBytes: number }
  /** One byte of the answer is another. */
  | { type: 'flip'; at: number }
  /** Nothing more comes after so many bytes, until the caller leaves. */
  | { type: 'stall'; afterBytes: number }
  | { type: 'slow'; bytesPerSecond: number }
  /** Sent to the same path at another base address. */
  | { type: 'redirect'; to: string; status?: number }
  /** Answered by the proxy itself. */
  | { type: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** The whole file whatever range was asked for, and no word of ranges. */
  | { type: 'no-ranges' }
  /** The connection breaks after so many bytes of what the caller sends, none of which goes on. */
  | { type: 'break-upload'; afterBytes: number }
  /** Nothing of what the caller sends goes on, and no answer comes, until the caller leaves. */
  | { type: 'hold-upload' }

export interface Rule {
  method?: string
  /** Of path and query. */
  path?: RegExp
  /** Only who announces to send at least so many bytes. */
  fromBytes?: number
  /** How many exchanges it meets; all when absent. */
  times?: number
  /** How many it lets pass before. */
  after?: number
  fault: Fault
}

export interface SeenRequest {
  method: string
  /** With its query. */
  path: string
  headers: IncomingMessage['headers']
  /** Of the answer; 0 while there is none, 499 when the caller has left a held upload. */
  status: number
}

export interface FaultyProxy extends AsyncDisposable {
  url: string
  /** Host part of a name: `127.0.0.1:40001`. */
  host: string
  /** Base address of what lies behind. */
  target: string
  /** Path prefixes that lie elsewhere, with their base address. */
  readonly routes: Map<string, string>
  /** The first that fits counts. May change at any time. */
  readonly rules: Rule[]
  /** All that was asked so far. */
  readonly seen: SeenRequest[]
  /** Breaks every connection. */
  breakAll(): void
  /** Breaks every connection and takes no more. */
  close(): Promise<void>
}

/** An HTTP proxy before one server that does wrong what its rules say. It keeps the caller's `Host`, so that addresses in answers lead back to it. */
export async function startFaultyProxy(target: string, rules: Rule[] = []): Promise<FaultyProxy> {
  const server = createServer((request, response) => {
    handle(request, response).catch(() => {
      // One side has left: the other is told the same way.
      request.destroy()
      response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  let closed: Promise<void> | null = null
  const close = () => {
    closed ??= new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
    return closed
  }
  const proxy: FaultyProxy = {
    url: `http://${host}`,
    host,
    target,
    routes: new Map(),
    rules,
    seen: [],
    breakAll: () => server.closeAllConnections(),
    close,
    [Symbol.asyncDispose]: close,
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/', headers } = request
    const seen: SeenRequest = { method, path, headers: { ...headers }, status: 0 }
    proxy.seen.push(seen)
    const fault = takeFault(proxy.rules, method, path, Number(headers['content-length'] ?? 0))
    if (fault?.type === 'answer' || fault?.type === 'redirect') {
      request.resume()
      seen.status = fault.status ?? 307
      if (fault.type === 'redirect') response.writeHead(seen.status, { location: fault.to + path }).end()
      else response.writeHead(seen.status, fault.headers).end(fault.body)
      return
    }
    if (fault?.type === 'no-ranges') delete headers.range
    const body = await upload(request, fault)
    if (body === null) {
      if (fault?.type === 'hold-upload') seen.status = 499
      return
    }
    const prefix = [...proxy.routes.keys()].find((start) => path.startsWith(start))
    const base = prefix === undefined ? proxy.target : proxy.routes.get(prefix)
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const onward = send(new URL(base + path), { method, headers, agent: false }, resolve)
    onward.on('error', reject)
    response.on('close', () => onward.destroy())
    pipeline(body, onward).catch(reject)
    const answer = await promise
    seen.status = answer.statusCode ?? 0
    await pass(answer, response, fault)
  }
  return proxy
}

function takeFault(rules: Rule[], method: string, path: string, bytes: number): Fault | null {
  for (const rule of rules) {
    if ((rule.method ?? method) !== method || !(rule.path?.test(path) ?? true) || bytes < (rule.fromBytes ?? 0)) continue
    if (rule.after !== undefined && rule.after > 0) {
      rule.after--
      continue
    }
    if (rule.times !== undefined && rule.times-- <= 0) continue
    return rule.fault
  }
  return null
}

/** What goes on to the server; null when the connection was broken. */
async function upload(request: IncomingMessage, fault: Fault | null): Promise<AsyncIterable<Uint8Array> | null> {
  if (fault?.type === 'hold-upload') {
    request.resume()
    await new Promise<void>((resolve) => request.socket.once('close', resolve))
    return null
  }
  if (fault?.type !== 'break-upload') return request
  const { socket } = request
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes >= fault.afterBytes) break
  }
  socket.destroy()
  return null
}

async function pass(answer: IncomingMessage, response: ServerResponse, fault: Fault | null): Promise<void> {
  const headers = { ...answer.headers }
  if (fault?.type === 'no-ranges') delete headers['accept-ranges']
  if (fault?.type === 'truncate' && headers['content-length'] !== undefined) {
    headers['content-length'] = String(Math.min(fault.afterBytes, Number(headers['content-length'])))
  }
  response.writeHead(answer.statusCode ?? 502, headers)
  response.flushHeaders()
  await pipeline(damaged(answer, response, fault), response)
}

async function* damaged(answer: AsyncIterable<Uint8Array>, response: ServerResponse, fault: Fault | null): AsyncIterable<Uint8Array> {
  if (fault?.type === 'slow') return yield* slowed(answer, fault.bytesPerSecond)
  let at = 0
  for await (const chunk of answer) {
    const left = fault !== null && 'afterBytes' in fault ? fault.afterBytes - at : Number.POSITIVE_INFINITY
    at += chunk.length
    if (chunk.length < left) {
      yield flipped(chunk, fault?.type === 'flip' ? fault.at - (at - chunk.length) : -1)
      continue
    }
    yield chunk.subarray(0, left)
    if (fault?.type === 'truncate') return
    // What was given has to leave before the connection breaks.
    await new Promise<void>((resolve) => response.write('', () => resolve()))
    if (fault?.type === 'stall') await new Promise<void>((resolve) => response.on('close', resolve))
    throw new Error('broken on purpose')
  }
}

function flipped(chunk: Uint8Array, at: number): Uint8Array {
  if (at < 0 || at >= chunk.length) return chunk
  const copy = Uint8Array.from(chunk)
  copy[at] = (copy[at] ?? 0) ^ 0xff
  return copy
}

async function* slowed(bytes: AsyncIterable<Uint8Array>, bytesPerSecond: number): AsyncIterable<Uint8Array> {
  const step = Math.max(1, Math.floor(bytesPerSecond / 20))
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += step) {
      yield chunk.subarray(at, at + step)
      await sleep(50)
    }
  }
}
