import { AppError } from '../../errors.ts'
import type { Token, TokenKind } from './lexer.ts'
import { quote } from './quote.ts'

/** The tokens of a template one after the other, and errors in the words of Go's parser. */
export class TokenStream {
  readonly #tokens: readonly Token[]
  /** The next token's place: a parser may go back. */
  at = 0
  /** Line of the action being parsed, 0 outside. */
  actionLine = 0
  /** The furthest token looked at: its line is the one Go puts into an error. */
  #furthest = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  peek(): Token {
    this.#furthest = Math.max(this.#furthest, this.at)
    // Past the end, or past an error, there is only the last token.
    return (this.#tokens[this.at] ?? this.#tokens.at(-1)) as Token
  }

  next(): Token {
    const token = this.peek()
    this.at++
    return token
  }

  nextNonSpace(): Token {
    let token = this.next()
    while (token.kind === 'space') token = this.next()
    return token
  }

  peekNonSpace(): Token {
    while (this.peek().kind === 'space') this.at++
    return this.peek()
  }

  expect(kind: TokenKind, context: string): Token {
    const token = this.nextNonSpace()
    return token.kind === kind ? token : this.unexpected(token, context)
  }

  unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.fail(`unexpected ${describe(token)} in ${context}`)
    if (this.actionLine === 0 || this.actionLine === token.line) this.fail(token.text)
    const extra = ` in action started at :${this.actionLine}`
    return this.fail(token.text + (token.text.endsWith(' action') ? extra.slice(' in action'.length) : extra))
  }

  fail(message: string): never {
    const token = this.#tokens[this.#furthest] ?? this.#tokens.at(-1)
    throw new AppError('invalid-template', `template: :${token?.line}: ${message}`)
  }
}

function describe(token: Token): string {
  if (token.kind === 'end-of-file') return 'EOF'
  if (token.kind === 'keyword' || token.kind === 'dot' || token.kind === 'nil') return `<${token.text}>`
  const runes = [...token.text]
  return Buffer.byteLength(token.text) > 10 ? `${quote(runes.slice(0, 10).join(''))}...` : quote(token.text)
}
