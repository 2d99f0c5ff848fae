import type { CallReader, SectionEnd } from './calls.ts'

/** What the object of a call begins with, or the name of a tool. */
const callKeys = new Set(['name', 'function', 'type', 'id', 'tool', 'tool_name', 'tool_call_id'])

/** Longer than the way to a call's name. */
const longestHead = 256

/** Reads calls that nothing marks: any other JSON, or a bracket in prose, is told from them as early as can be. */
export class BareCallReader implements CallReader {
  readonly #names: readonly string[]
  readonly #calls: CallReader
  #head: string
  #isCall = false

  constructor(start: string, names: readonly string[], calls: CallReader) {
    this.#head = start
    this.#names = names
    this.#calls = calls
    calls.push(start)
  }

  push(piece: string): SectionEnd | null {
    if (!this.#isCall) {
      this.#head += piece
      const isCall = looksLikeCall(this.#head, this.#names)
      if (isCall === false) return { calls: [], rest: '' }
      this.#isCall = isCall ?? false
    }
    return this.#calls.push(piece)
  }

  end(): SectionEnd & { isText?: boolean } {
    return { ...this.#calls.end(), isText: !this.#isCall }
  }
}

/** Whether a call begins so that nothing marks; undefined while it cannot be said. */
export function looksLikeCall(head: string, names: readonly string[]): boolean | undefined {
  const key = /^\[?\s*\{\s*"([^"]*)"\s*:/.exec(head)?.[1]
  if (key !== undefined) return callKeys.has(key) || names.includes(key)
  if (/^\[?\s*\{\s*[^"\s]/.test(head) || head.length > longestHead) return false
  const name = /^\[\s*([A-Za-z_][\w.-]*)(\s*\()?/.exec(head)
  if (name === null) return /^(?:\[\s*)?(?:$|\{)/.test(head) ? undefined : false
  const [, called = '', bracket] = name
  if (bracket !== undefined) return names.includes(called)
  return head.trimEnd().endsWith(called) && names.some((candidate) => candidate.startsWith(called)) ? undefined : false
}
