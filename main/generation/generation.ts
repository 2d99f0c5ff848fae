import type { Upstreams } from '../upstream/upstreams.ts'
import { createChat } from './chat.ts'
import { createComplete } from './complete.ts'
import { createCount } from './count.ts'
import { type Generation, withElsewhere } from './elsewhere.ts'
import { createEmbed } from './embed.ts'
import { createRerank } from './rerank.ts'
import type { GenerationServices } from './services.ts'
import { createTokens } from './tokens.ts'

/** The whole waist: models of this machine, and of engines elsewhere. */
export function createGeneration(services: GenerationServices, upstreams: Pick<Upstreams, 'find' | 'model'>): Generation {
  const here: Generation = {
    chat: createChat(services),
    complete: createComplete(services),
    count: createCount(services),
    embed: createEmbed(services),
    tokens: createTokens(services),
    rerank: createRerank(services),
  }
  return withElsewhere(here, upstreams, services.log)
}
