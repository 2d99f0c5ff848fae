import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { readGguf } from './gguf.ts'
import type { GgufHeader } from './gguf-header.ts'
import { joinHeaders, readGgufParts } from './gguf-parts.ts'

/** Headers of files and of models in parts, read once as long as the files stay as they are. */
export class HeaderCache {
  readonly #limit: number
  readonly #headers = new Map<string, Promise<GgufHeader>>()

  /** Headers with their lists of tensors take memory, so only the last few are kept. */
  constructor(limit = 16) {
    this.#limit = limit
  }

  /** The header of a whole model, in one file or in all its parts. */
  async readModel(files: readonly string[]): Promise<GgufHeader> {
    const header = await this.read(...files)
    return files.length === 1 ? joinHeaders([header], files) : header
  }

  /** The header of one file, which may be a part, or one for all parts of a model. */
  async read(...files: string[]): Promise<GgufHeader> {
    const key = (await Promise.all(files.map(fileKey))).join('\n')
    const known = this.#headers.get(key)
    this.#headers.delete(key)
    const header = known ?? (files.length > 1 ? readGgufParts(files) : readGguf(files[0] as string))
    this.#headers.set(key, header)
    header.catch(() => this.#headers.delete(key))
    const [oldest] = this.#headers.keys()
    if (this.#headers.size > this.#limit && oldest !== undefined) this.#headers.delete(oldest)
    return header
  }
}

async function fileKey(file: string): Promise<string> {
  return identity(
    file,
    await stat(file).catch((error: NodeJS.ErrnoException) => {
      throw new AppError('invalid-model', `the model file ${file} cannot be opened (${error.code})`, { cause: error })
    }),
  )
}

/** Changes when the file does. */
export function identity(file: string, { size, mtimeMs, ino }: Stats): string {
  return `${file}\0${size}\0${mtimeMs}\0${ino}`
}
