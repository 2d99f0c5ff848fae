import { randomUUID } from 'node:crypto'
import { AppError, type ErrorCode, httpStatus, isAbort } from '../errors.ts'
import type { GenerationEvent, Usage } from '../generation/events.ts'
import type { Log } from '../lib/log.ts'
import type { RequestRecord } from '../requests/request-log.ts'

/** An error as a door tells it; the dialects differ in the body only. */
export interface Failure {
  status: number
  code: ErrorCode
  message: string
}

/** Who asks; the id is the caller's own where it sent one. */
export type Caller = Pick<RequestRecord, 'method' | 'path' | 'client'> & { id?: string | undefined }

/** What metrics count beside the record: the route, not the path, and the engine's own times. */
export interface RequestFigures {
  /** As it is declared, such as `/api/blobs/:digest`; null for a path that is none. */
  route: string | null
  usage: Usage | null
}

/** The id that a caller gave its request, if it can stand in a header and a log line: printable ASCII, 128 characters at most. */
export function callerId(header: string | undefined): string | undefined {
  return header !== undefined && /^[\x20-\x7e]{1,128}$/.test(header) ? header : undefined
}

/** A text that a caller chose, as far as the request log keeps it: a name may be as long as a body. */
export function short(text: string): string {
  return text.slice(0, 500)
}

/** What the request log keeps of one request, gathered while it runs: counts and times, never words. */
export class RequestTrace {
  /** The same in the answer's `X-Request-Id`, the request log and the server's log. */
  readonly id: string
  /** The route that serves it, once that is known. */
  route: string | null = null
  /** The reply is a stream: it ends later than its handler. */
  streaming = false
  readonly #startedAt = new Date()
  readonly #start = performance.now()
  readonly #who: Caller
  readonly #log: Log
  readonly #done: (record: RequestRecord, figures: RequestFigures) => void
  #model: string | null = null
  #status = 200
  #error: string | null = null
  #promptTokens: number | null = null
  #firstTokenMs: number | null = null
  #end: Extract<GenerationEvent, { type: 'done' }> | null = null
  #finished = false

  constructor(who: Caller, log: Log, done: (record: RequestRecord, figures: RequestFigures) => void) {
    this.id = who.id ?? randomUUID()
    this.#who = who
    this.#log = log
    this.#done = done
  }

  model(name: string): void {
    this.#model = short(name)
  }

  /** Tokens that were read where nothing is generated. */
  read(promptTokens: number): void {
    this.#promptTokens = promptTokens
  }

  see(event: GenerationEvent): void {
    if (event.type === 'done') this.#end = event
    else if (event.type === 'broken-call') this.#log.warn('a reply ended inside a tool call', { request: this.id, characters: event.text.length })
    else if (this.#firstTokenMs === null && event.type !== 'load' && event.type !== 'prompt') this.#firstTokenMs = performance.now() - this.#start
  }

  /** A bug reaches the caller as "internal error" and the log with its stack; a caller that left is no failure of ours. */
  fail(error: unknown): Failure {
    const known = error instanceof AppError ? error : isAbort(error) ? new AppError('cancelled', 'request canceled') : null
    if (known === null) this.#log.error(`${this.#who.method} ${this.#who.path} failed`, error, { request: this.id })
    const { code, message } = known ?? { code: 'internal' as const, message: 'internal error' }
    this.#error = short(message)
    return { status: httpStatus[code], code, message }
  }

  finish(status = this.#status): void {
    this.#status = status
    if (this.#finished) return
    this.#finished = true
    const usage = this.#end?.usage
    const record: RequestRecord = {
      ...this.#who,
      id: this.id,
      startedAt: this.#startedAt,
      model: this.#model,
      status,
      error: this.#error,
      stopReason: this.#end?.reason ?? null,
      promptTokens: usage?.promptTokens ?? this.#promptTokens,
      cachedTokens: usage?.cachedTokens ?? null,
      completionTokens: usage?.completionTokens ?? null,
      firstTokenMs: this.#firstTokenMs,
      totalMs: performance.now() - this.#start,
    }
    this.#done(record, { route: this.route, usage: usage ?? null })
  }
}
