import type { AppError } from '../errors.ts'
import type { Label, ModelSpec } from './demand.ts'
import type { ContextOptions, LoadOptions } from './options.ts'
import type { Layout, Placement, Wish } from './placement.ts'
import type { ContextInfo, LoadedInfo } from './protocol.ts'

/** What the scheduler itself needs of a runner; requests use the rest. */
export interface RunnerHold extends AsyncDisposable {
  readonly info: LoadedInfo
  readonly exited: Promise<AppError | null>
  ensureContext(options: ContextOptions, signal: AbortSignal): Promise<ContextInfo>
}

/** Why a model leaves memory. */
export type UnloadReason = 'keep-alive' | 'request' | 'memory' | 'count' | 'options' | 'crash' | 'cancelled' | 'shutdown'

/** What is known of a model when its load begins. */
export interface ResidentFacts {
  spec: ModelSpec
  label: Label
  options: LoadOptions
  placement: Placement
  /** Why it is loaded. */
  reason: string
  keepAliveMs: number
  nowMs: number
}

/** A model that has a process: being loaded, ready, or on its way out. */
export class Resident<R extends RunnerHold> {
  readonly spec: ModelSpec
  readonly label: Label
  readonly options: LoadOptions
  readonly layout: Layout
  readonly since: Date
  /** Why it was loaded. */
  readonly reason: string
  readonly abort = new AbortController()
  readonly leases = new Set<object>()
  state: 'loading' | 'ready' | 'stopping' = 'loading'
  runner: R | null = null
  /** Fraction of the weights read. */
  progress = 0
  keepAliveMs: number
  lastUsedMs: number
  lastUse = 0
  /** Ends when the load has, well or not. */
  loading: Promise<void> = Promise.resolve()
  /** Ends when the process has. */
  gone: Promise<void> | null = null
  /** Nobody new gets it, as an earlier request needs its memory or other options. */
  draining = false
  /** A context is being made. */
  preparing: AbortController | null = null
  /** It is made for more slots; requests without one wait for it. */
  growing = false
  /** More slots may still be had. */
  growable = true
  /** A context did not fit once; the next try has the machine to itself. */
  wantsToBeAlone = false
  context: { info: ContextInfo; options: ContextOptions } | null = null
  /** Length that we would choose by ourselves, as it came out. */
  automaticLength: number | null = null
  /** Plan of the load, then of the context that is being made. */
  placement: Placement
  #timer: NodeJS.Timeout | undefined

  constructor(facts: ResidentFacts) {
    this.spec = facts.spec
    this.label = facts.label
    this.options = facts.options
    this.placement = facts.placement
    this.layout = facts.placement
    this.reason = facts.reason
    this.keepAliveMs = facts.keepAliveMs
    this.lastUsedMs = facts.nowMs
    this.since = new Date(facts.nowMs)
  }

  get isIdle(): boolean {
    return this.state === 'ready' && this.leases.size === 0 && this.preparing === null
  }

  get slots(): number {
    return this.context?.info.slots ?? this.placement.context?.slots ?? 1
  }

  /** True when the runner's context serves this wish: a larger one serves a smaller. */
  serves(wish: Wish): boolean {
    if (wish.embeddingOnly || wish.weightsOnly) return true
    if (this.context === null) return false
    const { options } = this.context
    if (wish.batchSize !== null && Math.min(wish.batchSize, options.cells) > options.batchSize) return false
    if (wish.threadsAsked && options.threads !== wish.threads) return false
    if (!wish.automatic) return options.contextLength >= wish.contextLength
    return this.automaticLength !== null && options.contextLength >= this.automaticLength
  }

  /** Bytes by device of the weights alone, as llama.cpp counted them. */
  get weightBytes(): Record<string, number> {
    return byDevice(this.runner?.info.memory.weights ?? {})
  }

  /** Bytes by device of the context there is. */
  get contextBytes(): Record<string, number> {
    const memory = this.context?.info.memory ?? this.runner?.info.memory
    return memory === undefined ? {} : byDevice(memory.kvCache, memory.compute)
  }

  /** Bytes by device, file pages that are only mapped included. */
  get usedBytes(): Record<string, number> {
    return byDevice(this.weightBytes, this.contextBytes)
  }

  /** Bytes by device that come back when it goes; mapped file pages count as free already. */
  get holds(): Record<string, number> {
    if (this.runner === null) return this.placement.need
    const used = this.usedBytes
    if (this.options.useMmap === true) used.CPU = Math.max(0, (used.CPU ?? 0) - Math.min(this.weightBytes.CPU ?? 0, this.spec.shape.weightBytes))
    return Object.values(used).some((bytes) => bytes > 0) ? used : this.placement.need
  }

  /** The part of `holds` that the system no longer counts as free. */
  get taken(): number {
    return this.runner === null ? this.progress : 1
  }

  expiresAtMs(nowMs: number): number {
    if (this.state === 'stopping') return Math.min(nowMs, this.lastUsedMs)
    return (this.leases.size > 0 || this.preparing !== null ? nowMs : this.lastUsedMs) + this.keepAliveMs
  }

  touch(nowMs: number, use: number): void {
    this.lastUsedMs = nowMs
    this.lastUse = use
  }

  /** Milliseconds until an idle model's keep-alive ends; Infinity while it is in use or stays for ever. */
  remainingMs(nowMs: number): number {
    return this.isIdle ? this.lastUsedMs + this.keepAliveMs - nowMs : Number.POSITIVE_INFINITY
  }

  /** Wakes the scheduler when the keep-alive may have ended; at least every 15 seconds, as timers stand still while a machine sleeps. */
  wakeIn(remainingMs: number, wake: () => void): void {
    clearTimeout(this.#timer)
    if (remainingMs === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(wake, Math.min(remainingMs, 15_000))
    this.#timer.unref()
  }

  stopWatching(): void {
    clearTimeout(this.#timer)
  }
}

/** llama.cpp names buffers after their device; `CPU_Mapped`, `CPU_REPACK`, `CUDA_Host` and the like are the machine's own memory. */
function byDevice(...parts: Record<string, number>[]): Record<string, number> {
  const bytes: Record<string, number> = {}
  for (const part of parts) {
    for (const [buffer, n] of Object.entries(part)) {
      const device = /^(CPU|BLAS|AMX)|_Host$/.test(buffer) ? 'CPU' : buffer.replace(/_(Mapped|Private|Split)$/, '')
      bytes[device] = (bytes[device] ?? 0) + n
    }
  }
  return bytes
}
