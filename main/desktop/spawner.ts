import type { UtilityProcess } from 'electron'
import { LastWords } from '../runtime/last-words.ts'
import { childEnvironment, type Spawn } from '../runtime/process.ts'

interface Fork {
  fork(file: string, args: string[], options: { env: NodeJS.ProcessEnv; cwd?: string; stdio: 'pipe'; serviceName: string }): UtilityProcess
}

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
    const words = new LastWords(child)
    let alive = true
    let killWhenSpawned = false
    child.on('error', (type, location) => words.add(`${type} ${location}\n`))
    child.once('spawn', () => {
      if (killWhenSpawned && child.pid !== undefined) process.kill(child.pid, 'SIGKILL')
    })
    child.once('exit', (code) => {
      alive = false
      words.ended({ code, signal: null })
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
        void words.exit.then(listener)
      },
      stderrTail: () => words.text(),
      kill() {
        if (!alive) return
        // `child.kill()` only asks; a runner in native code does not hear it.
        if (child.pid === undefined) killWhenSpawned = true
        else process.kill(child.pid, 'SIGKILL')
      },
    }
  }
}
