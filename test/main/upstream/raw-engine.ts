import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { AppError } from '../../../main/errors.ts'
import { Outgoing } from '../../../main/lib/outgoing.ts'
import type { UpstreamChat, UpstreamEvent, UpstreamRecord } from '../../../main/upstream/engine.ts'
import { type NewUpstream, Upstreams } from '../../../main/upstream/upstreams.ts'

/** What an engine was asked. */
export interface Asked {
  path: string
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
}

export interface RawEngine extends AsyncDisposable {
  url: string
  asked: Asked[]
}

/** A program on a port that answers as a test tells it: engines of every make, and ones that mean no good. */
export async function rawEngine(answer: (asked: Asked, response: ServerResponse) => unknown): Promise<RawEngine> {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    response.on('error', () => {})
    const body = request.method === 'POST' ? ((await json(request)) as Record<string, unknown>) : {}
    const one = { path: request.url ?? '', headers: request.headers, body }
    asked.push(one)
    await answer(one, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An engine whose answer to every POST is this stream, in these pieces. */
export function streaming(pieces: (string | Uint8Array)[], type = 'text/event-stream') {
  return rawEngine(async ({ path }, response) => {
    if (path === '/v1/models') return sendJson(response, { object: 'list', data: [{ id: 'm' }] })
    response.writeHead(200, { 'content-type': type })
    for (const piece of pieces) {
      response.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    response.end()
  })
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

/** `data:` events of a stream of OpenAI's. */
export function sse(...events: unknown[]): string {
  return [...events.map((event) => `data: ${JSON.stringify(event)}\n\n`), 'data: [DONE]\n\n'].join('')
}

export interface Registry extends Disposable {
  upstreams: Upstreams
  records: UpstreamRecord[]
  add(engine: Partial<NewUpstream> & { url: string }): ReturnType<Upstreams['add']>
}

/** Engines elsewhere, kept in memory. */
export function registry(localNames: string[] = []): Registry {
  const outgoing = new Outgoing({ http: '', https: '', exceptions: [] })
  const kept = { records: [] as UpstreamRecord[] }
  const records = {
    read: () => kept.records,
    update(change: (all: UpstreamRecord[]) => UpstreamRecord[]) {
      kept.records = change(kept.records)
    },
  }
  const upstreams = new Upstreams({ records, outgoing, localNames: async () => localNames, version: '1.2.3' })
  return {
    upstreams,
    get records() {
      return kept.records
    },
    add: (engine) => upstreams.add({ name: 'e', key: '', protocol: 'openai', ...engine }, AbortSignal.timeout(20_000)),
    [Symbol.dispose]: () => {
      upstreams[Symbol.dispose]()
      outgoing[Symbol.dispose]()
    },
  }
}

export function chat(more: Partial<UpstreamChat> = {}): UpstreamChat {
  return {
    model: 'm',
    messages: [{ role: 'user', content: 'Hi' }],
    tools: [],
    toolChoice: 'auto',
    parallelCalls: true,
    templateVariables: {},
    options: {},
    format: null,
    think: null,
    lenientThink: false,
    topLogprobs: null,
    keepAliveMs: null,
    truncate: true,
    shift: true,
    ...more,
  }
}

/** The events of a chat with this engine. */
export async function events(url: string, request: Partial<UpstreamChat> = {}, protocol: 'openai' | 'ollama' = 'openai'): Promise<UpstreamEvent[]> {
  using engines = registry()
  await engines.add({ url, protocol })
  const target = engines.upstreams.find('e/m')
  if (target === null) throw new Error('the engine is not found')
  return await Array.fromAsync(target.client.chat(chat(request), AbortSignal.timeout(20_000)))
}

/** Code and words of the failure that a promise ends in. */
export async function failure(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await promise
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('it did not fail')
}
