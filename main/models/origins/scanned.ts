import type { Log } from '../../lib/log.ts'
import { type ModelName, nameKey } from '../name.ts'
import type { Entry, Origin } from '../origin.ts'
import type { Found } from './walk.ts'

/** Looks for models, one question to the disk at a time. */
export type Scan = (signal: AbortSignal) => Promise<Found<Entry>>

export interface ScanTimes {
  /** For this long what was found counts as what is there. */
  freshMs: number
  /** How long a list waits for a look that is due, and how long for the very first. */
  patienceMs: number
  firstPatienceMs: number
  /** A look that takes longer is given up; what was known before stays. */
  limitMs: number
}

export const scanTimes: ScanTimes = { freshMs: 2000, patienceMs: 100, firstPatienceMs: 1000, limitMs: 60_000 }

export interface ScannedParts {
  id: string
  owner?: string
  scan: Scan
  /** Shared by all origins, so that drives that do not answer hold few threads of the pool. */
  turns: Turns
  log: Log
  times?: Partial<ScanTimes>
}

const reportedAtOnce = 10

/** Models found by looking through folders of others: behind the requests, never in their way. */
export class ScannedOrigin implements Origin {
  readonly id: string
  readonly owner?: string
  readonly #scan: Scan
  readonly #turns: Turns
  readonly #log: Log
  readonly #times: ScanTimes
  readonly #reported = new Set<string>()
  #entries: Entry[] = []
  #byName = new Map<string, Entry>()
  #running: Promise<void> | null = null
  #endedMs = Number.NEGATIVE_INFINITY
  #stale = false
  #beganMs = 0

  constructor({ id, owner, scan, turns, log, times }: ScannedParts) {
    this.id = id
    if (owner !== undefined) this.owner = owner
    this.#scan = scan
    this.#turns = turns
    this.#log = log
    this.#times = { ...scanTimes, ...times }
  }

  async list({ wait } = { wait: true }): Promise<Entry[]> {
    if (!wait) void this.#look()
    else if (this.#isOlderThan(this.#times.freshMs)) await this.#lookFor(this.#first ? this.#times.firstPatienceMs : this.#times.patienceMs)
    return this.#entries
  }

  /** The name may also have the origin's id as host. What is not known is looked for once more. */
  async resolve(name: ModelName): Promise<Entry | null> {
    const known = this.#find(name)
    if (known !== null) {
      if (this.#isOlderThan(this.#times.freshMs)) void this.#look()
      return known
    }
    const { freshMs, firstPatienceMs } = this.#times
    if (this.#isOlderThan(freshMs / 4)) await this.#lookFor(firstPatienceMs)
    return this.#find(name)
  }

  /** What is known no longer counts, however fresh: the next list looks again. */
  expire(): void {
    this.#stale = true
  }

  get #first(): boolean {
    return this.#endedMs === Number.NEGATIVE_INFINITY
  }

  #isOlderThan(ms: number): boolean {
    return this.#stale || performance.now() - this.#endedMs > ms
  }

  #find(name: ModelName): Entry | null {
    const own = this.#byName.get(nameKey(name))
    if (own !== undefined) return own
    if (name.host.toLowerCase() !== this.id) return null
    const entry = this.#entries.find((one) => nameKey({ ...one.name, host: this.id }) === nameKey(name))
    return entry === undefined ? null : { ...entry, name: { ...entry.name, host: this.id } }
  }

  /** Waits for a look, counted from when it began: one that has kept somebody waiting in vain keeps nobody else. */
  async #lookFor(patienceMs: number): Promise<void> {
    // A look that began before what was known expired is not the one that is wanted.
    const look = this.#look().then(() => (this.#stale ? this.#look() : undefined))
    const leftMs = patienceMs - (performance.now() - this.#beganMs)
    if (leftMs <= 0) return
    const { promise: patience, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, leftMs)
    await Promise.race([look, patience])
    clearTimeout(timer)
  }

  /** Shares the look that is under way; never rejects. */
  #look(): Promise<void> {
    if (this.#running === null) {
      this.#beganMs = performance.now()
      this.#running = this.#lookThrough().finally(() => {
        this.#running = null
      })
    }
    return this.#running
  }

  async #lookThrough(): Promise<void> {
    await this.#turns.take(async () => {
      this.#stale = false
      const limit = new AbortController()
      const timer = setTimeout(() => {
        limit.abort()
        this.#report([`looking for the models of ${this.owner ?? this.id} takes too long; they are listed as last seen`])
      }, this.#times.limitMs)
      timer.unref()
      try {
        const { found, warnings } = await this.#scan(limit.signal)
        this.#entries = found
        this.#byName = new Map(found.map((entry) => [nameKey(entry.name), entry]))
        this.#report(warnings)
      } catch (error) {
        if (!limit.signal.aborted) this.#report([`the models of ${this.owner ?? this.id} are listed as last seen: ${String(error)}`])
      } finally {
        clearTimeout(timer)
      }
      this.#endedMs = performance.now()
    })
  }

  /** Each warning once, and of many the first few. */
  #report(warnings: readonly string[]): void {
    const fresh = warnings.filter((warning) => !this.#reported.has(warning))
    for (const warning of fresh) this.#reported.add(warning)
    for (const warning of fresh.slice(0, reportedAtOnce)) this.#log.warn(warning, { origin: this.id })
    if (fresh.length > reportedAtOnce) this.#log.warn(`and ${fresh.length - reportedAtOnce} more of the kind`, { origin: this.id })
  }
}

/** Lets a few works run at a time; the others wait in order. */
export class Turns {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async take(work: () => Promise<void>): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
