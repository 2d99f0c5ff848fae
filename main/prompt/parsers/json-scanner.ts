/** Finds where a JSON object or array ends in text that arrives in pieces; looks at each character once. */
export class JsonScanner {
  #depth = 0
  #inString = false
  #escaped = false

  /** The position after the closing bracket, or -1 while it has not come. The first character must open the value. */
  scan(piece: string): number {
    for (let at = 0; at < piece.length; at++) {
      const char = piece[at]
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (char === '\\') this.#escaped = true
        else if (char === '"') this.#inString = false
      } else if (char === '"') this.#inString = true
      else if (char === '{' || char === '[') this.#depth++
      else if (char === '}' || char === ']') {
        this.#depth--
        if (this.#depth <= 0) return at + 1
      }
    }
    return -1
  }
}
