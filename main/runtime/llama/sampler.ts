import { AppError } from '../../errors.ts'
import type { SamplingOptions } from '../options.ts'
import type { Pointer } from './abi.ts'
import type { Context } from './context.ts'
import type { GrammarState } from './grammar.ts'
import type { Model } from './model.ts'

/** Mirostat 1 estimates the distribution's shape from this many tokens, as llama.cpp's server does. */
const mirostatM = 100

/** Chooses tokens by one request's options. It stands for one reply: it keeps random state, penalty window and DRY's memory. */
export class Sampler {
  readonly #model: Model
  readonly #chain: Pointer
  #freed = false

  /** `prompt` is what penalties and DRY look back on before the first token; `contextLength` stands for "the whole context". */
  constructor(model: Model, options: SamplingOptions, { prompt, contextLength }: { prompt: readonly number[]; contextLength: number }) {
    const { c } = model.library
    this.#model = model
    this.#chain = c.llama_sampler_chain_init({ no_perf: true }) as Pointer
    model.own('sampler', this)
    try {
      for (const sampler of chain(model, options, contextLength)) {
        if (sampler === null) throw new AppError('invalid-request', 'llama.cpp refuses these sampling options')
        c.llama_sampler_chain_add(this.#chain, sampler)
      }
    } catch (error) {
      this.free()
      throw error
    }
    const window = Math.max(penaltyWindow(options, contextLength), dryWindow(options, contextLength))
    if (window > 0) for (const token of prompt.slice(-window)) c.llama_sampler_accept(this.#chain, token)
  }

  /** Draws from a row of the last decode. */
  sample(context: Context, row: number): number {
    const token = this.#model.library.c.llama_sampler_sample(this.#chain, context.handle, context.checkedRow(row))
    if (!this.#model.isToken(token)) throw noToken()
    return token
  }

  /**
   * Draws what the grammar allows, as llama.cpp's `common_sampler_sample` does: a free draw first, and only if the grammar refuses that token a second one
   * from the filtered vocabulary, which is dear.
   */
  sampleHeld(context: Context, row: number, grammar: GrammarState): number {
    const { candidates, library } = this.#model
    const logits = context.logits(row)
    candidates.fill(logits)
    library.c.llama_sampler_apply(this.#chain, candidates.address)
    let token = candidates.selected()
    if (token < 0 || !grammar.accepts(token)) {
      candidates.fill(logits)
      grammar.filter(candidates)
      if (candidates.exhausted) throw noToken()
      library.c.llama_sampler_apply(this.#chain, candidates.address)
      token = candidates.selected()
      if (token < 0 || !grammar.accepts(token)) throw noToken()
    }
    grammar.accept(token)
    library.c.llama_sampler_accept(this.#chain, token)
    return token
  }

  /** Draws without accepting, from all but the banned tokens; `accept` follows. */
  draw(context: Context, row: number, banned: readonly number[]): number {
    const { candidates, library } = this.#model
    candidates.fill(context.logits(row), banned)
    library.c.llama_sampler_apply(this.#chain, candidates.address)
    const token = candidates.selected()
    if (token < 0) throw noToken()
    return token
  }

  accept(token: number): void {
    this.#model.library.c.llama_sampler_accept(this.#chain, token)
  }

  free(): void {
    if (this.#freed) return
    this.#freed = true
    this.#model.disown('sampler', this)
    this.#model.library.c.llama_sampler_free(this.#chain)
  }
}

function noToken(): AppError {
  return new AppError('invalid-request', 'the sampling options and the grammar leave no token to choose')
}

/** llama.cpp's default order: bias, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, draw. */
function* chain(model: Model, options: SamplingOptions, contextLength: number): Generator<Pointer | null> {
  const { c } = model.library
  const { vocabularySize } = model
  const seed = options.seed === null ? Math.floor(Math.random() * 0xffffffff) : options.seed >>> 0
  const biases = options.logitBias.map(([token, bias]) => ({ token, bias: bias <= -100 ? Number.NEGATIVE_INFINITY : bias }))
  model.checkTokens(biases.map(({ token }) => token))
  if (biases.length > 0) yield c.llama_sampler_init_logit_bias(vocabularySize, biases.length, biases)

  const { repeatPenalty, frequencyPenalty, presencePenalty } = options
  const lastN = penaltyWindow(options, contextLength)
  if (lastN > 0) yield c.llama_sampler_init_penalties(vocabularySize, lastN, repeatPenalty, frequencyPenalty, presencePenalty)

  const dry = dryWindow(options, contextLength)
  const breakers = options.drySequenceBreakers
  if (dry > 0) yield c.llama_sampler_init_dry(model.vocab, options.dryMultiplier, options.dryBase, options.dryAllowedLength, dry, breakers, breakers.length)

  if (options.temperature <= 0) {
    yield c.llama_sampler_init_greedy()
    return
  }
  if (options.mirostat !== 0) {
    yield c.llama_sampler_init_temp(options.temperature)
    if (options.mirostat === 1) yield c.llama_sampler_init_mirostat(vocabularySize, seed, options.mirostatTau, options.mirostatEta, mirostatM)
    else yield c.llama_sampler_init_mirostat_v2(seed, options.mirostatTau, options.mirostatEta)
    return
  }
  if (options.topNSigma > 0) yield c.llama_sampler_init_top_n_sigma(options.topNSigma)
  if (options.topK > 0) yield c.llama_sampler_init_top_k(options.topK)
  if (options.typicalP < 1) yield c.llama_sampler_init_typical(options.typicalP, 1)
  if (options.topP < 1) yield c.llama_sampler_init_top_p(options.topP, 1)
  if (options.minP > 0) yield c.llama_sampler_init_min_p(options.minP, 1)
  if (options.xtcProbability > 0) yield c.llama_sampler_init_xtc(options.xtcProbability, options.xtcThreshold, 1, seed)
  if (options.dynatempRange > 0) yield c.llama_sampler_init_temp_ext(options.temperature, options.dynatempRange, options.dynatempExponent)
  else yield c.llama_sampler_init_temp(options.temperature)
  yield c.llama_sampler_init_dist(seed)
}

/** Tokens that the repetition penalties look back on; 0 when they do nothing. */
function penaltyWindow({ repeatLastN, repeatPenalty, frequencyPenalty, presencePenalty }: SamplingOptions, contextLength: number): number {
  if (repeatPenalty === 1 && frequencyPenalty === 0 && presencePenalty === 0) return 0
  return repeatLastN < 0 ? contextLength : repeatLastN
}

/** Tokens that DRY looks back on; 0 when it is off. */
function dryWindow({ dryMultiplier, dryPenaltyLastN }: SamplingOptions, contextLength: number): number {
  if (dryMultiplier === 0) return 0
  return dryPenaltyLastN < 0 ? contextLength : dryPenaltyLastN
}
