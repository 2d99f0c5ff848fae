import { fork } from 'node:child_process'
import { type ChildExit, LastWords } from './last-words.ts'

/** Files of the child processes, as the entry that starts the program knows them: `.ts` sources, or bundled `.js`. */
export interface RuntimeEntries {
  runner: string
  probe: string
  template: string
  quantize: string
}

/** A child process that speaks messages, whatever carries it: plain Node or Electron. */
export interface ChildHandle {
  readonly pid: number | undefined
  /** Silent when the child is gone. */
  post(message: unknown): void
  onMessage(listener: (message: unknown) => void): void
  /** Called once, when its last words on stderr have been read; at once if the child is gone already. */
  onExit(listener: (exit: ChildExit) => void): void
  /** The end of what it wrote to stderr. */
  stderrTail(): string
  /** At once and without asking: SIGKILL. */
  kill(): void
}

/** Messages are plain data (JSON): no typed arrays, no `undefined` that matters. */
export type Spawn = (file: string, options: { name: string; env?: Record<string, string>; cwd?: string }) => ChildHandle

/** Children of plain Node. `env` is what they inherit from, by `childEnvironment`. */
export function forkSpawner(env: NodeJS.ProcessEnv = process.env): Spawn {
  const inherited = childEnvironment(env)
  return (file, options) => {
    const child = fork(file, [], {
      env: { ...inherited, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      execArgv: ['--disable-warning=ExperimentalWarning', `--title=${options.name}`],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A process group of its own: Ctrl-C in the terminal reaches the server alone, which then stops its children in order.
      detached: process.platform !== 'win32',
      windowsHide: true,
    })
    const words = new LastWords(child)
    child.on('error', (error) => {
      words.add(`${error.message}\n`)
      if (child.pid === undefined) words.ended({ code: null, signal: null })
    })
    child.once('exit', (code, signal) => words.ended({ code, signal }))
    return {
      pid: child.pid,
      post(message) {
        // The callback takes the error of a channel that closes meanwhile; the exit tells the caller.
        if (child.connected) child.send(message as object, () => {})
      },
      onMessage(listener) {
        child.on('message', listener)
      },
      onExit(listener) {
        void words.exit.then(listener)
      },
      stderrTail: () => words.text(),
      kill() {
        child.kill('SIGKILL')
      },
    }
  }
}

const passedOn =
  /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|APPDATA|LOCALAPPDATA|USERPROFILE|ProgramData|ProgramFiles.*|LD_LIBRARY_PATH|DYLD_\w+|XDG_\w+|CUDA_\w+|NVIDIA_\w+|HIP_\w+|ROCR_\w+|HSA_\w+|GPU_DEVICE_ORDINAL|VK_\w+|GGML_\w+|LLAMA_ARG_\w+|OMP_\w+|NODE_COMPILE_CACHE)$/i

/** What a child needs to run and to find its devices; keys and tokens of the server's environment stay out. */
export function childEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) if (value !== undefined && passedOn.test(name)) kept[name] = value
  return kept
}
