import { formatBytes, formatDuration } from './format.ts'
import { displayWidth, style, type TerminalOutput } from './terminal.ts'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const frameMs = 100
/** Without a terminal, a line of a bar each time it has moved on by this share. */
const plainShare = 0.1
/** And none of what is done sooner. */
const plainDelayMs = 1000

interface Bar {
  label: string
  completed: number
  total: number
  startedAt: number
  /** What was there before: it says nothing of the speed. */
  from: number
  /** Share at the last plain line. */
  told: number
}

/**
 * What takes its time: a spinner and bars on a terminal, plain lines elsewhere.
 *
 * With `delayMs`, nothing is shown of what is done sooner.
 */
export class Progress implements Disposable {
  readonly #stream: TerminalOutput
  readonly #isTerminal: boolean
  readonly #visibleAt: number
  readonly #bars = new Map<string, Bar>()
  readonly #timer: NodeJS.Timeout
  #status = ''
  #toldStatus = ''
  #frame = 0
  #drawnLines = 0

  constructor(stream: TerminalOutput, { delayMs = 0 }: { delayMs?: number } = {}) {
    this.#stream = stream
    this.#isTerminal = stream.isTTY === true
    this.#visibleAt = Date.now() + delayMs
    this.#timer = setInterval(() => this.#tick(), frameMs).unref()
  }

  /** What is being done now. */
  status(text: string): void {
    this.#status = text
    this.#tick()
  }

  /** How far one part has come, in bytes. */
  bar(key: string, label: string, completed: number, total: number): void {
    const bar = this.#bars.get(key) ?? { label, completed, total, startedAt: Date.now(), from: completed, told: -1 }
    this.#bars.set(key, bar)
    Object.assign(bar, { completed, total })
    if (!this.#isTerminal) this.#tellBar(bar)
  }

  /** Ends it; what stood there goes, but for finished bars with `keep`. */
  stop({ keep = false }: { keep?: boolean } = {}): void {
    clearInterval(this.#timer)
    if (!this.#isTerminal) return
    this.#erase()
    if (keep) this.#stream.write([...this.#bars.values()].map((bar) => `${this.#barLine(bar)}\n`).join(''))
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  #tick(): void {
    if (Date.now() < this.#visibleAt) return
    if (this.#isTerminal) this.#draw()
    else this.#tellStatus()
  }

  #tellStatus(): void {
    if (this.#status === '' || this.#status === this.#toldStatus) return
    this.#toldStatus = this.#status
    this.#stream.write(`${this.#status}\n`)
  }

  #tellBar(bar: Bar): void {
    const share = bar.total > 0 ? bar.completed / bar.total : 1
    const isSlow = Date.now() - bar.startedAt > plainDelayMs
    if (!isSlow || bar.told >= 1 || (share < 1 && share < bar.told + plainShare)) return
    bar.told = share
    this.#stream.write(`${bar.label}: ${Math.floor(share * 100)}% of ${formatBytes(bar.total)}\n`)
  }

  #draw(): void {
    const lines = [...this.#bars.values()].map((bar) => this.#barLine(bar))
    if (this.#status !== '') lines.push(`${this.#status} ${frames[this.#frame++ % frames.length]}`)
    const up = this.#drawnLines > 0 ? style.up(this.#drawnLines) : ''
    this.#stream.write(`${up}\r${style.clearBelow}${lines.map((line) => `${fitted(line, this.#columns())}\n`).join('')}`)
    this.#drawnLines = lines.length
  }

  #erase(): void {
    if (this.#drawnLines === 0) return
    this.#stream.write(`${style.up(this.#drawnLines)}\r${style.clearBelow}`)
    this.#drawnLines = 0
  }

  #barLine({ label, completed, total, startedAt, from }: Bar): string {
    const share = total > 0 ? Math.min(1, completed / total) : 1
    const seconds = (Date.now() - startedAt) / 1000
    const speed = (completed - from) / seconds
    const left = speed > 0 ? `  ${formatDuration(Math.ceil((total - completed) / speed) * 1e9)}` : ''
    const rate = seconds > 1 && share < 1 ? `  ${formatBytes(Math.round(speed))}/s${left}` : ''
    const start = `${label}: ${String(Math.floor(share * 100)).padStart(3)}% `
    const right = ` ${formatBytes(completed)}/${formatBytes(total)}${rate}`
    const room = Math.min(40, this.#columns() - displayWidth(start + right) - 3)
    if (room < 5) return start + right
    const full = Math.round(room * share)
    return `${start}▕${'█'.repeat(full)}${' '.repeat(room - full)}▏${right}`
  }

  #columns(): number {
    return this.#stream.columns ?? 80
  }
}

/** A line that is too long would break in two, and then the wrong lines would be erased. */
function fitted(line: string, columns: number): string {
  let fits = ''
  let width = 0
  for (const rune of line) {
    width += displayWidth(rune)
    if (width >= columns) return fits
    fits += rune
  }
  return fits
}
