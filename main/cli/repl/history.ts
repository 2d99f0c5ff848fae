import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const maxLines = 1000

/** What was typed before, kept in a file that only its owner reads. A file that cannot be used costs the history, not the conversation. */
export class History {
  /** Oldest first. */
  readonly lines: string[] = []
  enabled: boolean
  readonly #file: string | null

  /** @param file null: nothing is kept */
  constructor(file: string | null) {
    this.#file = file
    this.enabled = file !== null
    if (file !== null) this.lines.push(...read(file))
  }

  add(line: string): void {
    if (!this.enabled || line.trim() === '' || line === this.lines.at(-1)) return
    this.lines.push(line)
    this.lines.splice(0, this.lines.length - maxLines)
    if (this.#file !== null) write(this.#file, this.lines)
  }
}

function read(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-maxLines)
  } catch {
    return []
  }
}

function write(file: string, lines: string[]): void {
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
  } catch {
    // A read-only home must not end the conversation.
  }
}
