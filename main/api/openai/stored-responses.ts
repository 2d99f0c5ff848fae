import { AppError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import type { Route } from '../routes.ts'
import { json } from '../wire.ts'
import { plainJson } from './encode.ts'
import type { ResponseStore, StoredResponse } from './response-store.ts'

/** Items of a page, where the caller does not say. */
const pageLength = 20

/** Responses that were given before, as long as they are kept: OpenAI's own, and ours. */
export function storedResponseRoutes(store: ResponseStore): Route[] {
  const stored = (id: string | undefined): StoredResponse => {
    const found = store.find(id ?? '')
    if (found === null) throw new AppError('not-found', `Response with id '${id ?? ''}' not found.`)
    return found
  }
  return [
    {
      path: '/v1/responses/:id',
      scope: 'use',
      summary: 'A response that was given before; DELETE forgets it',
      handlers: {
        GET: (c) => {
          c.set('accepted', true)
          if (c.req.query('stream') === 'true') throw new AppError('invalid-request', 'stream: a response that has ended is not streamed again')
          return json(stored(c.req.param('id')).response, 200, plainJson)
        },
        DELETE: (c) => {
          c.set('accepted', true)
          const id = c.req.param('id') ?? ''
          stored(id)
          store.delete(id)
          return json({ id, object: 'response', deleted: true }, 200, plainJson)
        },
      },
    },
    {
      path: '/v1/responses/:id/input_items',
      scope: 'use',
      summary: 'What the request of a response added to its conversation',
      query: {
        limit: { type: 'integer', minimum: 1, maximum: 100, default: pageLength },
        order: { enum: ['asc', 'desc'], default: 'desc' },
        after: { type: 'string', description: 'the id of the item before the page' },
      },
      handlers: {
        GET: (c) => {
          c.set('accepted', true)
          const { limit, order, after } = c.req.query()
          return json(page(stored(c.req.param('id')).input, { limit, order, after }), 200, plainJson)
        },
      },
    },
  ]
}

/** One page of a list, the latest first unless asked otherwise. */
function page(
  items: readonly JsonObject[],
  { limit = String(pageLength), order = 'desc', after }: { limit: string | undefined; order: string | undefined; after: string | undefined },
) {
  const length = Number(limit)
  if (!Number.isInteger(length) || length < 1 || length > 100) throw new AppError('invalid-request', 'limit must be between 1 and 100')
  if (order !== 'asc' && order !== 'desc') throw new AppError('invalid-request', 'order must be "asc" or "desc"')
  const ordered = order === 'asc' ? items : items.toReversed()
  const from = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1
  if (after !== undefined && from === 0) throw new AppError('invalid-request', `after: no item has the id ${JSON.stringify(after)}`)
  const data = ordered.slice(from, from + length)
  return { object: 'list', data, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null, has_more: from + length < ordered.length }
}
