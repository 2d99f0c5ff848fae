import { AppError, fromPlainError } from '../errors.ts'
import { Channel } from '../lib/streams.ts'
import type { ChildExit } from './last-words.ts'
import type { ContextOptions, LoadOptions } from './options.ts'
import type { ChildHandle, Spawn } from './process.ts'
import type { ContextInfo, EmbedRequest, EmbedResult, FromRunner, GenerateRequest, LoadedInfo, RunnerEvent, ToRunner } from './protocol.ts'

/** A call without its id. */
type Call = ToRunner extends infer M ? (M extends { id: number } ? Omit<M, 'id'> : never) : never

interface OpenCall {
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
  /** A load or a context: llama.cpp may hold the child's event loop for long. */
  slow: boolean
  onProgress?: (fraction: number) => void
}

export interface RunnerLimits {
  /** Silence after which the process counts as hung. */
  silenceMs: number
  /** The same while weights are read or a context is made, which may block the child's event loop. */
  slowSilenceMs: number
  /** Time to end by itself before it is killed. */
  stopMs: number
}

const defaultLimits: RunnerLimits = { silenceMs: 10_000, slowSilenceMs: 120_000, stopMs: 3000 }

/** An error of the runner with its figures (`context-exceeded`: promptTokens, contextLength). */
export class RunnerError extends AppError {
  readonly details: Readonly<Record<string, number>>

  constructor(code: AppError['code'], message: string, details: Record<string, number>) {
    super(code, message)
    this.details = details
  }
}

/** The process ended by itself or by another's hand. */
export class RunnerCrash extends AppError {
  /** A person or the system killed it: that says nothing of the model. */
  readonly fromOutside: boolean

  constructor(message: string, fromOutside: boolean) {
    super('runner-crashed', message)
    this.fromOutside = fromOutside
  }
}

/** One loaded model: the client of a runner process, which dies with it. */
export class Runner implements AsyncDisposable {
  readonly #child: ChildHandle
  readonly #limits: RunnerLimits
  readonly #calls = new Map<number, OpenCall>()
  readonly #replies = new Map<number, Channel<RunnerEvent>>()
  readonly #exited = Promise.withResolvers<AppError | null>()
  readonly #watchdog: NodeJS.Timeout
  #info: LoadedInfo | null = null
  #contextMade: Promise<unknown> = Promise.resolve()
  #lastId = 0
  #silentTicks = 0
  #hung = false
  #stopping = false
  #gone: AppError | null = null

  /** Starts a process and reads the weights into it; an abort kills it, and this rejects when it is gone. */
  static async load(
    spawn: Spawn,
    entry: string,
    options: LoadOptions,
    signal: AbortSignal,
    onProgress: (fraction: number) => void,
    settings: { env?: Record<string, string>; limits?: Partial<RunnerLimits> } = {},
  ): Promise<Runner> {
    signal.throwIfAborted()
    const child = spawn(entry, { name: 'paddock runner', ...(settings.env === undefined ? {} : { env: settings.env }) })
    const runner = new Runner(child, { ...defaultLimits, ...settings.limits })
    try {
      runner.#info = (await runner.#call({ type: 'load', options }, signal, true, onProgress)) as LoadedInfo
      return runner
    } catch (error) {
      runner.#stopping = true
      child.kill()
      await runner.#exited.promise
      throw error
    }
  }

