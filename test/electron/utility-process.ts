import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter } from 'node:events'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { app, utilities } from './app.ts'

/** A forked child that finds `process.parentPort`, as in Electron. */
class UtilityProcess extends EventEmitter {
  readonly #child: ChildProcess
  readonly stdout: Readable | null
  readonly stderr: Readable | null
  pid: number | undefined

  constructor(file: string, { env, cwd }: { env?: NodeJS.ProcessEnv; cwd?: string }) {
    super()
    utilities.add(this)
    this.#child = fork(file, [], {
      env,
      ...(cwd === undefined ? {} : { cwd }),
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning', '--import', pathToFileURL(path.join(import.meta.dirname, 'utility.ts')).href],
    })
    this.stdout = this.#child.stdout
    this.stderr = this.#child.stderr
    this.#child.on('spawn', () => {
      this.pid = this.#child.pid
      this.emit('spawn')
    })
    this.#child.on('message', (message) => this.emit('message', message))
    this.#child.on('exit', (code) => {
      utilities.delete(this)
      this.pid = undefined
      this.emit('exit', code ?? 1)
    })
  }

  postMessage(message: unknown): void {
    if (this.#child.connected) this.#child.send(message as object, () => {})
  }
  kill(): boolean {
    return this.#child.kill('SIGTERM')
  }
}

export const utilityProcess = {
  fork(file: string, _args: string[], options: { env?: NodeJS.ProcessEnv; cwd?: string }): UtilityProcess {
    if (!app.isReady()) throw new Error('utilityProcess cannot be created before app is ready')
    return new UtilityProcess(file, options)
  },
}
