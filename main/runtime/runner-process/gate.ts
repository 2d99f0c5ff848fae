import { AppError } from '../../errors.ts'
import type { Context } from '../llama/context.ts'
import { checkGrammar, GrammarState } from '../llama/grammar.ts'
import type { Model } from '../llama/model.ts'
import type { Sampler } from '../llama/sampler.ts'
import type { Grammar } from '../protocol.ts'

/** How many tokens whose tail the grammar refuses are passed over before the tail is let through. */
const maxBans = 16

/**
 * What a free text means for the grammar: `free`, go on; `undecided`, the first characters may still become the opening tag; `held`, the grammar is in force
 * from the text's beginning; `rest`, it is in force from `rest` on.
 */
export type Verdict = { state: 'free' | 'undecided' | 'held' } | { state: 'rest'; rest: string }

/** Reads the free part of a reply and says from where on the grammar holds. Pure. */
export function judge(begin: Grammar['begin'], patterns: readonly RegExp[], text: string): Verdict {
  switch (begin.kind) {
    case 'start':
      return { state: 'held' }
    case 'after-thinking': {
      const body = begin.opened ? text : text.trimStart()
      if (!begin.opened && !body.startsWith(begin.open)) return { state: begin.open.startsWith(body) ? 'undecided' : 'held' }
      const end = body.indexOf(begin.close, begin.opened ? 0 : begin.open.length)
      return end < 0 ? { state: 'free' } : { state: 'rest', rest: body.slice(end + begin.close.length).trimStart() }
    }
    case 'on-trigger':
      for (const pattern of patterns) {
        const match = pattern.exec(text)
        const at = match?.indices?.[1]?.[0] ?? match?.index
        if (at !== undefined) return { state: 'rest', rest: text.slice(at) }
      }
      return { state: 'free' }
    default:
      return begin satisfies never
  }
}

/** `again`: the tokens since the prompt were drawn in vain, as the grammar holds from the first on. */
export type Draw = { token: number; undecided: boolean } | 'again'

/** Draws a reply's tokens: freely before the grammar begins, by it afterwards. */
export class Gate {
  readonly #model: Model
  readonly #sampler: Sampler
  readonly #grammar: Grammar
  readonly #patterns: readonly RegExp[]
  /** The free text, special tokens included; a token that is a part of a character counts as U+FFFD. */
  #text = ''
  #free: boolean
  #drawn = 0
  #state: GrammarState | null = null

  /** `held`: the beginning is behind; the grammar holds from the next token. */
  constructor(model: Model, sampler: Sampler, grammar: Grammar, held = false) {
    this.#model = model
    this.#sampler = sampler
    this.#grammar = grammar
    this.#free = !held && grammar.begin.kind !== 'start'
    this.#patterns = grammar.begin.kind === 'on-trigger' ? compilePatterns(grammar.begin.patterns) : []
    if (this.#free) {
      checkGrammar(grammar.gbnf)
      new GrammarState(model, grammar.gbnf).free() // a grammar that does not parse is refused before the reply begins
    } else {
      this.#state = new GrammarState(model, grammar.gbnf)
    }
  }

  draw(context: Context, row: number): Draw {
    if (!this.#free) return { token: this.#sampler.sampleHeld(context, row, this.#state as GrammarState), undecided: false }
    const banned: number[] = []
    for (;;) {
      const token = this.#sampler.draw(context, row, banned)
      const end = this.#model.isEndOfGeneration(token)
      const text = end ? this.#text : this.#textWith(token)
      const verdict = judge(this.#grammar.begin, this.#patterns, text)
      switch (verdict.state) {
        case 'held':
          return this.#hold(context, row)
        case 'undecided':
          // A reply that ends before it is decided was never one that thinks.
          if (end) return this.#hold(context, row)
          this.#take(token, text)
          return { token, undecided: true }
        case 'free':
          // What is to be of a grammar does not end while it thinks.
          if (end && this.#grammar.begin.kind === 'after-thinking') {
            banned.push(token)
            continue
          }
          this.#take(token, text)
          return { token, undecided: false }
        case 'rest':
          if (!this.#begin(verdict.rest, banned.length >= maxBans)) {
            banned.push(token)
            continue
          }
          this.#take(token, text)
          return { token, undecided: false }
        default:
          return verdict satisfies never
      }
    }
  }

  /** The grammar has begun. */
  get holds(): boolean {
    return !this.#free
  }

  /** Takes a token that was not drawn into the free part of a reply; the grammar begins behind it where it would behind a drawn one. */
  force(token: number): void {
    const text = this.#textWith(token)
    const verdict = judge(this.#grammar.begin, this.#patterns, text)
    if (verdict.state === 'rest') this.#begin(verdict.rest, true)
    this.#take(token, text)
  }

  free(): void {
    this.#state?.free()
  }

  /** The grammar holds from here on and has seen `rest`; false if it refuses that, unless `anyway`, which begins it behind. */
  #begin(rest: string, anyway: boolean): boolean {
    let state = new GrammarState(this.#model, this.#grammar.gbnf)
    if (rest.includes('\uFFFD') || !state.acceptText(rest)) {
      state.free()
      if (!anyway) return false
      state = new GrammarState(this.#model, this.#grammar.gbnf)
    }
    this.#state = state
    this.#free = false
    return true
  }

  /** The grammar holds from the first token: this row's, unless others were drawn before it. */
  #hold(context: Context, row: number): Draw {
    if (this.#drawn > 0) return 'again'
    this.#free = false
    this.#state = new GrammarState(this.#model, this.#grammar.gbnf)
    return { token: this.#sampler.sampleHeld(context, row, this.#state), undecided: false }
  }

  #take(token: number, text: string): void {
    this.#sampler.accept(token)
    this.#drawn++
    this.#text = text
  }

  #textWith(token: number): string {
    return this.#text + (this.#model.piece(token, true).text ?? '\uFFFD')
  }
}

function compilePatterns(patterns: readonly string[]): RegExp[] {
  return patterns.map((pattern) => {
    try {
      return new RegExp(pattern, 'd')
    } catch (error) {
      throw new AppError('invalid-request', `invalid grammar trigger: ${pattern}`, { cause: error })
    }
  })
}
