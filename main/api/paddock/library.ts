import type { Context } from 'hono'
import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { type ImportEvent, type Imported, imported } from '../../models/import.ts'
import { displayName, type ModelName, parseName } from '../../models/name.ts'
import type { OriginStatus } from '../../models/origins/adopted.ts'
import { flag, readBody, text, wire } from '../body.ts'
import { demandLocalCaller } from '../local-caller.ts'
import { type ApiEnv, callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import type { RequestTrace } from '../trace.ts'
import { type Encoder, json, ndjson, started } from '../wire.ts'

export const ImportBody = wire({ path: text, name: text, copy: flag, stream: flag })
export const HideBody = wire({ model: text, name: text })
const names = z.array(z.string()).default([])
export const OriginsBody = wire({ on: names, off: names, add: names, remove: names })

/** Models that are not in our store: files opened in place, and what other programs keep on this machine. Ours. */
export function libraryRoutes({ library, importFile, origins, config }: Pick<ApiServices, 'library' | 'importFile' | 'origins' | 'config'>): Route[] {
  return [
    {
      path: '/api/import',
      scope: 'manage',
      summary: 'Makes a model of a GGUF file on this machine, which stays where it is unless it is to be copied',
      body: ImportBody,
      handlers: {
        POST: async (c) => {
          demandLocalCaller(c, config.listen.host)
          const { path, name: wanted, copy, stream } = await readBody(c, ImportBody)
          if (path === '') throw new AppError('invalid-request', 'path is required')
          const trace = c.get('trace')
          const events = importFile({ path, name: wanted === '' ? null : required(wanted), copy }, callerSignal(c))
          if (stream) return ndjson(await started(events), importLines(trace), trace)
          return json(shownImport(trace, await imported(events)))
        },
      },
    },
    {
      path: '/api/hide',
      scope: 'manage',
      summary: 'Takes a model that ships or belongs to another program out of the list; POST /api/restore with its name brings it back',
      body: HideBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, HideBody)
          const wanted = body.model || body.name
          c.get('trace').model(wanted)
          if (!(await library.hide(required(wanted)))) throw new AppError('model-not-found', `model '${wanted}' not found`)
          return new Response(null, { status: 200 })
        },
      },
    },
    {
      path: '/api/restore',
      scope: 'manage',
      summary: 'Brings back a model that was hidden; without a name all that ship and were deleted',
      body: HideBody,
      handlers: {
        POST: async (c) => {
          const body = hasBody(c) ? await readBody(c, HideBody) : { model: '', name: '' }
          const wanted = body.model || body.name
          return json({ restored: await library.restore(wanted === '' ? null : required(wanted)) })
        },
      },
    },
    {
      path: '/api/origins',
      scope: 'manage',
      summary: 'The places of other programs whose models are listed; POST switches them on and off, adds and removes folders',
      body: OriginsBody,
      handlers: {
        GET: async () => json({ origins: (await origins.status()).map(shown) }),
        POST: async (c) => {
          demandLocalCaller(c, config.listen.host)
          origins.change(await readBody(c, OriginsBody))
          return json({ origins: (await origins.status()).map(shown) })
        },
      },
    },
  ]
}

/** Steps as those of a pull, and what was made in the last line. */
function importLines(trace: RequestTrace): Encoder<ImportEvent> {
  const line = (event: ImportEvent) => (event.type === 'progress' ? event.progress : { status: 'success', ...shownImport(trace, event.imported) })
  return {
    encode: (event) => `${JSON.stringify(line(event))}\n`,
    fail: ({ message }) => `${JSON.stringify({ error: message })}\n`,
  }
}

function shownImport(trace: RequestTrace, { name, origin, file }: Imported) {
  const shown = displayName(name)
  trace.model(shown)
  return { name: shown, model: shown, origin, path: file }
}

function shown({ id, owner, folder, on, models }: OriginStatus) {
  return { id, owner, folder, on, models }
}

function required(text: string): ModelName {
  if (text === '') throw new AppError('invalid-request', 'model is required')
  const name = parseName(text)
  if (name === null) throw new AppError('invalid-request', 'invalid model name')
  return name
}

function hasBody(c: Context<ApiEnv>): boolean {
  return Number(c.req.header('content-length') ?? 0) > 0 || c.req.header('transfer-encoding') !== undefined
}
