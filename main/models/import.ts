import { AppError } from '../errors.ts'
import type { Library } from './library.ts'
import { displayName, type ModelName, parseName } from './name.ts'
import type { References } from './origins/references.ts'

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

export interface ImportParts {
  library: Library
  references: References
  /** Throws for a name that stands for something else. */
  refuseName: (name: ModelName) => void
}

/** Throws `invalid-request` saying what the file is instead, `conflict` when another model has the name. */
export async function importFile(
  { library, references, refuseName }: ImportParts,
  { path, name, copy }: ImportRequest,
  signal: AbortSignal,
): Promise<Imported> {
  const entry = await references.look(path, signal)
  const file = entry.layers[0]?.file ?? path
  const known = references.find(file)
  const before = known === null ? null : parseName(known.name)
  if (before !== null && name === null && !copy) return { name: before, origin: references.id, file }

  const free = async (wanted: ModelName) => {
    refuseName(wanted)
    const other = await library.find(wanted)
    return other === null || (other.origin === references.id && displayName(other.name) === known?.name)
  }
  const chosen = await chooseName(entry.name, name, free)
  if (!copy) {
    references.add(entry, chosen)
    return { name: chosen, origin: references.id, file }
  }
  using pins = new DisposableStack()
  const { manifest, layers } = await library.bringIn(entry, pins, signal)
  const spelled = await library.store.put(chosen, manifest, { prune: true, pins })
  if (known?.name === displayName(chosen)) await references.forget({ ...entry, name: chosen })
  return { name: spelled, origin: library.store.id, file: layers[0]?.file ?? file }
}

/** The name that was asked for, or the file's own with a number where that is another's. */
async function chooseName(own: ModelName, asked: ModelName | null, free: (name: ModelName) => Promise<boolean>): Promise<ModelName> {
  if (asked !== null) {
    if (await free(asked)) return asked
    throw new AppError('conflict', `there is a model '${displayName(asked)}' already; delete it first, or choose another name`)
  }
  for (let number = 1; ; number++) {
    const name = number === 1 ? own : { ...own, model: `${own.model.slice(0, 72)}-${number}` }
    if (await free(name)) return name
  }
}
