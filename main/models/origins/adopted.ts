import { readdir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../../errors.ts'
import type { Log } from '../../lib/log.ts'
import type { InspectTemplates } from '../capabilities.ts'
import type { KeptFacts } from '../kept-facts.ts'
import { FileFacts } from './facts.ts'
import { scanFolder, scanLlamaCpp, scanLmStudio } from './folder.ts'
import { scanHuggingFace } from './hugging-face.ts'
import { type OriginFolder, userFolders } from './known.ts'
import { scanOllama } from './ollama.ts'
import { type Scan, ScannedOrigin, type ScanTimes, type Turns } from './scanned.ts'

/** What the user decides about the models of other programs. */
export interface OriginChoice {
  /** Ids of known places that are not to be looked at. */
  originsOff: readonly string[]
  /** Further folders, with models at any depth. */
  modelFolders: readonly string[]
}

/** Where the choice is kept, such as in the settings. */
export interface ChoiceRecords {
  read(): OriginChoice
  update(change: (choice: OriginChoice) => { originsOff: string[]; modelFolders: string[] }): void
}

/** What is to be different. */
export interface OriginChange {
  /** Ids of places to switch. */
  on: readonly string[]
  off: readonly string[]
  /** Folders of the user's, absolute. */
  add: readonly string[]
  remove: readonly string[]
}

export interface AdoptedParts {
  known: readonly OriginFolder[]
  choice: ChoiceRecords
  /** Our own store, which is no origin though another program's default may be the same folder. */
  storeFolder: string
  inspectTemplates: InspectTemplates
  turns: Turns
  /** What was read before, so that a start need not read it again. */
  kept?: KeptFacts
  log: Log
  times?: Partial<ScanTimes>
}

/** How one place looks to the user. */
export interface OriginStatus extends OriginFolder {
  on: boolean
  models: number
}

/** The places of other programs that count now; the choice may change while the program runs. */
export class Adopted {
  readonly #parts: AdoptedParts
  readonly #made = new Map<string, ScannedOrigin>()

  constructor(parts: AdoptedParts) {
    this.#parts = parts
  }

  /** In the order in which they win a name. */
  origins(): readonly ScannedOrigin[] {
    const { originsOff } = this.#parts.choice.read()
    return this.#places()
      .filter(({ id }) => !originsOff.includes(id))
      .map((place) => this.#origin(place))
  }

  async status(): Promise<OriginStatus[]> {
    const { originsOff } = this.#parts.choice.read()
    return Promise.all(
      this.#places().map(async (place) => {
        const on = !originsOff.includes(place.id)
        return { ...place, on, models: on ? (await this.#origin(place).list()).length : 0 }
      }),
    )
  }

  /** Throws `invalid-request` for a place that is not known and for a folder that is not absolute. */
  change({ on, off, add, remove }: OriginChange): void {
    const places = this.#places()
    for (const id of [...on, ...off]) {
      if (places.some((place) => place.id === id)) continue
      throw new AppError('invalid-request', `${JSON.stringify(id)} is none of ${places.map((place) => place.id).join(', ')}`)
    }
    for (const folder of add) if (!path.isAbsolute(folder)) throw new AppError('invalid-request', `${JSON.stringify(folder)} is not an absolute path`)
    const gone = new Set(remove.map((folder) => path.resolve(folder)))
    this.#parts.choice.update(({ originsOff, modelFolders }) => ({
      originsOff: [...new Set([...originsOff, ...off])].filter((id) => !on.includes(id)),
      modelFolders: [...new Set([...modelFolders, ...add].map((folder) => path.resolve(folder)))].filter((folder) => !gone.has(folder)),
    }))
  }

  #places(): OriginFolder[] {
    const { known, choice } = this.#parts
    return [...known, ...userFolders(choice.read().modelFolders, known)]
  }

  #origin(place: OriginFolder): ScannedOrigin {
    const key = `${place.id}\0${place.folder}`
    const { turns, log, times, storeFolder } = this.#parts
    const made =
      this.#made.get(key) ??
      new ScannedOrigin({
        id: place.id,
        owner: place.owner,
        scan: unlessSame(storeFolder, place.folder, this.#scan(place)),
        turns,
        log,
        ...(times && { times }),
      })
    this.#made.set(key, made)
    return made
  }

  #scan({ id, kind, folder }: OriginFolder): Scan {
    const { inspectTemplates, kept } = this.#parts
    const facts = new FileFacts(inspectTemplates, kept)
    switch (kind) {
      case 'ollama':
        return scanOllama(folder, id, inspectTemplates, kept)
      case 'lm-studio':
        return scanLmStudio(folder, id, facts)
      case 'hugging-face':
        return scanHuggingFace(folder, id, facts)
      case 'llama.cpp':
        return scanLlamaCpp(folder, id, facts)
      case 'folder':
        return scanAsWhatItIs(folder, {
          ollama: scanOllama(folder, id, inspectTemplates, kept),
          hub: scanHuggingFace(folder, id, facts),
          folder: scanFolder(folder, id, facts),
        })
      default:
        return kind satisfies never
    }
  }
}

/** A folder that the user names may be a whole store of another program. */
function scanAsWhatItIs(folder: string, scans: { ollama: Scan; hub: Scan; folder: Scan }): Scan {
  return async (signal) => {
    const names = await readdir(folder).catch((): string[] => [])
    if (names.includes('manifests') && names.includes('blobs')) return scans.ollama(signal)
    return names.some((name) => name.startsWith('models--')) ? scans.hub(signal) : scans.folder(signal)
  }
}

function unlessSame(storeFolder: string, folder: string, scan: Scan): Scan {
  const real = (file: string) => realpath(file).catch(() => path.resolve(file))
  return async (signal) => ((await real(storeFolder)) === (await real(folder)) ? { found: [], warnings: [] } : scan(signal))
}
