import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { flag, options, readBody, text, wire } from '../body.ts'
import { keepAlive } from '../keep-alive.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { nanoseconds } from '../time.ts'
import { json } from '../wire.ts'

export const RerankBody = wire({
  model: text,
  query: text,
  documents: z.array(z.union([z.string(), z.looseObject({ text: z.string() })])).default([]),
  top_n: z.int().optional(),
  return_documents: flag,
  keep_alive: keepAlive,
  options: options.prefault({}),
})

/** `/api/rerank` and `/v1/rerank`, in the shape that Jina's and Cohere's clients know; `method`, `truncated` and the durations are ours. */
export function rerankRoutes({ rerank }: Pick<ApiServices, 'rerank'>): Route[] {
  return ['/api/rerank', '/v1/rerank'].map((path) => ({
    path,
    scope: 'use',
    summary: 'Orders documents by how well they answer a query',
    body: RerankBody,
    handlers: {
      POST: async (c) => {
        const { model, query, documents: given, top_n: count, return_documents: shown, options: asked, keep_alive: keepAliveMs } = await readBody(c, RerankBody)
        if (model.trim() === '') throw new AppError('invalid-request', 'model is required')
        if (query === '') throw new AppError('invalid-request', 'query is required')
        if (given.length === 0) throw new AppError('invalid-request', 'documents must hold at least one text')
        if (count !== undefined && count < 1) throw new AppError('invalid-request', 'top_n must be at least 1')
        const trace = c.get('trace')
        trace.model(model)
        const documents = given.map((document) => (typeof document === 'string' ? document : document.text))
        const result = await rerank({ model, query, documents, options: asked, keepAliveMs }, callerSignal(c))
        trace.read(result.promptTokens)
        return json({
          model,
          object: 'list',
          method: result.method,
          results: result.documents.slice(0, count).map(({ index, score, truncated }) => ({
            index,
            relevance_score: score,
            ...(shown && { document: { text: documents[index] } }),
            ...(truncated && { truncated }),
          })),
          usage: { prompt_tokens: result.promptTokens, total_tokens: result.promptTokens },
          total_duration: nanoseconds(result.totalMs),
          load_duration: nanoseconds(result.loadMs),
        })
      },
    },
  }))
}
