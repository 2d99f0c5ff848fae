import { EventEmitter } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { closeBrowser } from './browser.ts'

/** An event with the habit of Electron's: it can be prevented. */
export function preventable<T extends object>(fields?: T) {
  return {
    defaultPrevented: false,
    preventDefault() {
      this.defaultPrevented = true
    },
    ...(fields as T),
  }
}

/** What closes with the program; the other modules of the double add theirs. */
export const windows = new Set<{ closeForQuit(): Promise<boolean> }>()
export const utilities = new Set<{ kill(): void }>()

/** Folder of a packaged app's resources, where a test runs one; its `app` is what is in the archive. */
const resources = process.env.DOUBLE_RESOURCES
const root = resources === undefined ? path.resolve(import.meta.dirname, '../..') : path.join(resources, 'app')
if (resources !== undefined) Object.assign(process, { resourcesPath: resources })

class App extends EventEmitter {
  readonly isPackaged = resources !== undefined
  readonly commandLine = { getSwitchValue: (name: string) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '' }
  readonly #paths = new Map<string, string>()
  readonly #ready = Promise.withResolvers<void>()
  #isReady = false
  #quitting = false
  #lock: net.Server | null = null
  #handover: Promise<unknown> = Promise.resolve()

  whenReady(): Promise<void> {
    return this.#ready.promise
  }
  isReady(): boolean {
    return this.#isReady
  }
  markReady(): void {
    this.#isReady = true
    this.emit('ready')
    this.#ready.resolve()
  }
  getVersion(): string {
    return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version
  }
  setPath(name: string, folder: string): void {
    this.#paths.set(name, folder)
  }
  getPath(name: string): string {
    const folder = this.#paths.get(name)
    if (folder === undefined) throw new Error(`the double knows no path '${name}'`)
    return folder
  }
  enableSandbox(): void {
    if (this.#isReady) throw new Error('app.enableSandbox() can only be called before app is ready')
  }

  /** By a lock file and a socket in `userData`, over which a second instance hands itself in. */
  requestSingleInstanceLock(): boolean {
    const folder = this.getPath('userData')
    mkdirSync(folder, { recursive: true })
    const [file, socket] = [path.join(folder, 'SingletonLock'), path.join(folder, 'SingletonSocket')]
    if (existsSync(file) && isAlive(Number(readFileSync(file, 'utf8')))) {
      const connection = net.connect(socket)
      this.#handover = new Promise((resolve) => connection.on('close', resolve).on('error', resolve))
      connection.end(JSON.stringify(process.argv))
      return false
    }
    writeFileSync(file, String(process.pid))
    rmSync(socket, { force: true })
    this.#lock = net.createServer({ allowHalfOpen: true }, (connection) => {
      let text = ''
      connection.on('data', (data) => {
        text += data
      })
      connection.on('end', () => {
        connection.end()
        this.emit('second-instance', preventable(), JSON.parse(text), '', {})
      })
    })
    this.#lock.listen(socket)
    return true
  }

  quit(): void {
    if (this.#quitting) return
    this.#quitting = true
    void this.#quit().then((gone) => {
      this.#quitting = gone
    })
  }

  async #quit(): Promise<boolean> {
    const before = preventable()
    this.emit('before-quit', before)
    if (before.defaultPrevented) return false
    for (const window of windows) if (!(await window.closeForQuit())) return false
    const will = preventable()
    this.emit('will-quit', will)
    if (will.defaultPrevented) return false
    this.exit(0)
    return true
  }

  exit(code = 0): void {
    this.emit('quit', {}, code)
    void (async () => {
      await this.#handover
      this.#lock?.close()
      if (this.#lock) rmSync(path.join(this.getPath('userData'), 'SingletonLock'), { force: true })
      for (const child of utilities) child.kill()
      await closeBrowser()
      process.exit(code)
    })()
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

export const app = new App()
