import type { Runner } from './runner.ts'

/** A request's hold on a runner; the model stays in memory until it is disposed. */
export interface Lease<R = Runner> extends AsyncDisposable {
  readonly runner: R
  /** Tokens that this request may use, prompt and reply together. */
  readonly contextLength: number
  /** From asking to having: queue, load, context. */
  readonly loadMs: number
  /** Tells how fast a reply was written, for who predicts the next one. */
  wrote(tokens: number, ms: number): void
}
