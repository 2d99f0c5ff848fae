import type { UtilityProcess } from 'electron'
import { type ChildExit, childEnvironment, type Spawn, Tail } from '../runtime/process.ts'

interface Fork {
  fork(file: string, args: string[], options: { env: NodeJS.ProcessEnv; cwd?: string; stdio: 'pipe'; serviceName: string }): UtilityProcess
}

const stderrTailChars = 64 * 1024

/** How long an exit waits for the rest of stderr. */
const drainMs = 250

/** Children of Electron: utility processes, which need no executable that runs as Node. */
export function utilitySpawner(utilityProcess: Fork, env: NodeJS.ProcessEnv = process.env): Spawn {
  const inherited = childEnvironment(env)
  return (file, { name, env: own, cwd }) => {
    const child = utilityProcess.fork(file, [], {
      env: { ...inherited, ...own },
      ...(cwd === undefined ? {} : { cwd }),
      stdio: 'pipe',
      serviceName: name,
    })
    const tail = new Tail(stderrTailChars)
    child.stdout?.resume()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => tail.write(text))

    let alive = true
    let killWhenSpawned = false
    const gone = Promise.withResolvers<ChildExit>()
    child.on('error', (type, location) => tail.write(`${type} ${location}\n`))
    child.once('spawn', () => {
      if (killWhenSpawned && child.pid !== undefined) process.kill(child.pid, 'SIGKILL')
    })
    child.once('exit', (code) => {
      alive = false
      const exit = { code, signal: null }
      child.stderr?.once('close', () => gone.resolve(exit))
      setTimeout(() => gone.resolve(exit), drainMs).unref()
    })
    return {
      get pid() {
        return child.pid
      },
      post(message) {
        if (alive) child.postMessage(message)
      },
      onMessage(listener) {
        child.on('message', listener)
      },
      onExit(listener) {
        void gone.promise.then(listener)
      },
      stderrTail: () => tail.text(),
      kill() {
        if (!alive) return
        // `child.kill()` only asks; a runner in native code does not hear it.
        if (child.pid === undefined) killWhenSpawned = true
        else process.kill(child.pid, 'SIGKILL')
      },
    }
  }
}
