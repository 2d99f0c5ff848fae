import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Outgoing } from '../lib/outgoing.ts'
import { Connection } from './connection.ts'
import { detectProtocol } from './detect.ts'
import type { UpstreamClient, UpstreamModel, UpstreamProtocol, UpstreamRecord } from './engine.ts'
import { ModelList } from './model-list.ts'
import { checkUpstreamKey, checkUpstreamName, checkUpstreamUrl } from './names.ts'
import { OllamaClient } from './ollama.ts'
import { OpenAIClient } from './openai.ts'

/** How long an engine has to say which protocol it speaks. */
const detectMs = 20_000

/** Where the engines are kept; they hold secrets. */
export interface UpstreamRecords {
  read(): UpstreamRecord[]
  /** Changes them on top of what is kept at this moment. */
  update(change: (records: UpstreamRecord[]) => UpstreamRecord[]): void
}

export interface UpstreamsParts {
  records: UpstreamRecords
  outgoing: Outgoing
  /** Names of models that are here, as they are shown. */
  localNames: () => Promise<string[]>
  /** Of the program. */
  version: string
}

/** An engine as it is shown: all but its key. */
export interface UpstreamInfo {
  name: string
  url: string
  protocol: UpstreamProtocol
  hasKey: boolean
  state: 'up' | 'down' | 'unknown'
  problem: string | null
  /** Ids by which the engine knows them. */
  models: string[]
}

/** A model elsewhere, as lists show it. */
export interface ElsewhereModel extends UpstreamModel {
  /** `NAME/id`. */
  name: string
  upstream: Pick<UpstreamInfo, 'name' | 'url' | 'state' | 'problem'>
}

/** Where a request for a name that begins with an engine's goes. */
export interface UpstreamTarget {
  upstream: string
  url: string
  /** The engine's own id. */
  model: string
  client: UpstreamClient
}

export interface NewUpstream {
  name: string
  url: string
  key: string
  /** null: found by asking. */
  protocol: UpstreamProtocol | null
}

interface Engine extends Disposable {
  record: UpstreamRecord
  client: UpstreamClient
  list: ModelList
}

/** The engines elsewhere (P11): kept, reached by the first segment of a name, and asked for their models. */
export class Upstreams implements Disposable {
  readonly #parts: UpstreamsParts
  /** By record: another address or key is another engine. */
  readonly #engines = new Map<string, Engine>()

  constructor(parts: UpstreamsParts) {
    this.#parts = parts
  }

