import { AppError } from '../../errors.ts'
import type { Pointer } from './abi.ts'
import type { Candidates } from './candidates.ts'
import type { Model } from './model.ts'

export const maxGrammarBytes = 256 * 1024
/** llama.cpp's parser recurses; some thousands of levels end the process. */
export const maxGrammarNesting = 200

/** Where a reply stands in a grammar. llama.cpp ends the process when a grammar has to accept what it refuses: ask first. */
export class GrammarState {
  readonly #model: Model
  readonly #handle: Pointer
  #freed = false

  constructor(model: Model, gbnf: string) {
    checkGrammar(gbnf)
    const handle = model.library.c.llama_sampler_init_grammar(model.vocab, gbnf, 'root')
    if (handle === null) throw new AppError('invalid-request', 'invalid grammar: it does not parse, or has no usable rule root')
    this.#model = model
    this.#handle = handle
    model.own('sampler', this)
  }

  accepts(token: number): boolean {
    const { candidates } = this.#model
    candidates.single(token)
    this.filter(candidates)
    return !candidates.refused
  }

  /** Only what `accepts`. */
  accept(token: number): void {
    this.#model.library.c.llama_sampler_accept(this.#handle, token)
  }

  /** Goes on by a text, as its tokens; false if it was refused somewhere, and then this state is of no more use. */
  acceptText(text: string): boolean {
    for (const token of this.#model.tokenize(text, { addSpecial: false, parseSpecial: false })) {
      if (!this.accepts(token)) return false
      this.accept(token)
    }
    return true
  }

  /** Takes away what may not come next. */
  filter(candidates: Candidates): void {
    this.#model.library.c.llama_sampler_apply(this.#handle, candidates.address)
  }

  free(): void {
    if (this.#freed) return
    this.#freed = true
    this.#model.disown('sampler', this)
    this.#model.library.c.llama_sampler_free(this.#handle)
  }
}

/** Refuses what would exhaust or hang llama.cpp's parser. */
export function checkGrammar(gbnf: string): void {
  const invalid = (why: string) => new AppError('invalid-request', `invalid grammar: ${why}`)
  if (Buffer.byteLength(gbnf) > maxGrammarBytes) throw invalid(`larger than ${maxGrammarBytes / 1024} kB`)
  if (gbnf.includes('\0')) throw invalid('contains a NUL character')
  let depth = 0
  for (const [token] of gbnf.matchAll(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#.*|\{[^}]*\}|[()]/g)) {
    if (token === '(' && ++depth > maxGrammarNesting) throw invalid(`nested deeper than ${maxGrammarNesting} levels`)
    if (token === ')') depth--
    const [, least, most] = /^\{\s*(\d*)\s*,\s*(\d+)\s*\}$/.exec(token) ?? []
    if (most !== undefined && Number(most) < Number(least)) throw invalid(`the repetition ${token} ends before it begins`)
  }
}
