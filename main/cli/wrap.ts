import { displayWidth, style } from './terminal.ts'

/**
 * Keeps the words of a text whole that arrives piece by piece: a word that would reach past the last column is taken back and
 * begins the next line. What has been written stays as it is.
 */
export class WordWrap {
  readonly #columns: number
  #column = 0
  #word = ''

  /** @param columns of the terminal; the last one stays free, as terminals differ in what they do there */
  constructor(columns: number) {
    this.#columns = columns - 1
  }

  /** The piece as it goes to the terminal. */
  wrap(piece: string): string {
    let wrapped = ''
    for (const rune of piece) {
      if (rune === '\n') {
        this.#column = 0
        this.#word = ''
        wrapped += rune
      } else {
        wrapped += this.#place(rune)
      }
    }
    return wrapped
  }

  #place(rune: string): string {
    const width = displayWidth(rune)
    const isBlank = rune === ' ' || rune === '\t'
    if (this.#column + width > this.#columns) {
      if (isBlank) return this.#newLine('')
      const taken = displayWidth(this.#word)
      // A word as long as the line has no better place to begin.
      if (taken >= this.#column) return `${this.#newLine('')}${this.#place(rune)}`
      const back = taken > 0 ? style.left(taken) + style.clearToLineEnd : ''
      const word = this.#word
      return `${back}${this.#newLine(word)}${word}${this.#place(rune)}`
    }
    this.#column += width
    this.#word = isBlank ? '' : this.#word + rune
    return rune
  }

  #newLine(word: string): string {
    this.#column = displayWidth(word)
    this.#word = word
    return '\n'
  }
}
