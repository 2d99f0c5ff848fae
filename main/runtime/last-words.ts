export interface ChildExit {
  code: number | null
  signal: string | null
}

const stderrTailChars = 64 * 1024

/** How long an exit waits for the rest of stderr; a grandchild may hold it open for ever. */
const drainMs = 250

/** What a child process wrote to stderr last, and its exit once that has been read. What it writes to stdout is let go. */
export class LastWords {
  readonly #closed = Promise.withResolvers<void>()
  readonly #exit = Promise.withResolvers<ChildExit>()
  #text = ''

  constructor({ stdout, stderr }: { stdout: NodeJS.ReadableStream | null; stderr: NodeJS.ReadableStream | null }) {
    // A pipe that breaks is the child's trouble: its exit follows.
    for (const stream of [stdout, stderr]) stream?.on('error', () => undefined)
    stdout?.resume()
    if (stderr === null) this.#closed.resolve()
    stderr?.setEncoding('utf8').on('data', (text: string) => this.add(text))
    stderr?.once('close', () => this.#closed.resolve())
  }

  /** Its exit, complete with what `text` gives. */
  get exit(): Promise<ChildExit> {
    return this.#exit.promise
  }

  text(): string {
    return this.#text
  }

  add(text: string): void {
    this.#text = (this.#text + text).slice(-stderrTailChars)
  }

  ended(exit: ChildExit): void {
    void this.#closed.promise.then(() => this.#exit.resolve(exit))
    // Behind one more look at the pipe: on a busy machine the time may be over before the first.
    setTimeout(() => setImmediate(() => this.#exit.resolve(exit)), drainMs).unref()
  }
}
