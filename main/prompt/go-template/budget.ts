import { AppError } from '../../errors.ts'

/** Nesting of one rendering: blocks, templates that call templates, parentheses. Keeps the interpreter off the end of its stack. */
const maxDepth = 800

/** What one rendering may cost. A template is hostile input that runs in the server, so every loop and every text it builds is counted. */
export class Budget {
  readonly #maxSteps: number
  readonly #maxBytes: number
  #steps = 0
  #bytes = 0
  #depth = 0

  constructor(limits: { steps: number; bytes: number }) {
    this.#maxSteps = limits.steps
    this.#maxBytes = limits.bytes
  }

  /** One step is a node evaluated, or 64 characters looked at. */
  step(count = 1): void {
    this.#steps += count
    if (this.#steps > this.#maxSteps) throw new AppError('invalid-template', `template needs more than ${this.#maxSteps} steps to render`)
  }

  /** Characters of output and of every text built on the way. */
  write(count: number): void {
    this.#bytes += count
    if (this.#bytes > this.#maxBytes) throw new AppError('invalid-template', `template writes more than ${this.#maxBytes} bytes`)
  }

  enter(): void {
    if (++this.#depth > maxDepth) throw new AppError('invalid-template', `exceeded maximum template depth (${maxDepth})`)
  }

  leave(): void {
    this.#depth--
  }
}
