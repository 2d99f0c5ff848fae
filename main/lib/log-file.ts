import { closeSync, fstatSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import path from 'node:path'
import type { LogSink } from './log.ts'

const rotateAtBytes = 10 * 2 ** 20
const keptFiles = 3

/**
 * `server.log` in a folder, moved to `server.log.1` … when it reaches 10 MiB; three old ones stay.
 *
 * Written at once, as the last lines before a crash are the ones that matter. A disk that cannot be written loses lines, never a request.
 */
export class LogFile implements Disposable {
  readonly #file: string
  #handle: number | null = null
  #sizeBytes = 0

  constructor(folder: string) {
    this.#file = path.join(folder, 'server.log')
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      this.#open()
    } catch {
      this.#handle = null
    }
  }

  readonly sink: LogSink = (line) => {
    if (this.#handle === null) return
    try {
      this.#sizeBytes += writeSync(this.#handle, `${line}\n`)
      if (this.#sizeBytes > rotateAtBytes) this.#rotate()
    } catch {
      this[Symbol.dispose]()
    }
  }

  #open(): void {
    this.#handle = openSync(this.#file, 'a', 0o600)
    this.#sizeBytes = fstatSync(this.#handle).size
  }

  #rotate(): void {
    this[Symbol.dispose]()
    for (let number = keptFiles - 1; number >= 1; number--) move(`${this.#file}.${number}`, `${this.#file}.${number + 1}`)
    move(this.#file, `${this.#file}.1`)
    this.#open()
  }

  [Symbol.dispose](): void {
    if (this.#handle !== null) closeSync(this.#handle)
    this.#handle = null
  }
}

function move(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to)
}
