import { AppError } from '../../errors.ts'
import { parseName } from '../../models/name.ts'
import { readBody } from '../body.ts'
import { refuseElsewhere } from '../elsewhere.ts'
import { callerSignal, type Route } from '../routes.ts'
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
          const { model, name, insecure, stream } = await readBody(c, TransferBody)
          const wanted = model || name
          refuseElsewhere({ upstreams }, wanted, 'pull')
          const parsed = parseName(wanted)
          if (parsed === null) throw new AppError('invalid-request', 'invalid model name')
          c.get('trace').model(wanted)
          return progress(c, stream, downloads.pull({ name: parsed, insecure }, callerSignal(c)))
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
          const { model, name, insecure, stream } = await readBody(c, TransferBody)
          const wanted = model || name
          refuseElsewhere({ upstreams }, wanted, 'push')
          if (wanted === '') throw new AppError('invalid-request', 'model is required')
          const parsed = parseName(wanted)
          if (parsed === null) throw new AppError('invalid-request', 'invalid model name')
          c.get('trace').model(wanted)
          return progress(c, stream, push({ name: parsed, insecure }, callerSignal(c)))
        },
      },
    },
  ]
}
