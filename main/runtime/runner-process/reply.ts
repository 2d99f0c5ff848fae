import type { Context } from '../llama/context.ts'
import { logprobs } from '../llama/logprobs.ts'
import type { LoraAdapter, Model } from '../llama/model.ts'
import { Sampler } from '../llama/sampler.ts'
import type { GenerateRequest, GenerateStats, RunnerEvent, TokenLogprob } from '../protocol.ts'
import { type Draw, Gate } from './gate.ts'
import type { Prompt } from './prompt.ts'
import { TextStream } from './text.ts'
import { ThinkingWatch } from './thinking-watch.ts'

export interface Ending {
  reason: 'stop' | 'length'
  stopString: string | null
}

/** JSON has no infinity; OpenAI's interface writes this for a token that cannot come. */
const leastLogprob = -9999

/** One request from its prompt to its last token. */
export class Reply {
  readonly id: number
  readonly request: GenerateRequest
  readonly prompt: Prompt
  /** Tokens that prompt and reply may fill. */
  readonly limit: number
  readonly adapters: readonly { adapter: LoraAdapter; scale: number }[]
  /** Replies of different adapters cannot share a decode. */
  readonly adapterKey: string
  /** The token to evaluate next; null while the prompt is evaluated. */
  next: number | null = null
  cancelled = false
  cachedTokens = 0
  shifts = 0
  shiftedTokens = 0
  readonly #model: Model
  readonly #text: TextStream
  #sampler: Sampler | null = null
  #gate: Gate | null = null
  #thinking: ThinkingWatch | null
  readonly #emit: (event: RunnerEvent) => void
  /** The reply's tokens but for one that ended it. */
  readonly #tokens: number[] = []
  /** Tokens that may still turn out to be drawn in vain. */
  #undecided: { token: number; logprob: TokenLogprob | null }[] = []
  /** Log-probabilities of tokens whose text is held back, with where that begins and ends. */
  #pendingLogprobs: { start: number; end: number; value: TokenLogprob }[] = []
  #completionTokens = 0
  #unreported = 0
  readonly #queuedAt = performance.now()
  #startedAt = 0
  #firstTokenAt = 0

  constructor(
    model: Model,
    given: { id: number; request: GenerateRequest; prompt: Prompt; limit: number; adapters: readonly { adapter: LoraAdapter; scale: number }[] },
    emit: (event: RunnerEvent) => void,
  ) {
    this.id = given.id
    this.request = given.request
    this.prompt = given.prompt
    this.limit = given.limit
    this.adapters = given.adapters
    this.adapterKey = given.request.adapters.map(({ file, scale }) => `${scale}*${file}`).join('\n')
    this.#model = model
    this.#emit = emit
    this.#text = new TextStream(model, given.request)
    this.#thinking = given.request.thinkingLimit && new ThinkingWatch(model, given.request.thinkingLimit)
  }

  /** Evaluation begins; throws when options or grammar are refused. */
  start(cachedTokens: number): void {
    this.cachedTokens = cachedTokens
    this.#startedAt = performance.now()
    this.#makeSampler(false)
    this.reportPrompt(cachedTokens)
  }

