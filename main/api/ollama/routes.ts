import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { accountRoutes } from './account.ts'
import { blobRoutes } from './blobs.ts'
import { createRoutes } from './create.ts'
import { embedRoutes } from './embed.ts'
import { generateRoutes } from './generate.ts'
import { modelRoutes } from './models.ts'
import { statusRoutes } from './status.ts'
import { transferRoutes } from './transfer.ts'

/** The native dialect. */
export function ollamaRoutes(services: ApiServices): Route[] {
  return [
    ...statusRoutes(services),
    ...generateRoutes(services),
    ...embedRoutes(services),
    ...modelRoutes(services),
    ...createRoutes(services),
    ...blobRoutes(services),
    ...transferRoutes(services),
    ...accountRoutes(services),
  ]
}
