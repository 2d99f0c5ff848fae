import type { z } from 'zod'
import { AppError } from '../../errors.ts'
import { readBody, text, wire } from '../body.ts'
import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

/** Routes of the peer's cloud. There is no account here and nothing is asked of any server; each says so in the protocol's words. */
export function accountRoutes({ config }: Pick<ApiServices, 'config'>): Route[] {
  const offline = (path: string, what: string, body: z.ZodType): Route => ({
    path,
    scope: 'use',
    summary: 'A service of the cloud that is not here',
    body,
    handlers: {
      POST: async (c) => {
        await readBody(c, body)
        if (config.noCloud) throw new AppError('forbidden', `ollama cloud is disabled: ${what} is unavailable`)
        throw new AppError(
          'not-implemented',
          `${what} is a service of ollama.com; Paddock asks no server on its own. Give the model a tool that searches instead.`,
        )
      },
    },
  })
  return [
    {
      path: '/api/me',
      scope: 'use',
      summary: 'The account; there is none',
      handlers: {
        POST: () => {
          throw new AppError('unavailable', 'account unavailable')
        },
      },
    },
    {
      path: '/api/signout',
      scope: 'manage',
      summary: 'Leaves the account; there is none',
      handlers: { POST: () => json({ error: 'there was an error signing out' }, 500) },
    },
    {
      path: '/api/user/keys/:key',
      scope: 'manage',
      summary: 'Removes a key of the account; there is none',
      handlers: { DELETE: () => json({ error: 'there was an error signing out' }, 500) },
    },
    offline('/api/experimental/web_search', 'web search', wire({ query: text })),
    offline('/api/experimental/web_fetch', 'web fetch', wire({ url: text })),
    {
      path: '/api/experimental/model-recommendations',
      scope: 'use',
      summary: 'Models that a server recommends; an empty list',
      handlers: { GET: () => json({ recommendations: [] }) },
    },
  ]
}
