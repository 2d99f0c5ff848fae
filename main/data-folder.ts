import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, unlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from './errors.ts'

/** What the lock file says of the process that owns the folder. */
export interface Owner {
  pid: number
  /** Address of its server; '' until it listens. */
  url: string
  /** Lets another process of the same user attach to it. */
  token: string
}

/** A process that has just started may not listen yet: for this long its lock counts without an answer. */
const startGraceMs = 10_000

/**
 * The claim of one process on a data folder, by a lock file of mode 0600.
 *
 * A lock that a killed process left behind is taken over: its process is gone, or nothing answers at its address.
 */
export class DataFolder implements AsyncDisposable {
  readonly folder: string
  readonly #file: string
  #owner: Owner

  private constructor(folder: string, file: string, owner: Owner) {
    this.folder = folder
    this.#file = file
    this.#owner = owner
  }

  /** Throws `conflict` naming the owner, or `internal` naming a folder that cannot be written. */
  static async claim(folder: string): Promise<DataFolder> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw unwritable(folder, error)
    }
    const file = path.join(folder, 'paddock.lock')
    const owner: Owner = { pid: process.pid, url: '', token: randomBytes(24).toString('base64url') }
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await using handle = await open(file, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600)
        await handle.writeFile(JSON.stringify(owner))
        return new DataFolder(folder, file, owner)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(folder, error)
      }
      const other = await liveOwner(file)
      if (other) {
        const where = other.url === '' ? 'and is starting' : `at ${other.url}`
        throw new AppError(
          'conflict',
          `Paddock is already running ${where} (process ${other.pid}) with the data folder ${folder}. Use that one, stop it first, or set PADDOCK_HOME to another folder.`,
        )
      }
      await unlink(file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw unwritable(folder, error)
      })
    }
    throw new AppError('conflict', `the lock file ${file} keeps coming back; another Paddock is starting on the same data folder`)
  }

  get token(): string {
    return this.#owner.token
  }

  /** Writes the address down, for a second start to name and for a window to attach to. */
  async announce(url: string): Promise<void> {
    this.#owner = { ...this.#owner, url }
    await writeFile(this.#file, JSON.stringify(this.#owner), { mode: 0o600 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await unlink(this.#file).catch(() => undefined)
  }
}

/** The owner that a lock names if it still lives, else null. */
async function liveOwner(file: string): Promise<Owner | null> {
  let owner: Owner
  let ageMs: number
  try {
    await using handle = await open(file, 'r')
    ageMs = Date.now() - (await handle.stat()).mtimeMs
    owner = JSON.parse(await handle.readFile('utf8')) as Owner
  } catch {
    return null
  }
  if (!Number.isInteger(owner.pid) || owner.pid <= 0 || !isRunning(owner.pid)) return null
  if (typeof owner.url !== 'string' || owner.url === '') return ageMs < startGraceMs ? { ...owner, url: '' } : null
  try {
    const answer = await fetch(new URL('/api/version', owner.url), { signal: AbortSignal.timeout(2000) })
    const body = (await answer.json()) as { paddock?: string }
    return body.paddock === undefined ? null : owner
  } catch {
    return ageMs < startGraceMs ? owner : null
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function unwritable(folder: string, cause: unknown): AppError {
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause)
  return new AppError('internal', `the data folder ${folder} cannot be written (${reason}). Make it writable, or set PADDOCK_HOME to a folder that is.`, {
    cause,
  })
}
