import { displayName, parseName } from '../models/name.ts'
import type { RequestRecord } from '../requests/request-log.ts'
import type { ResidentModel } from '../runtime/resident-model.ts'
import type { Route } from './routes.ts'
import type { ApiServices } from './services.ts'
import type { RequestFigures } from './trace.ts'

/** Upper bounds of the buckets, in seconds. */
const firstTokenBounds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Names are the callers' to spell: beyond this many, further ones are counted as `other`. */
const mostModels = 200

type Labels = Record<string, string | number>

/** Totals of one model. */
const modelTotals = {
  paddock_prompt_tokens_total: 'Tokens of prompts and of embedded texts, those from the cache included.',
  paddock_cached_prompt_tokens_total: 'Tokens of prompts that were taken from the cache.',
  paddock_completion_tokens_total: 'Tokens that were generated.',
  paddock_prompt_seconds_total: 'Time in which prompts were evaluated, summed over the requests.',
  paddock_generation_seconds_total: 'Time in which tokens were generated, summed over the requests.',
  paddock_load_seconds_total: 'Time that requests waited for the model: queue, load, context.',
} as const
type ModelTotal = keyof typeof modelTotals

/** Counts requests as they end and writes what Prometheus reads. */
export class Metrics {
  readonly #requests = new Map<string, number>()
  readonly #models = new Map<string, Record<ModelTotal, number>>()
  /** How many requests fell into each bucket; the last has no bound. */
  readonly #firstToken = Array.from({ length: firstTokenBounds.length + 1 }, () => 0)
  #firstTokenSeconds = 0

  /** A path that is no route counts as `other`: paths are the callers' to choose. */
  observe({ method, status, model, promptTokens, firstTokenMs }: RequestRecord, { route, usage }: RequestFigures): void {
    const key = labels({ route: route ?? 'other', method: route === null ? 'other' : method, status })
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1)
    if (firstTokenMs !== null) {
      const at = firstTokenBounds.findIndex((bound) => firstTokenMs <= bound * 1000)
      const bucket = at < 0 ? firstTokenBounds.length : at
      this.#firstToken[bucket] = (this.#firstToken[bucket] ?? 0) + 1
      this.#firstTokenSeconds += firstTokenMs / 1000
    }
    if (model === null || promptTokens === null) return
    const totals = this.#totalsOf(model)
    totals.paddock_prompt_tokens_total += promptTokens
    if (usage === null) return
    totals.paddock_cached_prompt_tokens_total += usage.cachedTokens
    totals.paddock_completion_tokens_total += usage.completionTokens
    totals.paddock_prompt_seconds_total += usage.promptMs / 1000
    totals.paddock_generation_seconds_total += usage.generateMs / 1000
    totals.paddock_load_seconds_total += usage.loadMs / 1000
  }

  /** The text exposition format, version 0.0.4. */
  text(resident: readonly ResidentModel[], version: string): string {
    const lines: string[] = []
    const family = (name: string, kind: 'counter' | 'gauge', help: string, samples: readonly (readonly [labels: string, value: number])[]) => {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...samples.map(([key, value]) => `${name}${key} ${value}`))
    }
    const perModel = (value: (model: ResidentModel) => number) => resident.map((model) => [labels({ model: model.label.name }), value(model)] as const)

    family('paddock_info', 'gauge', 'The version that runs.', [[labels({ version }), 1]])
    family('paddock_requests_total', 'counter', 'Requests that have ended.', [...this.#requests])
    for (const [name, help] of Object.entries(modelTotals)) {
      const samples = [...this.#models].map(([model, totals]) => [labels({ model }), totals[name as ModelTotal]] as const)
      family(name, 'counter', help, samples)
    }
    lines.push(...this.#histogram())
    family(
      'paddock_requests_running',
      'gauge',
      'Requests that hold a slot of a model.',
      perModel(({ running }) => running),
    )
    family(
      'paddock_requests_waiting',
      'gauge',
      'Requests that wait for a model or a slot of it.',
      perModel(({ queued }) => queued),
    )
    family('paddock_models_loaded', 'gauge', 'Models in memory.', [['', resident.length]])
    family(
      'paddock_model_memory_bytes',
      'gauge',
      'Memory that a model takes on all devices.',
      perModel(({ sizeBytes }) => sizeBytes),
    )
    family(
      'paddock_model_gpu_memory_bytes',
      'gauge',
      'The part of it on GPUs.',
      perModel(({ vramBytes }) => vramBytes),
    )
    family('process_resident_memory_bytes', 'gauge', 'Memory of the server itself; models have processes of their own.', [['', process.memoryUsage.rss()]])
    family('process_start_time_seconds', 'gauge', 'When the server started, in seconds since 1970.', [['', performance.timeOrigin / 1000]])
    return `${lines.join('\n')}\n`
  }

  #histogram(): string[] {
    const name = 'paddock_time_to_first_token_seconds'
    let count = 0
    const buckets = this.#firstToken.map((more, at) => {
      count += more
      return `${name}_bucket${labels({ le: firstTokenBounds[at] ?? '+Inf' })} ${count}`
    })
    return [
      `# HELP ${name} From the request to its first word, load included.`,
      `# TYPE ${name} histogram`,
      ...buckets,
      `${name}_sum ${this.#firstTokenSeconds}`,
      `${name}_count ${count}`,
    ]
  }

  #totalsOf(model: string): Record<ModelTotal, number> {
    const parsed = parseName(model)
    const name = parsed === null ? model : displayName(parsed)
    const key = this.#models.has(name) || this.#models.size < mostModels ? name : 'other'
    const known = this.#models.get(key)
    if (known) return known
    const fresh = Object.fromEntries(Object.keys(modelTotals).map((name) => [name, 0])) as Record<ModelTotal, number>
    this.#models.set(key, fresh)
    return fresh
  }
}

/** `{model="a",status="200"}`. */
function labels(values: Labels): string {
  const pairs = Object.entries(values).map(([name, value]) => `${name}="${String(value).replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`)
  return `{${pairs.join(',')}}`
}

export const metricsPath = '/metrics'

/** The route, where `PADDOCK_METRICS` asks for it. */
export function metricsRoutes({ resident, version }: Pick<ApiServices, 'resident' | 'version'>, metrics: Metrics | null): Route[] {
  if (metrics === null) return []
  const answer = () => new Response(metrics.text(resident(), version), { headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' } })
  return [{ path: metricsPath, scope: 'use', summary: 'Counts and times for Prometheus', handlers: { GET: answer } }]
}
