import type { Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { doctorRoutes } from './doctor.ts'
import { downloadRoutes } from './downloads.ts'
import { fitRoutes } from './fit.ts'
import { libraryRoutes } from './library.ts'
import { rerankRoutes } from './rerank.ts'
import { tokenRoutes } from './tokens.ts'
import { upkeepRoutes } from './upkeep.ts'
import { upstreamRoutes } from './upstreams.ts'

/** What no dialect has and users of this field ask for. */
export function paddockRoutes(services: ApiServices): Route[] {
  return [
    ...tokenRoutes(services),
    ...rerankRoutes(services),
    ...doctorRoutes(services),
    ...libraryRoutes(services),
    ...upkeepRoutes(services),
    ...downloadRoutes(services),
    ...fitRoutes(services),
    ...upstreamRoutes(services),
  ]
}
