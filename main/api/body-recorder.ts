import { mkdtempSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Log } from '../lib/log.ts'

/** `OLLAMA_DEBUG_LOG_REQUESTS`: keeps each body as a file with a script beside it that sends it again. They hold prompts, so only their owner can read them. */
export class BodyRecorder {
  readonly #log: Log
  #folder = ''
  #count = 0

  constructor(log: Log) {
    this.#log = log
  }

  keep(url: string, body: string): void {
    if (this.#folder === '') {
      this.#folder = mkdtempSync(path.join(tmpdir(), 'paddock-requests-'))
      this.#log.warn('the bodies of requests are kept, prompts included', { folder: this.#folder })
    }
    const { origin, pathname } = new URL(url)
    const name = `${String(++this.#count).padStart(6, '0')}${pathname.replace(/[^\w]+/g, '-')}`
    const script = `#!/bin/sh\ncd "$(dirname "$0")" && curl --no-buffer --data-binary @${name}.json ${quoted(origin + pathname)}\n`
    const files = [
      writeFile(path.join(this.#folder, `${name}.json`), body, { mode: 0o600 }),
      writeFile(path.join(this.#folder, `${name}.sh`), script, { mode: 0o700 }),
    ]
    Promise.all(files).catch((error: unknown) => this.#log.warn('the body of a request could not be kept', { reason: String(error) }))
  }
}

/** One word of a shell: the caller chooses the host. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
