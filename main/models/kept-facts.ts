import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import type { Json } from '../lib/json.ts'
import { digestOf } from './blobs.ts'

export interface KeptFactsOptions {
  file: string
  /** Of this program: another one may see other things in the same files. */
  version: string
  /** How soon after a change the file is written; in milliseconds. */
  delayMs?: number
}

const Contents = z.object({ version: z.string(), facts: z.record(z.string(), z.object({ usedAt: z.number(), value: z.unknown() })) })

/** Files on a drive that was not connected for so long are read again. */
const keptMs = 60 * 24 * 3_600_000
const usedAgainMs = 24 * 3_600_000
const maxFacts = 20_000

/**
 * What was read in the files of models, in a file of its own, so that a start need not read a thousand headers again.
 *
 * Keys say all on which the answer depends: path, size, time, inode. A file that is damaged or cannot be written costs time and nothing else.
 */
export class KeptFacts implements Disposable {
  readonly #file: string
  readonly #version: string
  readonly #delayMs: number
  #facts: Map<string, { usedAt: number; value: unknown }> | null = null
  #timer: NodeJS.Timeout | null = null

  constructor({ file, version, delayMs = 2000 }: KeptFactsOptions) {
    this.#file = file
    this.#version = version
    this.#delayMs = delayMs
  }

  /** null where nothing is known, or nothing of this shape. */
  get<T>(key: string, schema: z.ZodType<T>, now = Date.now()): T | null {
    const kept = this.#all().get(digestOf(key))
    const known = schema.safeParse(kept?.value)
    if (kept === undefined || !known.success) return null
    if (kept.usedAt < now - usedAgainMs) {
      kept.usedAt = now
      this.#saveSoon()
    }
    return known.data
  }

  set(key: string, value: Json): void {
    this.#all().set(digestOf(key), { usedAt: Date.now(), value })
    this.#saveSoon()
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) this.#save()
  }

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => this.#save(), this.#delayMs).unref()
  }

  #save(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const old = Date.now() - keptMs
    const kept = [...this.#all()].filter(([, { usedAt }]) => usedAt > old).sort(([, a], [, b]) => b.usedAt - a.usedAt)
    const contents = { version: this.#version, facts: Object.fromEntries(kept.slice(0, maxFacts)) }
    const temporary = `${this.#file}.${randomBytes(4).toString('hex')}`
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 })
      writeFileSync(temporary, JSON.stringify(contents), { mode: 0o600, flag: 'wx' })
      renameSync(temporary, this.#file)
    } catch {
      rmSync(temporary, { force: true })
    }
  }

  #all(): Map<string, { usedAt: number; value: unknown }> {
    this.#facts ??= new Map(Object.entries(this.#read()))
    return this.#facts
  }

  #read(): z.infer<typeof Contents>['facts'] {
    try {
      const { version, facts } = Contents.parse(JSON.parse(readFileSync(this.#file, 'utf8')))
      return version === this.#version ? facts : {}
    } catch {
      // None was written, or it is damaged: then the files are read.
      return {}
    }
  }
}
