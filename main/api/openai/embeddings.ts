import { AppError } from '../../errors.ts'
import { readBody } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { packedFloats, shortFloats } from '../vectors.ts'
import { json } from '../wire.ts'
import { plainJson } from './encode.ts'
import { EmbeddingsBody } from './schemas.ts'

/** `/v1/embeddings` (openai-anthropic-api §10.4). */
export function embeddingRoutes({ embed }: Pick<ApiServices, 'embed'>): Route[] {
  return [
    {
      path: '/v1/embeddings',
      scope: 'use',
      summary: 'Vectors for texts',
      body: EmbeddingsBody,
      handlers: {
        POST: async (c) => {
          const { model, input, dimensions, encoding_format: encoding, options, keep_alive: keepAliveMs } = await readBody(c, EmbeddingsBody, 'EOF')
          c.get('trace').model(model)
          if (model.trim() === '') throw new AppError('model-not-found', "model '' not found")
          const { embeddings, promptTokens } = await embed(
            { model, input, truncate: true, dimensions, normalize: 'always', options, keepAliveMs },
            callerSignal(c),
          )
          c.get('trace').read(promptTokens)
          const pack = encoding === 'base64' ? packedFloats : shortFloats
          return json(
            {
              object: 'list',
              data: embeddings.map((vector, index) => ({ object: 'embedding', embedding: pack(vector), index })),
              model,
              usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
            },
            200,
            plainJson,
          )
        },
      },
    },
  ]
}