  reportPrompt(evaluatedUpTo: number): void {
    this.#emit({
      type: 'prompt',
      promptTokens: this.prompt.tokens.length,
      cachedTokens: this.cachedTokens,
      evaluatedTokens: evaluatedUpTo - this.cachedTokens,
      cutTokens: this.prompt.cutTokens,
    })
  }

  /**
   * Draws the next token from a row. `again`: the tokens since the prompt were drawn in vain; evaluate the prompt's last token once more. An ending: the
   * reply is over, `finish` it.
   */
  take(context: Context, row: number): Ending | 'again' | null {
    if (this.#firstTokenAt === 0) this.#firstTokenAt = performance.now()
    if (this.request.maxTokens === 0) return { reason: 'length', stopString: null }
    // A grammar that has begun inside the thinking holds a call, which is not to be cut.
    const forced = this.#gate?.holds ? null : (this.#thinking?.next() ?? null)
    const draw = forced === null ? this.#draw(context, row) : this.#force(forced)
    if (draw === 'again') {
      this.#drawAgain()
      return 'again'
    }
    const { token, undecided } = draw
    this.#completionTokens++
    this.#unreported++
    this.#thinking?.see(token)
    const ends = this.#model.isEndOfGeneration(token)
    if (ends && forced === null && this.request.stopAtEog) return { reason: 'stop', stopString: null }
    this.#tokens.push(token)
    const logprob = this.request.topLogprobs === null ? null : this.#score(context, row, token, this.request.topLogprobs)
    this.#undecided.push({ token, logprob })
    if (!undecided) this.#write()
    if (this.#text.stopString !== null) return { reason: 'stop', stopString: this.#text.stopString }
    if (this.request.maxTokens > 0 && this.#completionTokens >= this.request.maxTokens) return { reason: 'length', stopString: null }
    this.next = token
    return null
  }

  /** Gives what was held back and the end. */
  finish({ reason, stopString }: Ending): void {
    this.#write()
    const rest = this.#text.end()
    this.#emitText(rest, true)
    const now = performance.now()
    const firstAt = this.#firstTokenAt === 0 ? now : this.#firstTokenAt
    const stats: GenerateStats = {
      promptTokens: this.prompt.tokens.length,
      cachedTokens: this.cachedTokens,
      completionTokens: this.#completionTokens,
      queueMs: this.#startedAt - this.#queuedAt,
      promptMs: firstAt - this.#startedAt,
      generateMs: now - firstAt,
      cutTokens: this.prompt.cutTokens,
      shifts: this.shifts,
      shiftedTokens: this.shiftedTokens,
    }
    const tokens = this.request.returnTokens ? { tokens: [...this.prompt.tokens, ...this.#tokens] } : {}
    this.#emit({ type: 'done', reason, stopString, stats, ...tokens })
  }

  free(): void {
    this.#gate?.free()
    this.#sampler?.free()
    this.#gate = this.#sampler = null
  }

  #draw(context: Context, row: number): Draw {
    if (this.#gate !== null) return this.#gate.draw(context, row)
    return { token: this.#started.sample(context, row), undecided: false }
  }

  #force(token: number): Exclude<Draw, 'again'> {
    if (this.#gate === null) this.#started.accept(token)
    else this.#gate.force(token)
    return { token, undecided: false }
  }

  get #started(): Sampler {
    if (this.#sampler === null) throw new Error('the reply has not started')
    return this.#sampler
  }

  #makeSampler(held: boolean): void {
    const { sampling, grammar } = this.request
    this.#sampler = new Sampler(this.#model, sampling, { prompt: this.prompt.tokens, contextLength: this.limit })
    if (grammar !== null) this.#gate = new Gate(this.#model, this.#sampler, grammar, held)
  }

  #drawAgain(): void {
    const count = this.#undecided.length
    this.#tokens.length -= count
    this.#completionTokens -= count
    this.#unreported -= count
    this.#undecided = []
    this.#thinking = null // a reply that is held from its first token does not think
    this.next = null
    this.free()
    this.#makeSampler(true)
  }

  /** Writes the tokens that wait, now that they are sure to stay. */
  #write(): void {
    for (const { token, logprob } of this.#undecided) {
      const start = this.#text.received
      const text = this.#model.isEndOfGeneration(token) ? '' : this.#text.push(token)
      if (logprob !== null) this.#pendingLogprobs.push({ start, end: this.#text.received, value: logprob })
      this.#emitText(text, false)
    }
    this.#undecided.length = 0
  }

  #emitText(text: string, last: boolean): void {
    const scores = this.#readyLogprobs(last)
    if (text === '' && scores.length === 0) return
    const tokens = this.#unreported
    this.#unreported = 0
    this.#emit(scores.length === 0 ? { type: 'text', text, tokens } : { type: 'text', text, tokens, logprobs: scores })
  }

  /** Those whose text has been given; at the end those that began before a stop string. */
  #readyLogprobs(last: boolean): TokenLogprob[] {
    if (this.#pendingLogprobs.length === 0) return []
    const { given, stopString } = this.#text
    const ready = this.#pendingLogprobs.filter(({ start, end }) => end <= given || (last && (stopString === null || start < given)))
    this.#pendingLogprobs = this.#pendingLogprobs.slice(ready.length)
    return ready.map(({ value }) => value)
  }

  #score(context: Context, row: number, token: number, count: number): TokenLogprob {
    const { logprob, top } = logprobs(context.logits(row), token, count)
    return { ...this.#scored(token, logprob), top: top.map((best) => this.#scored(best.token, best.logprob)) }
  }

  #scored(token: number, logprob: number): { token: string; bytes: number[]; logprob: number } {
    const { bytes, text } = this.#model.piece(token, true)
    return { token: text ?? Buffer.from(bytes).toString(), bytes: Array.from(bytes), logprob: Math.max(logprob, leastLogprob) }
  }
}
