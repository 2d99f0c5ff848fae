import type { Context } from 'hono'
import { AppError } from '../../errors.ts'
import { parseName } from '../../models/name.ts'
import type { DownloadInfo } from '../../models/registry/download-info.ts'
import { flag, readBody, text, wire } from '../body.ts'
import { refuseElsewhere } from '../elsewhere.ts'
import type { ApiEnv, Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

export const DownloadBody = wire({ model: text, name: text, insecure: flag })

/** The queue of downloads: ours. What `/api/pull` fetches stands in it too. */
export function downloadRoutes({ downloads, upstreams }: Pick<ApiServices, 'downloads' | 'upstreams'>): Route[] {
  return [
    {
      path: '/api/downloads',
      scope: 'manage',
      summary: 'Downloads that run, wait, were paused, failed or are done; POST adds one, which goes on by itself',
      body: DownloadBody,
      handlers: {
        GET: () => json({ downloads: downloads.list().map(encoded) }),
        POST: async (c) => {
          const { model, name, insecure } = await readBody(c, DownloadBody)
          const wanted = model || name
          refuseElsewhere({ upstreams }, wanted, 'pull')
          const parsed = parseName(wanted)
          if (parsed === null) throw new AppError('invalid-request', 'invalid model name')
          c.get('trace').model(wanted)
          return json(encoded(downloads.start({ name: parsed, insecure })), 202)
        },
      },
    },
    {
      path: '/api/downloads/:id',
      scope: 'manage',
      summary: 'Takes a download out of the queue and removes what has come of it, unless ?partial=keep',
      query: { partial: { enum: ['keep'] } },
      handlers: {
        DELETE: async (c) => {
          await downloads.cancel(idOf(c), { keepPartial: c.req.query('partial') === 'keep' })
          return json({})
        },
      },
    },
    {
      path: '/api/downloads/:id/pause',
      scope: 'manage',
      summary: 'Pauses a download; what has come of it stays',
      handlers: { POST: async (c) => json(encoded(await downloads.pause(idOf(c)))) },
    },
    {
      path: '/api/downloads/:id/resume',
      scope: 'manage',
      summary: 'Goes on with a download that was paused or has failed',
      handlers: { POST: (c) => json(encoded(downloads.resume(idOf(c)))) },
    },
  ]
}

function idOf(c: Context<ApiEnv>): string {
  return c.req.param('id') ?? ''
}

function encoded({ id, name, state, reason, completedBytes, totalBytes, bytesPerSecond, secondsLeft, startedAtMs }: DownloadInfo) {
  return {
    id,
    model: name,
    state,
    ...(reason !== null && { reason }),
    total: totalBytes,
    completed: completedBytes,
    ...(bytesPerSecond !== null && { bytes_per_second: bytesPerSecond }),
    ...(secondsLeft !== null && { seconds_left: secondsLeft }),
    started_at: new Date(startedAtMs).toISOString(),
  }
}
