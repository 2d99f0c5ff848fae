import { stat } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../../errors.ts'
import type { Log } from '../../lib/log.ts'
import type { InspectTemplates } from '../capabilities.ts'
import { readGguf } from '../gguf.ts'
import { parsePartName } from '../gguf-parts.ts'
import type { KeptFacts } from '../kept-facts.ts'
import { displayName, type ModelName, parseName } from '../name.ts'
import type { Entry, Origin } from '../origin.ts'
import { makeEntry } from './entry.ts'
import { FileFacts } from './facts.ts'
import { placeInFolder } from './folder.ts'
import { isGguf, modelsOf, type PlacedFile } from './gguf-files.ts'
import { ScannedOrigin, type ScanTimes, type Turns } from './scanned.ts'
import { type Found, findFiles } from './walk.ts'

/** A file that the user opened: where it was, and the name that its model has. */
export interface Reference {
  path: string
  name: string
  sizeBytes: number
}

/** Where the references are kept, such as in the settings. */
export interface ReferenceRecords {
  read(): readonly Reference[]
  update(change: (references: readonly Reference[]) => Reference[]): void
}

export interface ReferencesParts {
  records: ReferenceRecords
  inspectTemplates: InspectTemplates
  turns: Turns
  kept?: KeptFacts
  log: Log
  times?: Partial<ScanTimes>
}

/** GGUF files anywhere, run where they lie. One that is gone stays listed as gone until it is back or the user lets go of it. */
export class References implements Origin {
  readonly id = 'file'
  readonly #records: ReferenceRecords
  readonly #facts: FileFacts
  readonly #scanned: ScannedOrigin

  constructor({ records, inspectTemplates, turns, kept, log, times }: ReferencesParts) {
    this.#records = records
    this.#facts = new FileFacts(inspectTemplates, kept)
    this.#scanned = new ScannedOrigin({ id: this.id, scan: (signal) => this.#scan(signal), turns, log, ...(times && { times }) })
  }

  list(options?: { wait: boolean }): Promise<Entry[]> {
    return this.#scanned.list(options)
  }

  resolve(name: ModelName): Promise<Entry | null> {
    return this.#scanned.resolve(name)
  }

  /** The model of a file that lies on the disk, which need not be referenced. Throws `invalid-request` or `not-found` saying what the file is instead. */
  async look(given: string, signal: AbortSignal): Promise<Entry> {
    const file = await modelFile(given)
    const { found, warnings } = await this.#modelOf(file, signal)
    const [entry] = found
    if (entry === undefined)
      throw new AppError('invalid-request', warnings.at(-1) ?? `${file} is no model of its own but belongs to one: an adapter or a projector`)
    if (entry.problem) throw new AppError('invalid-request', `the model is incomplete: ${entry.problem.text}`)
    return entry
  }

  /** The file's reference, if it has one. */
  find(file: string): Reference | null {
    return this.#records.read().find((reference) => reference.path === file) ?? null
  }

  /** Keeps the file of an entry under a name; a reference to the same file is replaced. */
  add({ layers, sizeBytes }: Entry, name: ModelName): void {
    const file = layers[0]?.file ?? ''
    this.#records.update((all) => [...all.filter((one) => one.path !== file), { path: file, name: displayName(name), sizeBytes }])
    this.#scanned.expire()
  }

  async forget({ name }: Entry): Promise<void> {
    const wanted = [displayName(name), displayName({ ...name, host: 'registry.ollama.ai' })]
    this.#records.update((all) => all.filter((one) => !wanted.includes(one.name)))
    this.#scanned.expire()
  }

  async #scan(signal: AbortSignal): Promise<Found<Entry>> {
    const found: Entry[] = []
    const warnings: string[] = []
    for (const reference of this.#records.read()) {
      const name = parseName(reference.name)
      if (name === null) continue
      const models = await this.#modelOf(reference.path, signal)
      warnings.push(...models.warnings)
      const [entry] = models.found
      found.push(entry === undefined ? await goneEntry(reference, name, models.warnings) : { ...entry, name })
    }
    this.#facts.tidy()
    return { found, warnings }
  }

  /** Its parts and projectors lie beside it. */
  async #modelOf(file: string, signal: AbortSignal): Promise<Found<Entry>> {
    const folder = path.dirname(file)
    const part = parsePartName(path.basename(file))
    const isSibling = (name: string) => part !== null && parsePartName(name)?.stem === part.stem && parsePartName(name)?.count === part.count
    const isWanted = (name: string) => name === path.basename(file) || isSibling(name) || (isGguf(name) && /mm-?proj/i.test(name))
    const { found } = await findFiles(folder, isWanted, signal, { depth: 0, entries: 100_000 })
    const placed: PlacedFile[] = found.map((one) => ({ ...one, place: placeInFolder(folder, one), digest: null }))
    const models = await modelsOf(placed, this.id, this.#facts, signal)
    return {
      found: models.found.filter(({ layers }) => layers.some((layer) => layer.file === file)),
      warnings: models.warnings.filter((text) => text.startsWith(file)),
    }
  }
}

async function goneEntry({ path: file, sizeBytes }: Reference, name: ModelName, warnings: readonly string[]): Promise<Entry> {
  const reason = await stat(file).then(
    () => warnings[0] ?? `its file ${file} is no longer a model`,
    (error: NodeJS.ErrnoException) => `its file ${file} cannot be read (${error.code}); it counts again when it is back, as with its drive`,
  )
  const entry = makeEntry({ name, origin: 'file', modifiedAt: new Date(0), config: { model_format: 'gguf' }, layers: [] })
  return { ...entry, sizeBytes, problem: { state: 'gone', text: reason } }
}

/** The file, checked; of a part the first one. */
async function modelFile(given: string): Promise<string> {
  if (!path.isAbsolute(given)) throw new AppError('invalid-request', `${JSON.stringify(given)} is not an absolute path`)
  const file = path.normalize(given)
  const stats = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new AppError(error.code === 'ENOENT' ? 'not-found' : 'invalid-request', `${file} cannot be read (${error.code})`, { cause: error })
  })
  if (stats.isDirectory()) throw new AppError('invalid-request', `${file} is a folder; add it to the folders that are looked through, or name a file in it`)
  const part = parsePartName(path.basename(file))
  const first = part === null ? file : path.join(path.dirname(file), path.basename(file).replace(/-\d{5}(-of-\d{5}\.gguf)$/i, '-00001$1'))
  try {
    await readGguf(file)
  } catch (error) {
    // Not a damaged model of ours but a wrong choice of the caller.
    if (error instanceof AppError) throw new AppError('invalid-request', error.message, { cause: error })
    throw error
  }
  return first
}
