import { z } from 'zod'
import type { UpstreamInfo } from '../../upstream/upstreams.ts'
import { readBody, text, wire } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

export const UpstreamBody = wire({ name: text, url: text, key: text, protocol: z.enum(['openai', 'ollama']).optional() })

/** `/api/upstreams`: the engines elsewhere. A key goes in and never comes out. */
export function upstreamRoutes({ upstreams }: Pick<ApiServices, 'upstreams'>): Route[] {
  return [
    {
      path: '/api/upstreams',
      scope: 'manage',
      summary: 'The engines elsewhere and how they are (GET), or one more (POST)',
      body: UpstreamBody,
      handlers: {
        GET: async () => json({ upstreams: (await upstreams.list()).map(shown) }),
        POST: async (c) => {
          // The body holds a secret: it is no part of what is kept for whoever looks for a fault.
          c.set('keepBody', undefined)
          const { name, url, key, protocol = null } = await readBody(c, UpstreamBody)
          return json(shown(await upstreams.add({ name, url, key, protocol }, callerSignal(c))))
        },
      },
    },
    {
      path: '/api/upstreams/:name',
      scope: 'manage',
      summary: 'Forgets an engine elsewhere and its key',
      handlers: {
        DELETE: (c) => {
          upstreams.remove(c.req.param('name') ?? '')
          return new Response(null, { status: 200 })
        },
      },
    },
  ]
}

function shown({ name, url, protocol, hasKey, state, problem, models }: UpstreamInfo) {
  return { name, url, protocol, has_key: hasKey, state, ...(problem !== null && { error: problem }), models }
}
