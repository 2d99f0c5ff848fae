import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { resultOf } from '../lib/streams.ts'
import { bringIn } from './bring-in.ts'
import type { InspectTemplates } from './capabilities.ts'
import { readTexts } from './content.ts'
import { type Described, decisiveDigests, describe, describeEntry, describeOnce, describeUnread, layersOf } from './describe.ts'
import type { GgufHeader } from './gguf-header.ts'
import { HeaderCache } from './headers.ts'
import type { KeptFacts } from './kept-facts.ts'
import { mediaTypes } from './manifest.ts'
import type { Model, ModelFile, ModelSummary } from './model.ts'
import { displayName, type ModelName, nameKey } from './name.ts'
import type { Entry, Layer, Origin } from './origin.ts'
import { notRunnable, Patience, presentEntry, stateOfLayer } from './presence.ts'
import type { TransferProgress } from './registry/pieces.ts'
import type { Store } from './store.ts'

/** Names that the user deleted but whose files are not ours to remove; the caller keeps them in the settings. */
export interface HiddenModels {
  has(name: string): boolean
  add(name: string): void | Promise<void>
  remove(name: string): void | Promise<void>
}

export interface LibraryParts {
  store: Store
  /** Those that count now, in the order in which they win a name; our store is always before them. */
  origins: () => readonly Origin[]
  hidden: HiddenModels
  inspectTemplates: InspectTemplates
  /** What was read before, so that the first list after a start need not read it again. */
  kept?: KeptFacts
  log: Log
}

/** All models of this machine: our store, and what is only read. */
export class Library {
  readonly store: Store
  readonly #origins: () => readonly Origin[]
  readonly #hidden: HiddenModels
  readonly #inspect: InspectTemplates
  readonly #kept: KeptFacts | null
  readonly #log: Log
  readonly #headers = new HeaderCache()
  readonly #patience = new Patience()
  readonly #described = new Map<string, Described>()
  readonly #reported = new Set<string>()

  constructor({ store, origins, hidden, inspectTemplates, kept, log }: LibraryParts) {
    this.store = store
    this.#origins = origins
    this.#hidden = hidden
    this.#inspect = inspectTemplates
    this.#kept = kept ?? null
    this.#log = log
  }

