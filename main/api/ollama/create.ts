import type { Context } from 'hono'
import { AppError } from '../../errors.ts'
import { checkPaths } from '../../models/create-files.ts'
import { parseName } from '../../models/name.ts'
import type { Progress } from '../../models/progress.ts'
import { readBody } from '../body.ts'
import { refuseElsewhere } from '../elsewhere.ts'
import { type ApiEnv, callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import type { RequestTrace } from '../trace.ts'
import { type Encoder, json, ndjson, started } from '../wire.ts'
import { CreateBody } from './schemas.ts'

/** `/api/create` (ollama-api §5.8). */
export function createRoutes({ create, upstreams }: Pick<ApiServices, 'create' | 'upstreams'>): Route[] {
  return [
    {
      path: '/api/create',
      scope: 'manage',
      summary: 'Makes a model from files or from another model',
      body: CreateBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, CreateBody)
          for (const files of [body.files, body.adapters, body.draft_files]) checkPaths(files)
          const model = body.model || body.name
          refuseElsewhere({ upstreams }, model, 'create')
          refuseElsewhere({ upstreams }, body.from, 'create a model from')
          if (parseName(model) === null) throw new AppError('invalid-request', 'invalid model name')
          c.get('trace').model(model)
          const request = {
            model,
            from: body.from,
            files: body.files,
            adapters: body.adapters,
            draftFiles: body.draft_files,
            draftQuantize: body.draft_quantize,
            quantize: body.quantize || body.quantization,
            template: body.template,
            system: body.system,
            parameters: body.parameters,
            messages: body.messages,
            licenses: body.license,
            renderer: body.renderer,
            parser: body.parser,
            requires: body.requires,
            info: body.info,
            remoteHost: body.remote_host,
          }
          return progress(c, body.stream, create(request, callerSignal(c)))
        },
      },
    },
  ]
}

/** What is done, line by line; without a stream only the last line counts. Its type has no charset, as the peer's. */
export async function progress(c: Context<ApiEnv>, stream: boolean, events: AsyncIterable<Progress>): Promise<Response> {
  const trace = c.get('trace')
  try {
    const begun = await started(events)
    if (stream) return ndjson(begun, progressLines, trace)
    return json(await last(begun), 200, 'application/json')
  } catch (error) {
    return failedProgress(trace, error)
  }
}

const progressLines: Encoder<Progress> = {
  encode: (event) => `${JSON.stringify(event)}\n`,
  fail: ({ message }) => `${JSON.stringify({ error: message })}\n`,
}

async function last(events: AsyncIterable<Progress>): Promise<Progress> {
  let latest: Progress = { status: 'success' }
  for await (const event of events) latest = event
  return latest
}

function failedProgress(trace: RequestTrace, error: unknown): Response {
  const { message, status } = trace.fail(error)
  return json({ error: message }, status, 'application/json')
}
