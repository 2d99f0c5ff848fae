import type { JsonObject } from '../../lib/json.ts'
import type { Message } from '../../prompt/messages.ts'

interface Bounds {
  count: number
  /** Text counts two bytes a character. */
  bytes: number
}

/** A response that can be asked for again, and gone on from. */
export interface StoredResponse {
  /** The conversation behind it, its own reply included. */
  messages: readonly Message[]
  /** As it was answered. */
  response: { output: readonly { id: string }[] }
  /** What its request added to the conversation, an id each. */
  input: readonly JsonObject[]
}

/** The latest responses, for `previous_response_id` and for callers that ask again: in memory only, the least used go first. */
export class ResponseStore {
  readonly #bounds: Bounds
  /** In the order of use. */
  readonly #kept = new Map<string, StoredResponse & { bytes: number }>()
  #bytes = 0

  constructor(bounds: Bounds = { count: 1000, bytes: 64 * 1024 * 1024 }) {
    this.#bounds = bounds
  }

  /** null when it is not known: never kept, or gone since. */
  find(id: string): StoredResponse | null {
    const found = this.#kept.get(id)
    if (found === undefined) return null
    this.#kept.delete(id)
    this.#kept.set(id, found)
    return found
  }

  /** An item that a response gave or was given, by its own id. */
  item(id: string): JsonObject | null {
    for (const { response, input } of this.#kept.values()) {
      const found = [...response.output, ...input].find((item) => item.id === id)
      if (found !== undefined) return found as unknown as JsonObject
    }
    return null
  }

  /** Messages that two conversations share count for both: the bound is on the safe side. */
  keep(id: string, stored: StoredResponse): void {
    const told = JSON.stringify([stored.response, stored.input]).length
    const bytes = stored.messages.reduce((sum, message) => sum + messageBytes(message), 2 * told)
    this.#kept.set(id, { ...stored, bytes })
    this.#bytes += bytes
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#bounds.count && this.#bytes <= this.#bounds.bytes) break
      this.delete(oldest)
    }
  }

  /** False when it is not known. */
  delete(id: string): boolean {
    this.#bytes -= this.#kept.get(id)?.bytes ?? 0
    return this.#kept.delete(id)
  }
}

function messageBytes({ content, thinking = '', toolCalls = [], images = [] }: Message): number {
  const text = content.length + thinking.length + JSON.stringify(toolCalls).length
  return 2 * text + images.reduce((sum, image) => sum + image.length, 0)
}
