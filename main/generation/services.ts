import type { JsonObject } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { Model } from '../models/model.ts'
import type { ModelName } from '../models/name.ts'
import type { Scheduler } from '../runtime/scheduler.ts'

/** What generation introduces to one another: the disk, the memory and the prompt text. */
export interface GenerationServices {
  library: { resolve(name: ModelName): Promise<Model | null> }
  scheduler: Pick<Scheduler, 'acquire' | 'unload'>
  /** Renders a Jinja template outside this process, under a watchdog. */
  renderJinja: (template: string, variables: JsonObject, signal: AbortSignal) => Promise<string>
  /** `OLLAMA_GO_TEMPLATE`: true or false forces the choice between a Go and a Jinja template. */
  preferGoTemplate: boolean | null
  log: Log
}
