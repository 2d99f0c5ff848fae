import type { Model } from '../llama/model.ts'

/** The part of a model that knows what tokens stand for. */
export type Vocabulary = Pick<Model, 'piece'>

export interface TextOptions {
  stop: readonly string[]
  /** Special tokens become text; else they are silent, but still meet stop strings. */
  showSpecial: boolean
}

/** Makes text of tokens: whole characters only, and nothing that could be the beginning of a stop string. */
export class TextStream {
  readonly #model: Vocabulary
  readonly #stop: readonly string[]
  readonly #showSpecial: boolean
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** Bytes of an unfinished character are in the decoder. */
  #unfinished = false
  #held = ''
  #stopString: string | null = null
  /** Characters that have been given so far, and those that have come in. */
  #given = 0
  #received = 0

  constructor(model: Vocabulary, { stop, showSpecial }: TextOptions) {
    this.#model = model
    this.#stop = stop.filter((text) => text !== '')
    this.#showSpecial = showSpecial
  }

  /** The stop string that was met; nothing follows it. */
  get stopString(): string | null {
    return this.#stopString
  }

  /** Length of all text given. */
  get given(): number {
    return this.#given
  }

  /** Length of all text that the tokens so far stand for, held-back text included. */
  get received(): number {
    return this.#received
  }

  /** Text that can be shown now that this token has come. */
  push(token: number): string {
    if (this.#stopString !== null) return ''
    const piece = this.#model.piece(token, this.#showSpecial)
    if (piece.bytes.length === 0 && !this.#showSpecial) return this.#pushSilent(token)
    if (piece.text !== null && !this.#unfinished) return this.#add(piece.text)
    const text = this.#decoder.decode(piece.bytes, { stream: true })
    // Whether bytes are left in the decoder cannot be asked; they are gone when text comes out of a token that ends a character.
    this.#unfinished = piece.text === null || text === ''
    return this.#add(text)
  }

  /** The rest, when no token follows; an unfinished character becomes U+FFFD. */
  end(): string {
    if (this.#stopString !== null) return ''
    const text = this.#add(this.#decoder.decode())
    const rest = this.#held
    this.#held = ''
    this.#given += rest.length
    return text + rest
  }

  #pushSilent(token: number): string {
    const { text } = this.#model.piece(token, true)
    this.#stopString = this.#stop.find((stop) => text?.includes(stop)) ?? null
    if (this.#stopString === null) return ''
    const rest = this.#held
    this.#held = ''
    this.#given += rest.length
    return rest
  }

  #add(text: string): string {
    this.#received += text.length
    if (this.#stop.length === 0) {
      this.#given += text.length
      return text
    }
    const all = this.#held + text
    const met = firstStop(all, this.#stop)
    if (met !== null) {
      this.#stopString = met.stop
      this.#held = ''
      this.#given += met.at
      return all.slice(0, met.at)
    }
    const cut = all.length - heldLength(all, this.#stop)
    this.#held = all.slice(cut)
    this.#given += cut
    return all.slice(0, cut)
  }
}

function firstStop(text: string, stops: readonly string[]): { stop: string; at: number } | null {
  let first: { stop: string; at: number } | null = null
  for (const stop of stops) {
    const at = text.indexOf(stop)
    if (at >= 0 && (first === null || at < first.at)) first = { stop, at }
  }
  return first
}

/** Length of the longest tail that a stop string begins with. */
function heldLength(text: string, stops: readonly string[]): number {
  let longest = 0
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length
    }
  }
  return longest
}
