import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryFolder } from './temporary-folder.ts'

const root = path.resolve(import.meta.dirname, '../..')
export interface Program extends AsyncDisposable {
  url: string
  /** Data, cache and log folder, removed at the end. */
  home: string
  models: string
  process: ChildProcess
  /** What it has written to the terminal. */
  output: () => string
  /** Milliseconds from the start of the process to the line with the address. */
  startMs: number
}

/** Variables of this machine's user must not reach a test's server. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OLLAMA|PADDOCK|LLAMA)_/.test(name)))
}

/** Starts the program itself by its launcher, as a user does, in folders of its own and on a free port. */
export async function startProgram({ env = {} }: { env?: Record<string, string> } = {}): Promise<Program> {
  await using stack = new AsyncDisposableStack()
  const home = stack.use(await temporaryFolder()).path
  const models = env.OLLAMA_MODELS ?? path.join(home, 'models')
  const started = performance.now()
  const child = spawn(process.execPath, [path.join(root, 'main/launch.mjs'), 'serve'], {
    env: { ...cleanEnvironment(), PADDOCK_HOME: home, OLLAMA_MODELS: models, OLLAMA_HOST: '127.0.0.1:0', PADDOCK_ORIGINS: 'none', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  stack.defer(() => stopped(child))
  const lines: string[] = []
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        lines.push(line)
        const address = /serves at (http:\/\/[\w.[\]:]+:\d+)/.exec(line)?.[1]
        if (address) resolve(address)
      })
    }
    child.on('error', reject)
    child.on('exit', (code, signal) => reject(new Error(`the program ended (${code ?? signal}) before it listened:\n${lines.join('\n')}`)))
  })
  const startMs = performance.now() - started
  const owned = stack.move()
  let disposed = false
  child.on('exit', (code, signal) => {
    if (!disposed && !child.killed) console.error(`the program ended by itself (${code ?? signal}):\n${lines.slice(-40).join('\n')}`)
  })
  return {
    url,
    home,
    models,
    process: child,
    output: () => lines.join('\n'),
    startMs,
    [Symbol.asyncDispose]: () => {
      disposed = true
      return owned.disposeAsync()
    },
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const end = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await end
  clearTimeout(timer)
}
