import { describe, expect, test } from 'vitest'
import { AppError } from '../../../main/errors.ts'
import { Log } from '../../../main/lib/log.ts'
import { api, post, promptEvent } from './services.ts'

/** What a route's stream is made of, and the last thing that it says of an error. */
interface Streaming {
  path: string
  body: object
  /** The services, all of which give this. */
  services: (events: (signal: AbortSignal) => AsyncGenerator<never>) => Parameters<typeof api>[0]
  first: unknown[]
  frame: (message: string) => unknown
}

const model = 'm'
const messages = [{ role: 'user', content: 'a' }]
const words = [promptEvent(), { type: 'text', text: 'one' }]
const progress = [{ status: 'working' }]
const native = (message: string) => ({ error: message })
const openai = (message: string) => ({ error: { message, type: 'api_error', param: null, code: null } })

const generating = (path: string, body: object, frame: Streaming['frame']): Streaming => ({
  path,
  body: { model, stream: true, ...body },
  services: (events) => ({ chat: (_, signal) => events(signal), complete: (_, signal) => events(signal) }),
  first: words,
  frame,
})

const streams: Streaming[] = [
  generating('/api/generate', { prompt: 'a' }, native),
  generating('/api/chat', { messages }, native),
  generating('/v1/chat/completions', { messages }, openai),
  generating('/v1/completions', { prompt: 'a' }, openai),
  generating('/v1/responses', { input: 'a' }, (message) => ({
    type: 'response.failed',
    response: expect.objectContaining({ status: 'failed', error: { code: 'server_error', message } }),
  })),
  generating('/v1/messages', { messages, max_tokens: 5 }, (message) => ({ type: 'error', error: { type: 'api_error', message } })),
  { path: '/api/create', body: { model, from: 'x' }, services: (events) => ({ create: (_, signal) => events(signal) }), first: progress, frame: native },
  {
    path: '/api/pull',
    body: { model },
    services: (events) => ({ downloads: { pull: (_: unknown, signal: AbortSignal) => events(signal) } as never }),
    first: progress,
    frame: native,
  },
  { path: '/api/push', body: { model }, services: (events) => ({ push: (_, signal) => events(signal) }), first: progress, frame: native },
  {
    path: '/api/verify',
    body: {},
    services: (events) => ({ upkeep: { verify: (_: unknown, signal: AbortSignal) => events(signal) } as never }),
    first: [{ type: 'progress', digest: 'sha256:a', completedBytes: 1, totalBytes: 2 }],
    frame: native,
  },
  {
    path: '/api/import',
    body: { path: '/a.gguf', stream: true },
    services: (events) => ({ importFile: (_, signal) => events(signal) }),
    first: [{ type: 'progress', progress: progress[0] }],
    frame: native,
  },
  {
    path: '/api/doctor',
    body: { model },
    services: (events) => ({ doctor: (_, signal) => events(signal) }),
    first: [{ type: 'load', fraction: 0.5 }],
    frame: native,
  },
]

/** The last object of a stream, of either kind. */
function lastOf(text: string): unknown {
  const last = text.trim().split('\n').at(-1) ?? ''
  return JSON.parse(last.replace(/^data: /, ''))
}

test('every route that says it streams is looked at here', async () => {
  const { paths } = (await (await api().request('/openapi.json', { headers: { host: 'localhost' } })).json()) as {
    paths: Record<string, { post?: { responses: { 200: { content?: Record<string, unknown> } } } }>
  }
  const streaming = Object.entries(paths).flatMap(([path, { post: operation }]) =>
    Object.keys(operation?.responses[200].content ?? {}).some((type) => /ndjson|event-stream/.test(type)) ? [path] : [],
  )
  expect(streams.map(({ path }) => path).toSorted()).toEqual(streaming.toSorted())
})

describe.each(streams)('the stream of $path', ({ path, body, services, first, frame }) => {
  const failing = (error: unknown) =>
    services(async function* () {
      yield* first as never[]
      throw error
    })

  test('ends with what went wrong after its first words, in the words of its dialect', async () => {
    const answer = await post(api(failing(new AppError('runner-crashed', 'the runner is gone'))), path, body)
    expect(answer.status).toBe(200)
    expect(lastOf(await answer.text())).toMatchObject(frame('the runner is gone') as object)
  })

  test('does not tell a bug of ours', async () => {
    const log = new Log('error', () => undefined)
    const answer = await post(api({ log, ...failing(new TypeError('secret detail')) }), path, body)
    const text = await answer.text()
    expect(lastOf(text)).toMatchObject(frame('internal error') as object)
    expect(text).not.toContain('secret detail')
  })

  test('ends the work behind it when the caller hangs up', async () => {
    const ended = Promise.withResolvers<string>()
    const app = api(
      services(async function* (signal) {
        try {
          yield* first as never[]
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
        } finally {
          ended.resolve(signal.aborted ? 'by the signal' : 'unasked')
        }
      }),
    )
    const caller = new AbortController()
    const answer = await app.request(path, { method: 'POST', body: JSON.stringify(body), headers: { host: 'localhost' }, signal: caller.signal })
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    expect((await reader.read()).done).toBe(false)
    caller.abort()
    expect(await ended.promise).toBe('by the signal')
  })
})
