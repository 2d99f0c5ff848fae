import { AppError } from '../../errors.ts'
import { readBody } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { nanoseconds } from '../time.ts'
import { shortFloats } from '../vectors.ts'
import { json } from '../wire.ts'
import { EmbedBody, LegacyEmbedBody } from './schemas.ts'

/** `/api/embed`, and `/api/embeddings` for old programs (ollama-api §4). */
export function embedRoutes({ embed }: Pick<ApiServices, 'embed'>): Route[] {
  return [
    {
      path: '/api/embed',
      scope: 'use',
      summary: 'Vectors for texts',
      body: EmbedBody,
      handlers: {
        POST: async (c) => {
          const { model, input, truncate, dimensions, options, keep_alive: keepAliveMs } = await readBody(c, EmbedBody)
          c.get('trace').model(model)
          const { embeddings, promptTokens, totalMs, loadMs } = await embed(
            { model, input, truncate, dimensions, normalize: 'always', options, keepAliveMs },
            callerSignal(c),
          )
          c.get('trace').read(promptTokens)
          if (input.length === 0) return json({ model, embeddings: [] })
          return json({
            model,
            embeddings: embeddings.map(shortFloats),
            total_duration: nanoseconds(totalMs),
            load_duration: nanoseconds(loadMs),
            prompt_eval_count: promptTokens,
          })
        },
      },
    },
    {
      path: '/api/embeddings',
      scope: 'use',
      summary: 'The vector of one text, for old programs',
      body: LegacyEmbedBody,
      handlers: {
        POST: async (c) => {
          const { model, prompt, options, keep_alive: keepAliveMs } = await readBody(c, LegacyEmbedBody)
          if (model.trim() === '') throw new AppError('invalid-request', 'model is required')
          c.get('trace').model(model)
          const { embeddings, promptTokens } = await embed(
            { model, input: prompt === '' ? [] : [prompt], truncate: false, dimensions: 0, normalize: 'as-peer', options, keepAliveMs },
            callerSignal(c),
          )
          c.get('trace').read(promptTokens)
          return json({ embedding: embeddings[0] ?? [] })
        },
      },
    },
  ]
}
