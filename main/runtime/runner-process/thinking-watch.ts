import type { Model } from '../llama/model.ts'
import type { ThinkingLimit } from '../protocol.ts'

/** The part of a model that turns tokens into text and back. */
export type Tokenizer = Pick<Model, 'piece' | 'tokenize'>

/** Counts the tokens of a reply's thinking, and closes the block that has used them up. */
export class ThinkingWatch {
  readonly #model: Tokenizer
  readonly #limit: ThinkingLimit
  #state: 'before' | 'inside' | 'closing' | 'over'
  #left: number
  #closed = 0
  /** What was written since the last mark, as far as a mark may still end in it. */
  #text = ''
  #forced: number[] = []

  constructor(model: Tokenizer, limit: ThinkingLimit) {
    this.#model = model
    this.#limit = limit
    this.#left = limit.tokens
    this.#state = limit.opened ? 'inside' : 'before'
    if (limit.opened && this.#left <= 0) this.#close()
  }

  /** The token that must come next; null where the model is free to choose. */
  next(): number | null {
    return this.#state === 'closing' ? (this.#forced[0] ?? null) : null
  }

  /** To be told of every token, forced ones included. */
  see(token: number): void {
    if (this.#state === 'over') return
    if (this.#state === 'closing') {
      this.#forced.shift()
      if (this.#forced.length === 0) this.#leave()
      return
    }
    const { text } = this.#model.piece(token, true)
    this.#text += text ?? '\uFFFD'
    if (this.#state === 'before') this.#seek()
    else this.#count(text !== null)
  }

  #seek(): void {
    const { open, anywhere } = this.#limit
    const begun = anywhere ? this.#text : this.#text.trimStart()
    const at = anywhere ? begun.indexOf(open) : begun.startsWith(open) ? 0 : -1
    if (at >= 0) {
      this.#state = 'inside'
      this.#text = begun.slice(at + open.length)
      if (this.#left <= 0) this.#close()
    } else if (anywhere) this.#text = begun.slice(-open.length)
    else if (!open.startsWith(begun)) this.#state = 'over'
  }

  /** @param whole the token ends with a character, not within one */
  #count(whole: boolean): void {
    this.#left--
    if (this.#text.includes(this.#limit.end)) this.#leave()
    else {
      this.#text = this.#text.slice(-this.#limit.end.length)
      if (this.#left <= 0 && whole) this.#close()
    }
  }

  #close(): void {
    const { closings } = this.#limit
    const text = closings[Math.min(this.#closed++, closings.length - 1)] ?? this.#limit.end
    this.#forced = this.#model.tokenize(text, { addSpecial: false, parseSpecial: true })
    this.#state = 'closing'
  }

  #leave(): void {
    this.#state = this.#limit.anywhere ? 'before' : 'over'
    this.#text = ''
  }
}