  /** The engine that a name begins with; null when the name is a model of this machine. Case counts only behind the first slash. */
  find(name: string): UpstreamTarget | null {
    const [, first, model] = /^([^/]+)\/(.+)$/s.exec(name.trim()) ?? []
    if (first === undefined || model === undefined) return null
    const record = this.#parts.records.read().find((known) => known.name === first.toLowerCase())
    return record === undefined ? null : { upstream: record.name, url: record.url, model, client: this.#engine(record).client }
  }

  /** True where a model of this machine cannot be made: its names would lead to an engine. */
  reserves(segment: string): boolean {
    return this.#parts.records.read().some(({ name }) => name === segment.toLowerCase())
  }

  /** Throws `invalid-request` for a name, address or key that cannot be, `conflict` for a name in use, and what the engine says when it is asked. */
  async add({ name, url: given, key, protocol }: NewUpstream, signal: AbortSignal): Promise<UpstreamInfo> {
    checkUpstreamName(name)
    checkUpstreamKey(key)
    const url = checkUpstreamUrl(given)
    if (this.reserves(name)) throw new AppError('conflict', `there is an engine named ${JSON.stringify(name)} already: remove it first`)
    const local = (await this.#parts.localNames()).find((model) => model.toLowerCase().startsWith(`${name}/`))
    if (local !== undefined) throw new AppError('conflict', `${JSON.stringify(name)} begins the name of a model of this machine, ${local}: choose another`)
    const found = protocol ?? (/\/v1\/*$/.test(given) ? 'openai' : await this.#detect({ name, url, key }, signal))
    const record: UpstreamRecord = { name, url, protocol: found, key, addedAt: new Date().toISOString() }
    this.#parts.records.update((records) => [...records.filter((known) => known.name !== name), record])
    await this.#engine(record).list.refresh()
    return await this.#info(record)
  }

  /** Throws `not-found` when there is none of that name. */
  remove(name: string): void {
    this.#parts.records.update((records) => {
      const rest = records.filter((record) => record.name !== name)
      if (rest.length === records.length) throw new AppError('not-found', `there is no engine named ${JSON.stringify(name)}`)
      return rest
    })
    this.#forgetOthers()
  }

  /** All engines and how they are, asked at the same time; one that is slow is waited for a second at most. */
  async list(): Promise<UpstreamInfo[]> {
    this.#forgetOthers()
    return await Promise.all(this.#parts.records.read().map((record) => this.#info(record)))
  }

  /** The models of all engines; of one that is down those it had. */
  async models(): Promise<ElsewhereModel[]> {
    const lists = await Promise.all(this.#parts.records.read().map((record) => this.#models(record)))
    return lists.flat()
  }

  /** One model as its engine lists it; null where the engine is up and does not list it. */
  async model({ upstream, model }: UpstreamTarget): Promise<ElsewhereModel | null> {
    const record = this.#parts.records.read().find(({ name }) => name === upstream)
    if (record === undefined) return null
    const models = await this.#models(record)
    const id = model.toLowerCase()
    return models.find((known) => known.id === model) ?? models.find((known) => [id, `${id}:latest`].includes(known.id.toLowerCase())) ?? null
  }

  [Symbol.dispose](): void {
    for (const engine of this.#engines.values()) engine[Symbol.dispose]()
    this.#engines.clear()
  }

  async #info(record: UpstreamRecord): Promise<UpstreamInfo> {
    const { name, url, protocol, key } = record
    const { models, state, problem } = await this.#engine(record).list.current()
    return { name, url, protocol, hasKey: key !== '', state, problem, models: models.map(({ id }) => id) }
  }

  async #models(record: UpstreamRecord): Promise<ElsewhereModel[]> {
    const { name, url } = record
    const { models, state, problem } = await this.#engine(record).list.current()
    const upstream = { name, url, state, problem }
    // The command line of Ollama cuts twelve digits off every digest and ends when there are none.
    const digestOf = (id: string) => createHash('sha256').update(`${url}\n${id}`).digest('hex')
    return models.map((model) => ({ ...model, digest: model.digest || digestOf(model.id), name: `${name}/${model.id}`, upstream }))
  }

  async #detect(record: Pick<UpstreamRecord, 'name' | 'url' | 'key'>, signal: AbortSignal): Promise<UpstreamProtocol> {
    const late = AbortSignal.timeout(detectMs)
    try {
      return await detectProtocol(this.#connection(record), AbortSignal.any([signal, late]))
    } catch (error) {
      if (error === late.reason) throw new AppError('upstream-unreachable', `the engine at ${record.url} does not answer within ${detectMs / 1000} seconds`)
      if (error instanceof AppError && error.code === 'upstream-unreachable')
        throw new AppError(error.code, `${error.message}. Start it first, or say what it speaks with --protocol.`, { cause: error })
      throw error
    }
  }

  #engine(record: UpstreamRecord): Engine {
    const id = keyOf(record)
    const known = this.#engines.get(id)
    if (known) return known
    const connection = this.#connection(record)
    const client = record.protocol === 'ollama' ? new OllamaClient(connection) : new OpenAIClient(connection)
    const list = new ModelList(client)
    const engine: Engine = { record, client, list, [Symbol.dispose]: () => list[Symbol.dispose]() }
    this.#engines.set(id, engine)
    return engine
  }

  #connection(record: Pick<UpstreamRecord, 'name' | 'url' | 'key'>): Connection {
    const { outgoing, version } = this.#parts
    return new Connection(record, { outgoing, userAgent: `paddock/${version}` })
  }

  /** Engines that are no longer kept, or are kept otherwise. */
  #forgetOthers(): void {
    const kept = new Set(this.#parts.records.read().map(keyOf))
    for (const [id, engine] of this.#engines) {
      if (kept.has(id)) continue
      engine[Symbol.dispose]()
      this.#engines.delete(id)
    }
  }
}

function keyOf({ name, url, protocol, key }: UpstreamRecord): string {
  return JSON.stringify([name, url, protocol, key])
}
