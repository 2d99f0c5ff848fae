import type { JsonObject } from './json.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
const rank: Record<LogLevel, number> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 }

/** Takes finished lines; the file, the terminal and the window's activity view are sinks. */
export type LogSink = (line: string, level: LogLevel) => void

/** One line a record: time, level, message, `key=value`. Never prompt text. */
export class Log {
  readonly #level: LogLevel
  readonly #sinks: LogSink[]

  constructor(level: LogLevel, ...sinks: LogSink[]) {
    this.#level = level
    this.#sinks = sinks
  }

  trace(message: string, fields?: JsonObject): void {
    this.#write('trace', message, fields)
  }
  debug(message: string, fields?: JsonObject): void {
    this.#write('debug', message, fields)
  }
  info(message: string, fields?: JsonObject): void {
    this.#write('info', message, fields)
  }
  warn(message: string, fields?: JsonObject): void {
    this.#write('warn', message, fields)
  }
  error(message: string, error?: unknown, fields?: JsonObject): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : error === undefined ? undefined : String(error)
    this.#write('error', message, stack === undefined ? fields : { ...fields, error: stack })
  }

  #write(level: LogLevel, message: string, fields: JsonObject = {}): void {
    if (rank[level] < rank[this.#level]) return
    const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quoted(value)}`)
    const line = `${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${oneLine(message)}${pairs.join('')}`
    for (const sink of this.#sinks) sink(line, level)
  }
}

/** A message may name a file, and files may be called anything. */
function oneLine(message: string): string {
  return message.replaceAll(/\p{Cc}/gu, (control) => escaped(control).slice(1, -1))
}

/** Control characters and line breaks from outside cannot forge a second record. */
function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w./:@+%-]+$/.test(text) ? text : escaped(text)
}

/** JSON leaves DEL and the controls behind it as they are; some terminals obey them. */
function escaped(text: string): string {
  return JSON.stringify(text).replaceAll(/[\x7f-\x9f]/g, (control) => `\\u00${control.charCodeAt(0).toString(16)}`)
}
