import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createApi } from '../../../main/api/http.ts'
import type { ApiServices } from '../../../main/api/services.ts'
import { readConfig } from '../../../main/config.ts'
import { AppError } from '../../../main/errors.ts'
import type { GenerationEvent, TemplateKind } from '../../../main/generation/events.ts'
import { Keys } from '../../../main/keys.ts'
import { Log } from '../../../main/lib/log.ts'
import type { ModelSummary } from '../../../main/models/model.ts'
import { Settings } from '../../../main/settings.ts'

/** The API over services that a test writes by hand; everything that is not given fails loudly. */
export function api(services: Partial<ApiServices> = {}) {
  const missing = (): never => {
    throw new Error('this test gave no such service')
  }
  return createApi({
    chat: missing,
    complete: missing,
    count: missing,
    embed: missing,
    tokens: { encode: missing, decode: missing },
    rerank: missing,
    doctor: missing,
    upkeep: { diskUse: missing, verify: missing, prune: missing, updates: missing },
    assessFit: missing,
    importFile: missing,
    origins: { status: missing, change: missing },
    library: {
      list: missing,
      resolve: missing,
      copy: missing,
      delete: missing,
      hide: missing,
      restore: missing,
      store: { offers: missing, blobs: { write: missing } },
    },
    create: missing,
    push: missing,
    downloads: { list: missing, pull: missing, start: missing, pause: missing, resume: missing, cancel: missing },
    describe: missing,
    upstreams: { find: () => null, list: missing, add: missing, remove: missing, models: async () => [], model: missing },
    resident: missing,
    hardware: missing,
    config: readConfig({}),
    keys: keysIn(temporaryFolder()),
    log: new Log('error'),
    version: '1.2.3',
    ...services,
  })
}

export function temporaryFolder(): string {
  return mkdtempSync(path.join(tmpdir(), 'paddock-api-'))
}

export function keysIn(folder: string): Keys {
  return new Keys(new Settings(path.join(folder, 'settings.json')))
}

export function post(app: ReturnType<typeof api>, where: string, body: unknown, headers: Record<string, string> = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return app.request(where, { method: 'POST', body: text, headers: { host: 'localhost', ...headers } })
}

/** The events of a reply that says `texts`. */
export async function* says(texts: string[], template: TemplateKind = 'jinja'): AsyncGenerator<GenerationEvent> {
  yield promptEvent(template)
  for (const text of texts) yield { type: 'text', text }
  yield doneEvent(template)
}

export function promptEvent(template: TemplateKind = 'jinja'): GenerationEvent {
  return { type: 'prompt', template, promptTokens: 7, cachedTokens: 3, evaluatedTokens: 0 }
}

export function doneEvent(
  template: TemplateKind = 'jinja',
  reason: 'stop' | 'length' | 'load' | 'unload' = 'stop',
): Extract<GenerationEvent, { type: 'done' }> {
  return {
    type: 'done',
    reason,
    stopString: null,
    template,
    usage: {
      promptTokens: 7,
      cachedTokens: 3,
      completionTokens: 2,
      queueMs: 0,
      promptMs: 1.5,
      generateMs: 2,
      cutTokens: 0,
      shifts: 0,
      shiftedTokens: 0,
      totalMs: 4,
      loadMs: 0.25,
    },
  }
}

/** A reply that never gets as far as its first word. */
export async function* fails(error: unknown, after: GenerationEvent[] = []): AsyncGenerator<GenerationEvent> {
  yield* after
  throw error
}

export const notFound = new AppError('model-not-found', "model 'x' not found")

export function summary(model: string, more: Partial<ModelSummary> = {}): ModelSummary {
  return {
    name: { host: 'registry.ollama.ai', namespace: 'library', model, tag: 'latest' },
    origin: 'store',
    digest: 'a'.repeat(64),
    sizeBytes: 10,
    modifiedAt: new Date('2026-01-02T03:04:05.678Z'),
    details: {
      parentModel: '',
      format: 'gguf',
      family: 'llama',
      families: ['llama'],
      parameterSize: '3.28M',
      quantizationLevel: 'Q8_0',
      contextLength: 2048,
      embeddingLength: 256,
    },
    capabilities: ['completion'],
    ...more,
  }
}

/** Lines of an NDJSON answer. */
export async function ndjsonOf(response: Response): Promise<Record<string, unknown>[]> {
  return (await response.text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Data of a server-sent stream; `[DONE]` stays text. */
export async function sseOf(response: Response): Promise<unknown[]> {
  return (await response.text())
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^data: /, ''))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)))
}
