import { AppError } from '../../errors.ts'
import type { Fit } from '../../fit/answer.ts'
import { flag, options, readBody, text, wire } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

export const FitBody = wire({ model: text, options: options.prefault({}), remote: flag, insecure: flag })

/** `/api/fit`, ours: will this model run here, with how much context, and how fast? */
export function fitRoutes({ assessFit }: Pick<ApiServices, 'assessFit'>): Route[] {
  return [
    {
      path: '/api/fit',
      scope: 'use',
      summary: 'Whether a model runs on this machine, what memory it takes and how fast it will be',
      body: FitBody,
      handlers: {
        POST: async (c) => {
          const { model, options: asked, remote, insecure } = await readBody(c, FitBody)
          if (model.trim() === '') throw new AppError('invalid-request', 'model is required')
          // Going out is for whoever may pull: a model's name can hold any host.
          if (remote) c.get('demand')('manage')
          c.get('trace').model(model)
          return json(encoded(await assessFit({ model, options: asked, remote, insecure }, callerSignal(c))))
        },
      },
    },
  ]
}

function encoded({ memory, devices, speed, ...fit }: Fit) {
  return {
    model: fit.model,
    verdict: fit.verdict,
    ...(fit.problem !== null && { problem: fit.problem }),
    num_ctx: fit.contextLength,
    largest_num_ctx: fit.largestContextLength,
    trained_num_ctx: fit.trainedContextLength,
    layers: fit.layers,
    gpu_layers: fit.gpuLayers,
    memory: { weights: memory.weights, kv_cache: memory.kvCache, compute: memory.compute, process: memory.process, total: memory.total, from: fit.memoryFrom },
    devices: devices.map(({ name, neededBytes, freeBytes, totalBytes }) => ({ name, needed: neededBytes, free: freeBytes, total: totalBytes })),
    tokens_per_second: speed.tokensPerSecond,
    speed_from: speed.from,
  }
}
