import type { Context, Handler } from 'hono'
import type { z } from 'zod'
import { AppError } from '../errors.ts'
import type { Scope } from '../settings.ts'
import type { RequestTrace } from './trace.ts'

/** What a request carries through the handlers. */
export interface ApiEnv {
  Variables: {
    /** The body was understood: errors from here on are those of the work itself. */
    accepted: boolean
    trace: RequestTrace
    /** Throws as the gate does, where a part of a request asks for more than its route's scope. */
    demand: (scope: Scope) => void
    /** Sees each body that was read; unset unless bodies are to be kept. */
    keepBody: ((body: string) => void) | undefined
  }
}

export type Method = 'HEAD' | 'GET' | 'POST' | 'DELETE'

/** Whose errors and streams a path speaks. */
export type Dialect = 'ollama' | 'openai' | 'anthropic'

export function dialectOf(path: string): Dialect {
  if (/^\/v1\/messages(\/|$)/.test(path)) return 'anthropic'
  return path.startsWith('/v1/') ? 'openai' : 'ollama'
}

/** One path of a dialect: what `Allow` lists, which key it takes and who answers. */
export interface Route {
  path: string
  handlers: Partial<Record<Method, Handler<ApiEnv>>>
  /** null: no key is ever asked for. */
  scope: Scope | null
  /** What it is for, in one sentence, for the API's own description. */
  summary: string
  /** What a caller sends, where that is JSON. */
  body?: z.ZodType
  /** The answer is a stream, whatever the body asks for. */
  alwaysStreams?: boolean
  /** What a caller may say behind the `?`, as JSON Schema by name. */
  query?: Record<string, Record<string, unknown>>
}

/** Aborts when the caller hangs up. */
export function callerSignal(c: Context<ApiEnv>): AbortSignal {
  const { signal } = c.req.raw
  const leaving = new AbortController()
  const leave = () => leaving.abort(new AppError('cancelled', 'request canceled'))
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  return leaving.signal
}
