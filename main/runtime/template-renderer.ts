import { AppError } from '../errors.ts'
import type { JsonObject } from '../lib/json.ts'
import type { ChildHandle, Spawn } from './process.ts'

export interface TemplateRequest {
  id: number
  template: string
  variables: JsonObject
}

export type TemplateReply = { type: 'ready' } | { type: 'rendered'; id: number; text: string } | { type: 'refused'; id: number; error: string }

interface Job {
  request: TemplateRequest
  resolve: (text: string) => void
  reject: (error: unknown) => void
}

/**
 * Renders Jinja templates in a child process of their own, as a template is a stranger's program: it may loop, recurse until the process dies or fill the memory.
 *
 * One template runs at a time; a child that does not answer within `timeoutMs` is killed, and the next call gets a fresh one.
 */
export class TemplateRenderer implements AsyncDisposable {
  readonly #spawn: Spawn
  readonly #entry: string
  readonly #timeoutMs: number
  readonly #startTimeoutMs: number
  readonly #queue: Job[] = []
  #child: ChildHandle | null = null
  #ready = false
  #running: Job | null = null
  #watchdog: NodeJS.Timeout | undefined
  #lastId = 0
  #disposed = false

  constructor({ spawn, entry, timeoutMs = 2000, startTimeoutMs = 20_000 }: { spawn: Spawn; entry: string; timeoutMs?: number; startTimeoutMs?: number }) {
    this.#spawn = spawn
    this.#entry = entry
    this.#timeoutMs = timeoutMs
    this.#startTimeoutMs = startTimeoutMs
  }

  /** Throws `invalid-template`: what the template refuses or where it is broken, with the engine's report as `cause`; or, without a cause, that it hung or crashed. */
  async render(template: string, variables: JsonObject, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    if (this.#disposed) throw new AppError('unavailable', 'the template engine has been shut down')
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const job: Job = { request: { id: ++this.#lastId, template, variables }, resolve, reject }
    const abort = () => {
      const at = this.#queue.indexOf(job)
      if (at >= 0) this.#queue.splice(at, 1)
      reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    this.#queue.push(job)
    this.#advance()
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#fail(new AppError('unavailable', 'the template engine has been shut down'), true)
  }

  #advance(): void {
    if (this.#running !== null || this.#queue.length === 0) return
    this.#child ??= this.#start()
    if (!this.#ready) return
    this.#running = this.#queue.shift() as Job
    this.#watch(this.#timeoutMs, () => new AppError('invalid-template', `the chat template did not finish within ${this.#timeoutMs / 1000} seconds`))
    this.#child.post(this.#running.request)
  }

  #start(): ChildHandle {
    const child = this.#spawn(this.#entry, { name: 'paddock template' })
    child.onMessage((message) => {
      if (child === this.#child) this.#receive(message as TemplateReply)
    })
    child.onExit(() => {
      if (child !== this.#child) return
      if (this.#running !== null) this.#fail(new AppError('invalid-template', 'the chat template crashed the template engine'), false)
      else if (this.#ready) this.#forget()
      else this.#fail(new AppError('load-failed', `the template engine did not start: ${child.stderrTail().trim() || 'no reason given'}`), true)
    })
    this.#watch(this.#startTimeoutMs, () => new AppError('load-failed', `the template engine did not start within ${this.#startTimeoutMs / 1000} seconds`))
    return child
  }

  #receive(reply: TemplateReply): void {
    clearTimeout(this.#watchdog)
    if (reply.type === 'ready') this.#ready = true
    else {
      const job = this.#running
      this.#running = null
      if (reply.type === 'rendered') job?.resolve(reply.text)
      else job?.reject(new AppError('invalid-template', describe(reply.error), { cause: reply.error }))
    }
    this.#advance()
  }

  #watch(limitMs: number, error: () => AppError): void {
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => this.#fail(error(), !this.#ready), limitMs)
  }

  /** Kills the child; its template's caller gets the error, and those who wait do too if no child can be had. */
  #fail(error: AppError, everyone: boolean): void {
    const victims = [...(this.#running === null ? [] : [this.#running]), ...(everyone ? this.#queue.splice(0) : [])]
    this.#forget()
    for (const job of victims) job.reject(error)
    this.#advance()
  }

  #forget(): void {
    clearTimeout(this.#watchdog)
    const child = this.#child
    this.#child = null
    this.#ready = false
    this.#running = null
    child?.kill()
  }
}

/** The engine's text in one line: what the template says by `raise_exception`, else the reason and the line. */
function describe(error: string): string {
  const raised = /Jinja Exception: ([^\n]+)/.exec(error)?.[1]
  if (raised !== undefined) return `the chat template refuses this conversation: ${raised}`
  const reason = /^Error: (.+)$/m.exec(error)?.[1] ?? error.replace(/^AddonJinjaRenderer: /, '').split('\n')[0]
  const line = /at line (\d+)/.exec(error)?.[1]
  return `the chat template fails${line === undefined ? '' : ` in line ${line}`}: ${reason}`
}
