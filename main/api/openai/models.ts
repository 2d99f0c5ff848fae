import { AppError } from '../../errors.ts'
import type { ModelSummary } from '../../models/model.ts'
import { displayName, parseName } from '../../models/name.ts'
import type { ElsewhereModel } from '../../upstream/upstreams.ts'
import { remoteFields } from '../elsewhere.ts'
import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'
import { plainJson, unixSeconds } from './encode.ts'

/** `/v1/models` and `/v1/models/{id}`; an id may have slashes (openai-anthropic-api §10.5). */
export function modelRoutes({ library, upstreams }: Pick<ApiServices, 'library' | 'upstreams'>): Route[] {
  return [
    {
      path: '/v1/models',
      scope: 'use',
      summary: 'The models that are installed',
      handlers: {
        GET: async () => {
          const [here, elsewhere] = await Promise.all([library.list(), upstreams.models()])
          return json(
            { object: 'list', data: [...here.map((model) => entry(displayName(model.name), model)), ...elsewhere.map(entryElsewhere)] },
            200,
            plainJson,
          )
        },
      },
    },
    {
      path: '/v1/models/:model{.+}',
      scope: 'use',
      summary: 'One model; its id may have slashes',
      handlers: {
        GET: async (c) => {
          c.set('accepted', true)
          const id = c.req.param('model') ?? ''
          const target = upstreams.find(id)
          if (target !== null) {
            const found = await upstreams.model(target)
            if (found === null) throw new AppError('model-not-found', `model '${id}' not found`)
            return json({ ...entryElsewhere(found), id }, 200, plainJson)
          }
          const name = parseName(id)
          if (name === null) throw new AppError('invalid-request', 'invalid model name')
          const model = await library.resolve(name)
          if (model === null) throw new AppError('model-not-found', `model '${displayName(name)}' not found`)
          return json(entry(id, model), 200, plainJson)
        },
      },
    },
  ]
}

function entry(id: string, { name, modifiedAt }: ModelSummary) {
  return { id, object: 'model', created: unixSeconds(modifiedAt), owned_by: name.namespace }
}

function entryElsewhere(model: ElsewhereModel) {
  const { name, modifiedAt, upstream } = model
  return { id: name, object: 'model', created: unixSeconds(modifiedAt ?? new Date(0)), owned_by: upstream.name, ...remoteFields(model) }
}
