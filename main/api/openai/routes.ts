import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { chatRoutes } from './chat.ts'
import { completionRoutes } from './completions.ts'
import { embeddingRoutes } from './embeddings.ts'
import { modelRoutes } from './models.ts'
import { responseRoutes } from './responses.ts'

/** OpenAI's dialect (openai-anthropic-api §10). */
export function openaiRoutes(services: ApiServices): Route[] {
  return [...chatRoutes(services), ...completionRoutes(services), ...responseRoutes(services), ...embeddingRoutes(services), ...modelRoutes(services)]
}
