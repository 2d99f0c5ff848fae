import { AppError } from '../../errors.ts'
import { type ModelName, parseReference } from '../../models/name.ts'
import type { VerifyEvent } from '../../models/upkeep-facts.ts'
import { flag, onUnlessFalse, readBody, text, wire } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { type Encoder, json, ndjson, started } from '../wire.ts'

export const VerifyBody = wire({ model: text, remove_damaged: flag, stream: onUnlessFalse })

export const PruneBody = wire({ dry_run: flag })

export const UpdatesBody = wire({ model: text, insecure: flag })

/** The state of the models folder: what it takes, whether it is whole, what nobody needs. Ours. */
export function upkeepRoutes({ upkeep }: Pick<ApiServices, 'upkeep'>): Route[] {
  return [
    {
      path: '/api/disk',
      scope: 'manage',
      summary: 'What the models folder takes: by model, what is shared, what nobody needs',
      handlers: {
        GET: async () => {
          const { folder, freeBytes, usedBytes, models, unneeded, partial } = await upkeep.diskUse()
          return json({
            folder,
            free: freeBytes,
            used: usedBytes,
            models: models.map(({ name, sizeBytes, ownBytes, sharesWith }) => ({ name, size: sizeBytes, own_size: ownBytes, shares_with: sharesWith })),
            unneeded: { count: unneeded.count, size: unneeded.sizeBytes },
            partial: { count: partial.count, size: partial.sizeBytes },
          })
        },
      },
    },
    {
      path: '/api/verify',
      scope: 'manage',
      summary: 'Reads the files of one model or of all again and compares them with their digests',
      body: VerifyBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, VerifyBody)
          const events = upkeep.verify({ name: nameOf(body.model), discard: body.remove_damaged }, callerSignal(c))
          if (body.stream) return ndjson(await started(events), verifyLines, c.get('trace'))
          const results = (await Array.fromAsync(events)).filter((event) => event.type === 'result')
          return json({ files: results.map(encoded) })
        },
      },
    },
    {
      path: '/api/updates',
      scope: 'manage',
      summary: 'Asks the registry of one model or of all whether there is a newer version',
      body: UpdatesBody,
      handlers: {
        POST: async (c) => {
          const { model, insecure } = await readBody(c, UpdatesBody)
          return json({ models: await upkeep.updates({ name: nameOf(model), insecure }, callerSignal(c)) })
        },
      },
    },
    {
      path: '/api/prune',
      scope: 'manage',
      summary: 'Removes the files that no model needs',
      body: PruneBody,
      handlers: {
        POST: async (c) => {
          const { dry_run: dryRun } = await readBody(c, PruneBody)
          const blobs = await upkeep.prune({ dryRun })
          return json({
            removed: blobs.map(({ digest, sizeBytes }) => ({ digest, size: sizeBytes })),
            size: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
            dry_run: dryRun,
          })
        },
      },
    },
  ]
}

function nameOf(model: string): ModelName | null {
  if (model.trim() === '') return null
  const reference = parseReference(model)
  if (reference === null) throw new AppError('invalid-request', 'invalid model name')
  return reference.name
}

const verifyLines: Encoder<VerifyEvent> = {
  encode: (event) => `${JSON.stringify(encoded(event))}\n`,
  fail: ({ message }) => `${JSON.stringify({ error: message })}\n`,
}

function encoded(event: VerifyEvent) {
  if (event.type === 'progress') return { status: 'verifying', digest: event.digest, completed: event.completedBytes, total: event.totalBytes }
  const { digest, file, state, models, removed } = event
  return { status: state, digest, file, models, ...(removed && { removed }) }
}
