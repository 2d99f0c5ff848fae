import type { Context } from 'hono'
import { AppError } from '../../errors.ts'
import { parseName } from '../../models/name.ts'
import { readBody } from '../body.ts'
import { refuseElsewhere } from '../elsewhere.ts'
import { type ApiEnv, callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { progress } from './create.ts'
import { TransferBody } from './schemas.ts'

/** `/api/pull` and `/api/push` (ollama-api §5.9, §5.10). */
export function transferRoutes({ upstreams, downloads, push }: Pick<ApiServices, 'upstreams' | 'downloads' | 'push'>): Route[] {
  return [
    {
      path: '/api/pull',
      scope: 'manage',
      summary: 'Downloads a model',
      body: TransferBody,
      handlers: {
        POST: async (c) => {
          const { stream, ...wanted } = await asked(c, 'pull')
          return progress(c, stream, downloads.pull(wanted, callerSignal(c)))
        },
      },
    },
    {
      path: '/api/push',
      scope: 'manage',
      summary: 'Uploads a model',
      body: TransferBody,
      handlers: {
        POST: async (c) => {
          const { stream, ...wanted } = await asked(c, 'push')
          return progress(c, stream, push(wanted, callerSignal(c)))
        },
      },
    },
  ]

  async function asked(c: Context<ApiEnv>, what: 'pull' | 'push') {
    const { model, name, insecure, stream } = await readBody(c, TransferBody)
    const wanted = model || name
    refuseElsewhere({ upstreams }, wanted, what)
    // The peer looks at this in one of the two.
    if (wanted === '' && what === 'push') throw new AppError('invalid-request', 'model is required')
    const parsed = parseName(wanted)
    if (parsed === null) throw new AppError('invalid-request', 'invalid model name')
    c.get('trace').model(wanted)
    return { name: parsed, insecure, stream }
  }
}