  private constructor(child: ChildHandle, limits: RunnerLimits) {
    this.#child = child
    this.#limits = limits
    child.onMessage((message) => this.#receive(message as FromRunner))
    child.onExit((exit) => this.#end(exit))
    // Ticks, not time: a machine that slept is not a runner that hung.
    this.#watchdog = setInterval(() => this.#watch(), limits.silenceMs / 10)
    this.#watchdog.unref()
  }

  get info(): LoadedInfo {
    if (this.#info === null) throw new Error('the runner has not loaded')
    return this.#info
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the process has ended: with the error if it crashed, with null if it was stopped. */
  get exited(): Promise<AppError | null> {
    return this.#exited.promise
  }

  /** Makes a context of these options, or answers with the one there is when it has them already; running replies end on theirs. */
  async ensureContext(options: ContextOptions, signal: AbortSignal): Promise<ContextInfo> {
    signal.throwIfAborted()
    const answer = this.#call({ type: 'context', options }, neverAborted, true)
    // An abort ends the wait, not the work: until the answer there is no context to generate on.
    this.#contextMade = answer.catch(() => undefined)
    return (await orAborted(answer, signal)) as ContextInfo
  }

  /** One reply; leaving the loop or the signal stops it. `done` is the last event. */
  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncGenerator<RunnerEvent, void, undefined> {
    signal.throwIfAborted()
    for (let made: Promise<unknown> | null = null; made !== this.#contextMade; ) {
      made = this.#contextMade
      await orAborted(made, signal)
    }
    if (this.#gone !== null) throw this.#gone
    const id = ++this.#lastId
    const events = new Channel<RunnerEvent>()
    this.#replies.set(id, events)
    const cancel = () => {
      if (this.#replies.delete(id)) this.#post({ type: 'cancel', id })
    }
    const abort = () => {
      events.fail(signal.reason)
      cancel()
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      this.#post({ type: 'generate', id, request })
      for await (const event of events) yield event
    } finally {
      signal.removeEventListener('abort', abort)
      cancel()
    }
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedResult> {
    return (await this.#call({ type: 'embed', request }, signal)) as EmbedResult
  }

  async tokenize(texts: string[], options: { addSpecial: boolean; parseSpecial: boolean }, signal: AbortSignal): Promise<number[][]> {
    return (await this.#call({ type: 'tokenize', texts, ...options }, signal)) as number[][]
  }

  async detokenize(tokens: number[], signal: AbortSignal): Promise<string> {
    return (await this.#call({ type: 'detokenize', tokens }, signal)) as string
  }

  /** Asks the process to end, kills it when it does not; returns when its memory is free. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#stopping) {
      this.#stopping = true
      this.#post({ type: 'shutdown' })
    }
    const patience = setTimeout(() => this.#child.kill(), this.#limits.stopMs)
    await this.#exited.promise
    clearTimeout(patience)
  }

  async #call(call: Call, signal: AbortSignal, slow = false, onProgress?: (fraction: number) => void): Promise<unknown> {
    signal.throwIfAborted()
    if (this.#gone !== null) throw this.#gone
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#calls.set(id, { resolve, reject, slow, ...(onProgress === undefined ? {} : { onProgress }) })
    try {
      this.#post({ ...call, id } as ToRunner)
      return await orAborted(promise, signal)
    } finally {
      if (this.#calls.delete(id) && signal.aborted) this.#post({ type: 'cancel', id })
    }
  }

  #post(message: ToRunner): void {
    if (this.#gone === null) this.#child.post(message)
  }

  #receive(message: FromRunner): void {
    this.#silentTicks = 0
    switch (message.type) {
      case 'step':
        for (const [id, event] of message.events) this.#deliver(id, event)
        return
      case 'result':
        this.#calls.get(message.id)?.resolve(message.value)
        return
      case 'progress':
        this.#calls.get(message.id)?.onProgress?.(message.fraction)
        return
      case 'error': {
        const error =
          message.details === undefined ? fromPlainError(message.error) : new RunnerError(message.error.code, message.error.message, message.details)
        this.#calls.get(message.id)?.reject(error)
        const events = this.#replies.get(message.id)
        this.#replies.delete(message.id)
        events?.fail(error)
        return
      }
      case 'ready':
      case 'heartbeat':
        return
      default:
        message satisfies never
    }
  }

  #deliver(id: number, event: RunnerEvent): void {
    const events = this.#replies.get(id)
    if (events === undefined) return
    if (!events.push(event)) events.fail(new AppError('cancelled', 'the reply was not read in time'))
    if (event.type !== 'done') return
    this.#replies.delete(id)
    events.end()
  }

  #watch(): void {
    this.#silentTicks++
    const slow = this.#calls.values().some((call) => call.slow)
    const limitMs = slow ? Math.max(this.#limits.slowSilenceMs, this.#limits.silenceMs) : this.#limits.silenceMs
    if (this.#silentTicks * (this.#limits.silenceMs / 10) < limitMs) return
    this.#hung = true
    this.#child.kill()
  }

  #end(exit: ChildExit): void {
    clearInterval(this.#watchdog)
    const crash = this.#stopping
      ? null
      : new RunnerCrash(
          this.#hung ? 'model runner stopped responding' : describeCrash(exit, this.#child.stderrTail()),
          !this.#hung && (exit.signal === 'SIGKILL' || exit.signal === 'SIGTERM'),
        )
    const error = crash ?? new AppError('unavailable', 'the model was unloaded before the request ended')
    this.#gone = error
    for (const call of this.#calls.values()) call.reject(error)
    for (const events of this.#replies.values()) events.fail(error)
    this.#replies.clear()
    this.#exited.resolve(crash)
  }
}

const neverAborted = new AbortController().signal

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const crashText = 'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check server log for details'

/** The peer's sentence, with the reason that llama.cpp or the system left. */
export function describeCrash(exit: ChildExit, stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.trim())
  const assertion = lines.findLast((line) => /GGML_ASSERT|GGML_ABORT/.test(line))
  const complaint = assertion ?? lines.findLast((line) => /^terminate called|^\s*what\(\)|out of memory|\berror:/i.test(line))
  const ending = exit.signal !== null ? `ended by ${exit.signal}` : `exit code ${exit.code === null ? 'unknown' : exitCode(exit.code)}`
  return `${crashText}: ${complaint === undefined ? ending : complaint.slice(0, 300)}`
}

/** Windows reports crashes as large numbers that are known by their hexadecimal form (0xC0000005). */
function exitCode(code: number): string {
  return code > 0xffff || code < 0 ? `0x${(code >>> 0).toString(16).toUpperCase()}` : String(code)
}
