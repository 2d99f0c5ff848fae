import { displayWidth } from './terminal.ts'

const sizes: [bytes: number, unit: string][] = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'KB'],
]

/** `98 MB`, `2.0 GB` as Ollama writes it: powers of ten, one decimal under ten. */
export function formatBytes(bytes: number): string {
  const [divisor, unit] = sizes.find(([size]) => bytes >= size) ?? [1, 'B']
  const value = bytes / divisor
  return value >= 10 || Number.isInteger(value) ? `${Math.trunc(value)} ${unit}` : `${value.toFixed(1)} ${unit}`
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** `3 weeks ago`, `4 minutes from now`, `Forever`. */
export function formatTime(time: Date, now: Date): string {
  const pastMs = now.getTime() - time.getTime()
  // The protocol's "never" is a date centuries away.
  if (pastMs < -20 * 365 * dayMs) return 'Forever'
  return pastMs < 0 ? `${formatSpan(-pastMs)} from now` : `${formatSpan(pastMs)} ago`
}

function formatSpan(ms: number): string {
  const seconds = Math.trunc(ms / 1000)
  const minutes = Math.trunc(ms / minuteMs)
  const hours = Math.round(ms / hourMs)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`
  return `${Math.trunc(ms / dayMs / 365)} years`
}

/** Nanoseconds in Go's notation, which scripts read: `812ms`, `1m2.5s`. */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${decimal(nanoseconds, 1e3)}µs`
  if (nanoseconds < 1e9) return `${decimal(nanoseconds, 1e6)}ms`
  const hours = Math.floor(nanoseconds / 3600e9)
  const minutes = Math.floor(nanoseconds / 60e9) % 60
  const rest = `${decimal(nanoseconds % 60e9, 1e9)}s`
  if (hours > 0) return `${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}

function decimal(value: number, unit: number): string {
  const digits = String(unit).length - 1
  const fraction = String(Math.round(value % unit))
    .padStart(digits, '0')
    .replace(/0+$/, '')
  return `${Math.floor(value / unit)}${fraction === '' ? '' : `.${fraction}`}`
}

/** Rows in columns, four blanks apart, each as wide as its widest cell. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell))
  const padded = (cell: string, i: number) => cell + ' '.repeat((widths[i] ?? 0) - displayWidth(cell))
  return rows.map((row) => `${row.map(padded).join('    ').trimEnd()}\n`).join('')
}

/** Text of a model or its file, without what a terminal would obey: line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '')
}

/** What the program says of an error: the same words in every place. */
export function errorMessage(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error))
}