  /**
   * Every model as its origin knows it, its files not looked at yet. Of several with one name the first wins it; the others have their origin for a host, but for
   * one that ships, which is then left out.
   */
  async entries(options = { wait: true }): Promise<Entry[]> {
    const entries = new Map<string, Entry>()
    const lists = await Promise.all([this.store, ...this.#origins()].map(async (origin) => ({ origin, list: await origin.list(options) })))
    for (const { origin, list } of lists) {
      for (const entry of list) {
        if (this.#isHidden(entry)) continue
        const shown = entries.has(nameKey(entry.name)) && origin.id !== 'bundled' ? { ...entry, name: { ...entry.name, host: origin.id } } : entry
        if (!entries.has(nameKey(shown.name))) entries.set(nameKey(shown.name), shown)
      }
    }
    return [...entries.values()]
  }

  /** Every model, the latest first. One that is damaged is left out and stands in the log. */
  async list(options = { wait: true }): Promise<ModelSummary[]> {
    const summaries: ModelSummary[] = []
    for (const entry of await this.entries(options)) {
      try {
        summaries.push(await this.#summary(entry))
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        this.#reportOnce(entry, error)
      }
    }
    return summaries.sort((a, b) => b.modifiedAt.getTime() - a.modifiedAt.getTime())
  }

  /**
   * The model of this name, ready to run; null when there is none.
   *
   * Throws `invalid-model` naming the file when one is missing or damaged, `unavailable` when it is gone with its drive.
   */
  async resolve(name: ModelName): Promise<Model | null> {
    const entry = await this.find(name)
    return entry === null ? null : this.open(entry)
  }

  /** The entry of this name, its files not looked at yet. */
  async find(name: ModelName): Promise<Entry | null> {
    for (const origin of [this.store, ...this.#origins()]) {
      const entry = await origin.resolve(name)
      if (entry !== null && !this.#isHidden(entry)) return entry
    }
    return null
  }

  /** Reads an entry's headers and texts. */
  async open(entry: Entry): Promise<Model> {
    // What is not ours may lie on a drive that does not answer.
    return this.#isOwn(entry) ? this.#open(entry) : this.#patience.inTime(entry, async () => this.#open(await presentEntry(entry, this.#log)))
  }

  async #open(entry: Entry): Promise<Model> {
    const parts = layersOf(entry, mediaTypes.model)
    const [weights] = parts
    if (weights === undefined) throw notRunnable(entry)
    const projectors = layersOf(entry, mediaTypes.projector)
    const adapters = layersOf(entry, mediaTypes.adapter)
    if (this.#isOwn(entry)) for (const layer of entry.layers) stateOfLayer(entry, layer)
    const header = await this.#headers.readModel(parts.map(({ file }) => file))
    const projectorHeaders = await Promise.all(projectors.map((layer) => this.#headers.read(layer.file)))
    await Promise.all(adapters.map((layer) => this.#headers.read(layer.file)))
    const texts = await readTexts(entry)
    return {
      ...identityOf(entry),
      ...describe(entry, { header, projectors: projectorHeaders, template: texts.template }, this.#inspect),
      ...texts,
      weights: toFile(weights),
      parts: parts.map(toFile),
      adapters: adapters.map(toFile),
      projectors: projectors.map(toFile),
      header,
      projectorHeaders,
      requires: entry.config.requires ?? null,
      renderer: entry.config.renderer ?? null,
      parser: entry.config.parser ?? null,
    }
  }

  /** Gives a model a second name, in our store; false when there is no such model. What the other name stood for before is gone. */
  async copy(source: ModelName, destination: ModelName, signal: AbortSignal = new AbortController().signal): Promise<boolean> {
    const entry = await this.find(source)
    if (entry === null) return false
    if (nameKey(source) === nameKey(destination)) return true
    using pins = new DisposableStack()
    const { manifest } = await resultOf(this.bringIn(entry, pins, signal))
    await this.store.put(destination, manifest, { prune: true, pins })
    return true
  }

  /** Makes sure that every blob of an entry is in our store, and keeps them there until the stack is disposed; gives the entry as it is there. */
  async *bringIn(entry: Entry, pins: DisposableStack, signal: AbortSignal): AsyncGenerator<TransferProgress, Entry> {
    const present = this.#isOwn(entry) ? entry : await this.#patience.inTime(entry, () => presentEntry(entry, this.#log))
    return yield* bringIn(this.store, present, pins, signal)
  }

  /**
   * Removes a model of ours, hides one that ships, lets go of a file that is only referenced; false when there is none of this name.
   *
   * Throws `forbidden` for a model of another program, naming it and the way to hide the model.
   */
  async delete(name: ModelName): Promise<boolean> {
    let done = await this.store.delete(name)
    for (const origin of this.#origins()) {
      const entry = await origin.resolve(name)
      if (entry === null || this.#isHidden(entry)) continue
      if (origin.id === 'bundled') await this.#hidden.add(hiddenName(entry))
      else if (done) continue
      else if (origin.forget) await origin.forget(entry)
      else throw notOurs(entry, origin)
      done = true
    }
    return done
  }

  /** Takes a model that is not in our store out of the list until it is restored; false when there is none of this name. Throws `invalid-request` for one of ours. */
  async hide(name: ModelName): Promise<boolean> {
    const entry = await this.find(name)
    if (entry === null) return false
    if (entry.origin === this.store.id)
      throw new AppError('invalid-request', `the model '${displayName(entry.name)}' is in our own store: delete it, or leave it`)
    await this.#hidden.add(hiddenName(entry))
    return true
  }

  /** Brings back the models that were hidden: with a name that one, else those that ship; how many. */
  async restore(name: ModelName | null): Promise<number> {
    let restored = 0
    for (const origin of this.#origins()) {
      const entries = name !== null ? [await origin.resolve(name)] : origin.id === 'bundled' ? await origin.list() : []
      for (const entry of entries) {
        if (entry === null || !this.#isHidden(entry)) continue
        await this.#hidden.remove(hiddenName(entry))
        restored++
      }
    }
    return restored
  }

  /** The header of a file in our store, or of all parts of a model, from the cache. */
  header(...files: string[]): Promise<GgufHeader> {
    return this.#headers.read(...files)
  }

  #isHidden(entry: Entry): boolean {
    return entry.origin !== this.store.id && this.#hidden.has(hiddenName(entry))
  }

  /** It lies where we may wait for the disk. */
  #isOwn({ origin }: Entry): boolean {
    return origin === this.store.id || origin === 'bundled'
  }

  async #summary(entry: Entry): Promise<ModelSummary> {
    if (entry.problem) return { ...identityOf(entry), ...(entry.described ?? describeUnread(entry)), problem: entry.problem }
    if (entry.described) return { ...identityOf(entry), ...entry.described }
    // A list asks only for what a header and a template say, and both are named by what is in them.
    const key = [...layersOf(entry, mediaTypes.model).map((layer) => stateOfLayer(entry, layer)), ...decisiveDigests(entry)].join('\0')
    let described = this.#described.get(key)
    if (described === undefined) {
      described = await describeOnce(key, this.#kept, () => describeEntry(entry, this.#headers, this.#inspect))
      this.#described.set(key, described)
    }
    return { ...identityOf(entry), ...described }
  }

  #reportOnce(entry: Entry, error: AppError): void {
    const key = `${entry.origin} ${displayName(entry.name)} ${entry.digest}`
    if (this.#reported.has(key)) return
    this.#reported.add(key)
    this.#log.warn('a model is left out of the list', { name: displayName(entry.name), reason: error.message })
  }
}

function identityOf({ name, origin, digest, sizeBytes, modifiedAt }: Entry) {
  return { name, origin, digest, sizeBytes, modifiedAt }
}

function toFile({ file, digest, sizeBytes }: Layer): ModelFile {
  return { file, digest, sizeBytes }
}

/** Under which a model is hidden: with its origin, so that another of the name stays. What ships was hidden by its name alone before there were others. */
function hiddenName({ name, origin }: Entry): string {
  return displayName(origin === 'bundled' ? name : { ...name, host: origin })
}

function notOurs({ name, layers }: Entry, { owner, id }: Origin): AppError {
  const shown = displayName(name)
  return new AppError(
    'forbidden',
    `the model '${shown}' belongs to ${owner ?? id} (${layers[0]?.file ?? 'its own store'}), which is only read here: delete it there, or hide it with "paddock hide ${shown}"`,
  )
}
