import { AppError } from '../errors.ts'
import type { UpstreamClient, UpstreamModel } from './engine.ts'

/** How long a list is taken as it is. */
const freshMs = 15_000
/** How long a caller waits for a newer one. */
const waitMs = 1000
/** How long an engine may take to answer at all. */
const askMs = 10_000

/** The models of one engine as last heard. */
export interface ModelListState {
  models: UpstreamModel[]
  /** `unknown`: it has not answered yet, but may. */
  state: 'up' | 'down' | 'unknown'
  /** Why it is down, for people. */
  problem: string | null
}

/** Asks an engine for its models at most every few seconds; nobody waits longer than a second for the answer. */
export class ModelList implements Disposable {
  readonly #client: UpstreamClient
  readonly #leaving = new AbortController()
  #state: ModelListState = { models: [], state: 'unknown', problem: null }
  #heardAt = Number.NEGATIVE_INFINITY
  #asking: { since: number; answer: Promise<void> } | null = null

  constructor(client: UpstreamClient) {
    this.#client = client
  }

  /** What is known, newer than a few seconds where the engine answers in time. Never throws. */
  async current(): Promise<ModelListState> {
    if (performance.now() - this.#heardAt < freshMs) return this.#state
    const { since, answer } = this.#ask()
    const left = since + waitMs - performance.now()
    if (left > 0) await withinMs(answer, left)
    return this.#state
  }

  /** Asks anew. */
  async refresh(): Promise<ModelListState> {
    await this.#ask().answer
    return this.#state
  }

  #ask(): { since: number; answer: Promise<void> } {
    if (this.#asking !== null) return this.#asking
    const signal = AbortSignal.any([this.#leaving.signal, AbortSignal.timeout(askMs)])
    const answer = this.#client
      .models(signal)
      .then(
        (models): ModelListState => ({ models, state: 'up', problem: null }),
        (error: unknown): ModelListState => ({ models: this.#state.models, state: 'down', problem: problemOf(error) }),
      )
      .then((state) => {
        this.#state = state
        this.#heardAt = performance.now()
        this.#asking = null
      })
    this.#asking = { since: performance.now(), answer }
    return this.#asking
  }

  [Symbol.dispose](): void {
    this.#leaving.abort()
  }
}

function problemOf(error: unknown): string {
  if (error instanceof AppError) return error.message
  return error instanceof Error && error.name === 'TimeoutError' ? `it does not list its models within ${askMs / 1000} seconds` : String(error)
}

async function withinMs(answer: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([answer, late.promise])
  clearTimeout(timer)
}
