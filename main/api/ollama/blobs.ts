import { AppError } from '../../errors.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'

/** `/api/blobs/:digest`: is it there, and take it (ollama-api §5.7). Nothing is kept unless its digest is right. */
export function blobRoutes({ library }: Pick<ApiServices, 'library'>): Route[] {
  const { store } = library
  return [
    {
      path: '/api/blobs/:digest',
      scope: 'manage',
      summary: 'Asks for a blob (HEAD) or sends one (POST)',
      handlers: {
        HEAD: async (c) => {
          const digest = c.req.param('digest') ?? ''
          if (!(await store.offers(digest))) throw new AppError('not-found', `blob ${JSON.stringify(digest)} not found`)
          return new Response(null, { status: 200 })
        },
        POST: async (c) => {
          const digest = c.req.param('digest') ?? ''
          if (await store.offers(digest)) return new Response(null, { status: 200 })
          const { created } = await store.blobs.write(digest, c.req.raw.body ?? [], callerSignal(c))
          return new Response(null, { status: created ? 201 : 200 })
        },
      },
    },
  ]
}
