import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, unlinkSync, watch, writeSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from './errors.ts'

/** What a key lets its holder do: `use` is generate, chat, embed, list and show; `manage` changes models and settings. */
export const Scope = z.enum(['use', 'manage'])
export type Scope = z.infer<typeof Scope>

const KeyRecord = z.looseObject({
  name: z.string(),
  scopes: z.array(Scope),
  /** Hex, 16 bytes. */
  salt: z.string(),
  /** Hex, SHA-256 of salt and key. The key itself is kept nowhere. */
  hash: z.string(),
  createdAt: z.string(),
})

/** An engine elsewhere; what they mean is said in `upstream/engine.ts`. */
const UpstreamSetting = z.object({
  name: z.string(),
  url: z.string(),
  protocol: z.enum(['openai', 'ollama']),
  /** In the clear, as it must be sent: one more reason that nobody else can read this file. */
  key: z.string(),
  addedAt: z.string(),
})

const SettingsSchema = z.looseObject({
  /** Models that ship and were deleted, by name, and models of other programs that the user hid, by name with the origin as host. */
  hiddenModels: z.array(z.string()).default([]),
  /** Ids of places of other programs whose models are not listed. */
  originsOff: z.array(z.string()).default([]),
  /** Further folders whose models are listed where they lie. */
  modelFolders: z.array(z.string()).default([]),
  /** Files that the user opened as models; they stay where they are. */
  references: z.array(z.object({ path: z.string(), name: z.string(), sizeBytes: z.number() })).default([]),
  keys: z.array(KeyRecord).default([]),
  upstreams: z.array(UpstreamSetting).default([]),
  /** For Hugging Face; `HF_TOKEN` comes before it. */
  huggingFaceToken: z.string().optional(),
  /** Who the user is at registries that ask for it, by host: `registry.example:5000`. */
  registryLogins: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).optional(),
})

/** What the user may change while the program runs. Keys that this version does not know are kept. */
export type SettingsValue = z.infer<typeof SettingsSchema>

/** The settings file: JSON, written atomically, readable by its owner only. Another process may write it too; `value` is always the newest. */
export class Settings {
  readonly file: string
  readonly #changed = new EventTarget()
  #value: SettingsValue = SettingsSchema.parse({})
  #stamp = ''

  /** Throws `internal` naming a file that cannot be read or is no settings file. */
  constructor(file: string) {
    this.file = file
    this.#refresh()
  }

  get value(): SettingsValue {
    this.#refresh()
    return this.#value
  }

  /** Changes some of the settings, on top of what the file says at this moment. */
  update(change: (value: SettingsValue) => Partial<SettingsValue>): void {
    this.#refresh()
    const next = SettingsSchema.parse({ ...this.#value, ...change(this.#value) })
    this.#write(`${JSON.stringify(next, null, 2)}\n`)
    this.#refresh()
  }

  /** The settings as they are, then again after each change, until the signal aborts. */
  async *watch(signal: AbortSignal): AsyncIterable<SettingsValue> {
    let wake = Promise.withResolvers<void>()
    const ring = () => wake.resolve()
    this.#changed.addEventListener('change', ring)
    signal.addEventListener('abort', ring)
    mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 })
    const watcher = watch(path.dirname(this.file), { persistent: false }, () => this.#refresh())
    try {
      for (let seen: SettingsValue | null = null; !signal.aborted; ) {
        const value = this.value
        if (value !== seen) {
          seen = value
          yield value
        } else {
          await wake.promise
          wake = Promise.withResolvers<void>()
        }
      }
    } finally {
      watcher.close()
      this.#changed.removeEventListener('change', ring)
      signal.removeEventListener('abort', ring)
    }
  }

  /** Reads the file again if it is another than the one last read. */
  #refresh(): void {
    const stat = statSync(this.file, { throwIfNoEntry: false })
    const stamp = stat ? `${stat.ino}:${stat.size}:${stat.mtimeMs}` : ''
    if (stamp === this.#stamp) return
    const first = this.#stamp === ''
    try {
      this.#value = SettingsSchema.parse(stat ? JSON.parse(readFileSync(this.file, 'utf8')) : {})
    } catch (cause) {
      // A running program keeps what it has: an editor may be half-way through saving.
      if (!first) return
      const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
      throw new AppError('internal', `the settings file ${this.file} cannot be read: ${reason}. Repair it, or move it away to start with the defaults.`, {
        cause,
      })
    }
    this.#stamp = stamp
    this.#changed.dispatchEvent(new Event('change'))
  }

  #write(text: string): void {
    const temporary = `${this.file}.${randomBytes(4).toString('hex')}`
    try {
      mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 })
      const handle = openSync(temporary, 'wx', 0o600)
      try {
        writeSync(handle, text)
        fsyncSync(handle)
      } finally {
        closeSync(handle)
      }
      renameSync(temporary, this.file)
      chmodSync(this.file, 0o600)
    } catch (cause) {
      unlinkQuietly(temporary)
      const { code } = cause as NodeJS.ErrnoException
      throw new AppError(
        code === 'ENOSPC' ? 'disk-full' : 'internal',
        `the settings file ${this.file} cannot be written (${code ?? cause}). Nothing was changed.`,
        { cause },
      )
    }
  }
}

function unlinkQuietly(file: string): void {
  try {
    unlinkSync(file)
  } catch {
    // It was never made, or has its final name already.
  }
}
