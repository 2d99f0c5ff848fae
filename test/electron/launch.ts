import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { _electron, type Browser, type BrowserContext, chromium, type Page } from 'playwright'
import type { Modules } from './electron.ts'
import { electronBinary, fullChromium } from './installed.ts'

const root = path.resolve(import.meta.dirname, '../..')
const binary = electronBinary()
const browser = fullChromium()

/** What carries the app here: Electron, or the double on a Chromium that is installed; null when there is neither. */
export const carrier = binary !== null ? 'Electron' : browser !== null ? 'the double' : null
if (carrier === null) console.log('left out: the journeys of the window need Electron (npm run electron:install, a display) or an installed Chrome or Chromium')
else console.log(`the window runs under ${carrier}`)

/** The running app, in the shape of Playwright's `ElectronApplication`. */
export interface RunningApp extends AsyncDisposable {
  /** Of its page, wherever it stands. */
  context(): BrowserContext
  firstWindow(): Promise<Page>
  /** Runs a function in the main process. Only its text goes there. */
  evaluate<Result, Argument = undefined>(fn: (modules: Modules, argument: Argument) => Result | Promise<Result>, argument?: Argument): Promise<Result>
  process(): ChildProcess
  /** Quits it and waits for its end. */
  close(): Promise<number | null>
}

interface LaunchOptions {
  env: Record<string, string>
  /** Folder of a packaged app's resources, its archive unpacked to `app`; only the double runs one. */
  resources?: string
}

/** Starts the built app with an environment of its own. */
export async function launch({ env, resources }: LaunchOptions): Promise<RunningApp> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name, value]) => value !== undefined && !/^(OLLAMA|PADDOCK|VITEST|NODE_)/.test(name)))
  const environment = { ...(clean as Record<string, string>), ...env }
  if (resources !== undefined) return launchDouble({ ...environment, DOUBLE_RESOURCES: resources })
  return binary !== null ? launchElectron(binary, environment) : launchDouble(environment)
}

/** Starts it again while it runs: it hands over to the first and ends. */
export async function launchSecond({ env }: LaunchOptions): Promise<number | null> {
  const child = forkDouble({ ...(process.env as Record<string, string>), ...env, DOUBLE_SECOND: '1' })
  const [code] = await once(child, 'exit')
  return code
}

async function launchElectron(executablePath: string, env: Record<string, string>): Promise<RunningApp> {
  const app = await _electron.launch({ executablePath, args: [root], env })
  const close = async () => {
    const child = app.process()
    await app.close()
    return child.exitCode
  }
  return {
    context: () => app.context(),
    firstWindow: () => app.firstWindow(),
    evaluate: (fn, argument) => app.evaluate(fn as never, argument as never),
    process: () => app.process(),
    close,
    async [Symbol.asyncDispose]() {
      await close()
    },
  }
}

function forkDouble(env: Record<string, string>): ChildProcess {
  const built = env.DOUBLE_RESOURCES === undefined ? root : path.join(env.DOUBLE_RESOURCES, 'app')
  return fork(path.join(built, 'dist/main/app.js'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning', '--import', pathToFileURL(path.join(import.meta.dirname, 'register.ts')).href],
    env: { ...env, DOUBLE_CHROMIUM: browser ?? '' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
}

async function launchDouble(env: Record<string, string>): Promise<RunningApp> {
  const child = forkDouble(env)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data
    })
  }
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const endpoint = Promise.withResolvers<string>()
  child.on('message', (message) => {
    const { id, value, error, endpoint: address } = message as { id: number; value?: unknown; error?: string; endpoint?: string }
    if (address !== undefined) return endpoint.resolve(address)
    const call = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) call?.resolve(value)
    else call?.reject(new Error(error))
  })
  const exited = once(child, 'exit').then(([code]) => {
    const gone = new Error(`the app ended (${code}):\n${output}`)
    endpoint.reject(gone)
    for (const call of waiting.values()) call.reject(gone)
    return code as number | null
  })
  const connection: Browser = await chromium.connectOverCDP(await endpoint.promise)
  const [context] = connection.contexts()
  if (context === undefined) throw new Error('Chromium has no context')
  let lastCall = 0
  let closing: Promise<number | null> | undefined

  const evaluate: RunningApp['evaluate'] = (fn, argument) => {
    const call = Promise.withResolvers<unknown>()
    waiting.set(++lastCall, call)
    child.send({ id: lastCall, fn: String(fn), arg: argument })
    return call.promise as never
  }
  const close = () => {
    closing ??= (async () => {
      if (child.exitCode === null && child.connected) await evaluate(({ app }) => void setImmediate(() => app.quit())).catch(() => undefined)
      const code = await exited
      await connection.close()
      return code
    })()
    return closing
  }
  const isOurs = (page: Page) => page.url().startsWith('https://bundle.app.')
  return {
    context: () => context,
    async firstWindow() {
      const page =
        context.pages().find(isOurs) ??
        (await context
          .pages()[0]
          ?.waitForEvent('framenavigated')
          .then((frame) => frame.page()))
      if (page === undefined) throw new Error('the app opened no window')
      await page.waitForLoadState()
      return page
    },
    evaluate,
    process: () => child,
    close,
    async [Symbol.asyncDispose]() {
      await close()
    },
  }
}
