import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { identity } from './headers.ts'
import { mediaTypes } from './manifest.ts'
import { displayName } from './name.ts'
import type { Entry, Layer } from './origin.ts'
import { identityDigest } from './origins/entry.ts'

/** How long a drive of others may keep a request waiting. */
const answerMs = 10_000

/** What identifies a file's present state, where the disk is ours; synchronous for the same reason as `ManifestStore`. */
export function stateOfLayer(entry: Entry, { file, digest }: Layer): string {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats?.isFile()) return identity(file, stats)
  throw new AppError('invalid-model', `the model ${displayName(entry.name)} is incomplete: its file ${file} (${digest}) is missing; get it again`)
}

/**
 * A model of another program as its files are at this moment: they may have changed since they were found.
 *
 * Throws `unavailable` when weights are gone; a projector that is gone is left out, as the model answers without it.
 */
export async function presentEntry(entry: Entry, log: Log): Promise<Entry> {
  if (entry.problem) throw new AppError('unavailable', `the model ${displayName(entry.name)} cannot be run: ${entry.problem.text}`)
  const layers: Layer[] = []
  for (const layer of entry.layers) {
    const stats = await stat(layer.file).catch((error: NodeJS.ErrnoException) => error)
    if (!(stats instanceof Error) && stats.isFile()) {
      layers.push(
        layer.unhashed ? { ...layer, sizeBytes: stats.size, digest: identityDigest(layer.file, { sizeBytes: stats.size, modifiedAt: stats.mtime }) } : layer,
      )
      continue
    }
    const reason = stats instanceof Error ? (stats.code ?? stats.message) : 'no file'
    if (layer.mediaType !== mediaTypes.projector) {
      throw new AppError(
        'unavailable',
        `the model ${displayName(entry.name)} is gone: its file ${layer.file} cannot be read (${reason}); is its drive connected?`,
      )
    }
    log.warn('a projector is gone; the model runs without it', { model: displayName(entry.name), file: layer.file })
  }
  return { ...entry, layers }
}

/** Which origins' drives answer: what waits for one that does not holds a thread of the pool, and there are few. */
export class Patience {
  readonly #silent = new Set<string>()
  readonly #limitMs: number

  constructor(limitMs = answerMs) {
    this.#limitMs = limitMs
  }

  /** Throws `unavailable` when the drive does not answer in time, and from then on at once until it has answered. */
  async inTime<T>(entry: Entry, ask: () => Promise<T>): Promise<T> {
    const { name, origin } = entry
    const silent = () => new AppError('unavailable', `the drive with the model ${displayName(name)} does not answer`)
    if (this.#silent.has(origin)) throw silent()
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      this.#silent.add(origin)
      reject(silent())
    }, this.#limitMs)
    const work = ask()
    const answered = () => void this.#silent.delete(origin)
    work.then(answered, answered)
    try {
      return await Promise.race([work, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** Why a model without weights cannot be run. */
export function notRunnable({ name, config }: Entry): AppError {
  const model = displayName(name)
  if (config.remote_host || config.remote_model) {
    return new AppError('not-implemented', `the model ${model} runs on ${config.remote_host ?? 'a remote server'}, not on this machine`)
  }
  if (config.model_format === 'safetensors') {
    return new AppError('not-implemented', `the model ${model} is in the safetensors format, which cannot be run; get it as GGUF`)
  }
  return new AppError('invalid-model', `the model ${model} has no weights; get it again`)
}
