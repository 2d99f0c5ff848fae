import { logLevel } from './abi.ts'

export interface LogLine {
  level: number
  text: string
}

/** llama.cpp's log lines, the last of them kept. */
export class LogRing {
  readonly #lines: LogLine[] = []
  readonly #listeners = new Set<(line: LogLine) => void>()
  #level = 0
  #part = ''

  /** A line comes in pieces; level `continued` goes on with the one before. */
  write(level: number, text: string): void {
    if (level !== logLevel.continued) this.#level = level
    this.#part += text
    if (!this.#part.endsWith('\n')) return
    const line = { level: this.#level, text: this.#part.trimEnd() }
    this.#part = ''
    if (line.level < logLevel.info) return
    this.#lines.push(line)
    if (this.#lines.length > 200) this.#lines.shift()
    for (const listener of this.#listeners) listener(line)
  }

  /** The lines that are written while `run` runs, and what it gives. */
  async record<T>(run: () => T | Promise<T>): Promise<{ result: T; lines: LogLine[] }> {
    const lines: LogLine[] = []
    using _ = this.listen((line) => lines.push(line))
    return { result: await run(), lines }
  }

  /** Hears of every line until it is disposed. */
  listen(listener: (line: LogLine) => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  get lines(): readonly LogLine[] {
    return this.#lines
  }
}

/** Why a call failed, in llama.cpp's words without the names of its functions; '' when it does not say. */
export function failureReason(lines: readonly LogLine[]): string {
  const complaints = lines.filter(({ level }) => level === logLevel.error || level === logLevel.warn).map(({ text }) => text)
  const reason = complaints.find((text) => text.includes('error loading model:')) ?? complaints.find((text) => isOutOfMemory(text)) ?? complaints.at(-1) ?? ''
  return reason.replace(/^.*error loading model: /, '').replace(/^\w+: /, '')
}

export function isOutOfMemory(text: string): boolean {
  return /(failed|unable|cannot) to allocate|alloc.*failed|out of memory|bad_alloc/i.test(text)
}

export interface BufferSizes {
  weights: Record<string, number>
  kvCache: Record<string, number>
  compute: Record<string, number>
}

/** What the caches of a context take together, wherever they lie: written before their buffers are made. */
const cacheLine = /^llama_\w+: size =\s*([\d.]+) MiB \(/
const bufferLine = /^\w+:\s+(\S+)\s+(model|KV|RS|compute|output)\s+buffer size\s*=\s*([\d.]+) MiB/

/** What was allocated where, from lines such as `load_tensors: CPU_Mapped model buffer size = 93.80 MiB`. */
export function bufferSizes(lines: readonly LogLine[], devices: readonly string[]): BufferSizes {
  const sizes: BufferSizes = { weights: {}, kvCache: {}, compute: {} }
  let plannedCache = 0
  for (const { text } of lines) {
    plannedCache += Math.round(Number(cacheLine.exec(text)?.[1] ?? 0) * 2 ** 20)
    const [, buffer, kind, mebibytes] = bufferLine.exec(text) ?? []
    if (buffer === undefined || kind === undefined) continue
    const part = sizes[{ model: 'weights', KV: 'kvCache', RS: 'kvCache' }[kind] as keyof BufferSizes] ?? sizes.compute
    const device = bufferDevice(buffer, devices)
    part[device] = (part[device] ?? 0) + Math.round(Number(mebibytes) * 2 ** 20)
  }
  // Where memory is only planned the buffers of the caches are empty.
  if (plannedCache > 0 && Object.values(sizes.kvCache).every((bytes) => bytes === 0)) sizes.kvCache = { CPU: plannedCache }
  return sizes
}

/** The device of a buffer type: `CUDA0` and `CUDA0_Split` are on a GPU; `CPU_Mapped`, `AMX` and the pinned memory `CUDA_Host` are the machine's own. */
function bufferDevice(buffer: string, devices: readonly string[]): string {
  const device = buffer.replace(/_.*$/, '')
  return devices.includes(device) ? device : 'CPU'
}
