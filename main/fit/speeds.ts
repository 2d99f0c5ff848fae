import type { Database } from '../database.ts'

/** How fast one model ran on one device. */
export interface Speed {
  /** Digest of the weights. */
  weights: string
  /** `CPU`, `CUDA0`, …; several that shared the work are joined by `+`. */
  device: string
  /** Bytes that one token reads. */
  bytesPerToken: number
  tokensPerSecond: number
}

/** How much the latest reply moves what is known. */
const share = 0.3

/** Table `speeds`: what replies really took on this machine, so that a prediction starts from there. */
export class Speeds {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number = Date.now) {
    this.#database = database
    this.#now = now
  }

  record(speed: Speed): void {
    if (this.#database.readOnly) return
    const before = this.of(speed.weights, speed.device)
    const tokensPerSecond = before === null ? speed.tokensPerSecond : before.tokensPerSecond * (1 - share) + speed.tokensPerSecond * share
    this.#database.connection
      .prepare('INSERT OR REPLACE INTO speeds VALUES (?, ?, ?, ?, ?)')
      .run(speed.weights, speed.device, Math.round(speed.bytesPerToken), tokensPerSecond, this.#now())
  }

  /** What is known of one model there; null when it has not run there. */
  of(weights: string, device: string): Speed | null {
    return this.#read('WHERE weights = ? AND device = ?', weights, device)[0] ?? null
  }

  /** What the device's memory delivered to the models that ran there, in bytes per second, the median of all; null when none has. */
  bandwidth(device: string): number | null {
    const delivered = this.#read('WHERE device = ?', device)
      .map(({ bytesPerToken, tokensPerSecond }) => bytesPerToken * tokensPerSecond)
      .sort((a, b) => a - b)
    return delivered[Math.floor(delivered.length / 2)] ?? null
  }

  #read(where: string, ...values: string[]): Speed[] {
    const rows = this.#database.connection.prepare(`SELECT * FROM speeds ${where}`).all(...values) as unknown as Row[]
    return rows.map((row) => ({
      weights: row.weights,
      device: row.device,
      bytesPerToken: row.bytes_per_token,
      tokensPerSecond: row.tokens_per_second,
    }))
  }
}

interface Row {
  weights: string
  device: string
  bytes_per_token: number
  tokens_per_second: number
}
