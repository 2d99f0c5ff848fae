import { AppError } from '../errors.ts'
import type { Library } from './library.ts'
import { displayName, type ModelName, nameKey, parseName } from './name.ts'
import type { References } from './origins/references.ts'
import type { TransferProgress } from './registry/pieces.ts'

/** A GGUF file somewhere on this machine that shall be a model. */
export interface ImportRequest {
  /** Absolute; of a model in parts any part. */
  path: string
  /** null: from the folder's and the file's name. */
  name: ModelName | null
  /** Bring the bytes into our store; else the file is run where it lies. */
  copy: boolean
}

export interface Imported {
  name: ModelName
  origin: string
  file: string
}

/** `progress` comes only where bytes are copied. */
export type ImportEvent = { type: 'progress'; progress: TransferProgress } | { type: 'done'; imported: Imported }

export interface ImportParts {
  library: Library
  references: References
  /** Throws for a name that stands for something else. */
  refuseName: (name: ModelName) => void
}

/** Makes a model of a file; `done` comes last. Throws `invalid-request` saying what the file is instead, `conflict` when another model has the name. */
export type ImportFile = (request: ImportRequest, signal: AbortSignal) => AsyncIterable<ImportEvent>

export function createImport({ library, references, refuseName }: ImportParts): ImportFile {
  /** Names that imports under way will give. */
  const reserved = new Set<string>()

  return async function* importFile({ path, name, copy }, signal) {
    const entry = await references.look(path, signal)
    const file = entry.layers[0]?.file ?? path
    const known = references.find(file)
    const before = known === null ? null : parseName(known.name)
    if (before !== null && name === null && !copy) {
      yield { type: 'done', imported: { name: before, origin: references.id, file } }
      return
    }
    // Before it is looked for: another import may give the name and be done while this one looks.
    const reserve = async (wanted: ModelName): Promise<boolean> => {
      refuseName(wanted)
      const key = nameKey(wanted)
      if (reserved.has(key)) return false
      reserved.add(key)
      let isFree = false
      try {
        const other = await library.find(wanted)
        isFree = other === null || (other.origin === references.id && displayName(other.name) === known?.name)
      } finally {
        if (!isFree) reserved.delete(key)
      }
      return isFree
    }
    const chosen = await chooseName(entry.name, name, reserve)
    try {
      if (!copy) {
        references.add(entry, chosen)
        yield { type: 'done', imported: { name: chosen, origin: references.id, file } }
        return
      }
      using pins = new DisposableStack()
      const copying = library.bringIn(entry, pins, signal)
      let step = await copying.next()
      for (; !step.done; step = await copying.next()) yield { type: 'progress', progress: step.value }
      const { manifest, layers } = step.value
      yield { type: 'progress', progress: { status: 'writing manifest' } }
      const spelled = await library.store.put(chosen, manifest, { prune: true, pins })
      if (known?.name === displayName(chosen)) await references.forget({ ...entry, name: chosen })
      yield { type: 'done', imported: { name: spelled, origin: library.store.id, file: layers[0]?.file ?? file } }
    } finally {
      reserved.delete(nameKey(chosen))
    }
  }
}

/** What an import has made, its progress left unseen. */
export async function imported(events: AsyncIterable<ImportEvent>): Promise<Imported> {
  for await (const event of events) if (event.type === 'done') return event.imported
  throw new Error('unreachable: an import ends with what it has made')
}

/** The name that was asked for, or the file's own with a number where that is another's. */
async function chooseName(own: ModelName, asked: ModelName | null, reserve: (name: ModelName) => Promise<boolean>): Promise<ModelName> {
  if (asked !== null) {
    if (await reserve(asked)) return asked
    throw new AppError('conflict', `there is a model '${displayName(asked)}' already; delete it first, or choose another name`)
  }
  for (let number = 1; ; number++) {
    const name = number === 1 ? own : { ...own, model: `${own.model.slice(0, 72)}-${number}` }
    if (await reserve(name)) return name
  }
}
