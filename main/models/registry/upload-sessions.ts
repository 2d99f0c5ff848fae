import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'

/** An upload that a registry keeps open. */
const UploadSession = z.object({
  /** Where it goes on; changes with each part. */
  url: z.url({ protocol: /^https?$/ }),
  /** Bytes that the registry has said it holds. */
  offset: z.number().int().nonnegative(),
  /** MD5 of each part so far, hex; null when it is not known how they were cut. */
  parts: z.array(z.string()).nullable(),
  /** Milliseconds since 1970. */
  at: z.number(),
})
export type UploadSession = z.infer<typeof UploadSession>

/** Registries drop an upload that nobody continues, the usual one after a week. */
const keptMs = 7 * 24 * 3_600_000

/** Unfinished uploads by registry, repository and digest, in a file, so that they go on after a restart. One process at a time. */
export class UploadSessions {
  readonly #file: string
  #sessions: Map<string, UploadSession> | null = null

  constructor(file: string) {
    this.#file = file
  }

  get(key: string, now = Date.now()): UploadSession | null {
    const session = this.#all().get(key)
    return session === undefined || session.at < now - keptMs ? null : session
  }

  /** null forgets it. A file that cannot be written costs a second upload after a restart, not this one. */
  set(key: string, session: UploadSession | null): void {
    const all = this.#all()
    if (session === null && !all.delete(key)) return
    if (session !== null) all.set(key, session)
    const temporary = `${this.#file}.${randomBytes(4).toString('hex')}`
    try {
      mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 })
      writeFileSync(temporary, JSON.stringify(Object.fromEntries(all)), { mode: 0o600, flag: 'wx' })
      renameSync(temporary, this.#file)
    } catch {
      rmSync(temporary, { force: true })
    }
  }

  #all(): Map<string, UploadSession> {
    this.#sessions ??= new Map(Object.entries(this.#read()).filter(([, { at }]) => at > Date.now() - keptMs))
    return this.#sessions
  }

  #read(): Record<string, UploadSession> {
    try {
      return z.record(z.string(), UploadSession).parse(JSON.parse(readFileSync(this.#file, 'utf8')))
    } catch {
      // None was written, or it is damaged: then they begin anew.
      return {}
    }
  }
}
