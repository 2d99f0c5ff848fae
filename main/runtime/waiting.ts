import type { Demand, ModelSpec } from './demand.ts'
import type { Lease } from './lease.ts'
import type { Resident, RunnerHold } from './resident.ts'

/** A request that has no lease yet. */
export interface Waiter<R> {
  spec: ModelSpec
  demand: Demand
  startedMs: number
  resolve: (lease: Lease<R>) => void
  reject: (error: unknown) => void
  onProgress: ((fraction: number) => void) | undefined
}

/** The requests that wait for a lease, oldest first. */
export class Waiting<R extends RunnerHold> {
  readonly #waiters = new Set<Waiter<R>>()
  readonly #models: ReadonlyMap<string, Resident<R>>

  constructor(models: ReadonlyMap<string, Resident<R>>) {
    this.#models = models
  }

  get all(): Waiter<R>[] {
    return [...this.#waiters]
  }

  of(key: string): Waiter<R>[] {
    return this.all.filter((waiter) => waiter.spec.key === key)
  }

  has(waiter: Waiter<R>): boolean {
    return this.#waiters.has(waiter)
  }

  add(waiter: Waiter<R>): void {
    this.#waiters.add(waiter)
  }

  /** False when it does not wait any more. */
  remove(waiter: Waiter<R>): boolean {
    return this.#waiters.delete(waiter)
  }

  refuse(key: string, error: unknown, which: (waiter: Waiter<R>) => boolean = () => true): void {
    for (const waiter of this.of(key).filter(which)) {
      this.#waiters.delete(waiter)
      waiter.reject(error)
    }
  }

  /** Requests that have to wait for another to end. */
  queued(): number {
    const keys = new Set([...this.#models.keys(), ...this.all.map((waiter) => waiter.spec.key)])
    let queued = 0
    for (const key of keys) {
      const model = this.#models.get(key)
      queued += Math.max(0, (model?.leases.size ?? 0) + this.of(key).length - (model?.slots ?? 0))
    }
    return queued
  }

  /** True when one more request for this model would wait for another to end. */
  wouldWait(key: string): boolean {
    const model = this.#models.get(key)
    if (model !== undefined) return model.leases.size + this.of(key).length >= model.slots
    return this.all.some((waiter) => !this.#models.has(waiter.spec.key))
  }
}
