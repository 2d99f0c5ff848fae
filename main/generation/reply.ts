import { AppError } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { ReplyParser } from '../prompt/messages.ts'
import type { Lease } from '../runtime/lease.ts'
import type { GenerateRequest, GenerateStats, Grammar, RunnerEvent, ThinkingLimit } from '../runtime/protocol.ts'
import { RunnerError } from '../runtime/runner.ts'
import type { GenerationEvent, TemplateKind, Truncation, Usage } from './events.ts'
import type { ResolvedOptions } from './options.ts'

/** One prompt, ready to be answered. */
export interface ReplyPlan {
  model: Model
  options: ResolvedOptions
  /** Token ids are taken as they are. */
  prompt: string | number[]
  template: TemplateKind
  /** null: the text as it comes. */
  parser: ReplyParser | null
  grammar: Grammar | null
  thinkingLimit: ThinkingLimit | null
  /** false: the first call ends the reply, whatever the model goes on with. */
  parallelCalls: boolean
  topLogprobs: number | null
  shift: boolean
  overflow: GenerateRequest['overflow']
  truncation: Truncation | null
  returnTokens: boolean
  showSpecial: boolean
  /** `performance.now()` of the request's start. */
  startedAt: number
}

/** The peer's bound on a reply that nothing else bounds (ollama-api §6, `num_predict`). */
const longestReply = 10

/** Runs one reply on a leased runner and gives the waist's events, `done` last. */
export async function* reply(lease: Lease, plan: ReplyPlan, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
  const { options, parser, template } = plan
  const limit = longestReply * lease.contextLength
  let truncation = plan.truncation
  const events = lease.runner.generate(
    {
      prompt: plan.prompt,
      addSpecial: true,
      parseSpecial: true,
      contextLength: lease.contextLength,
      overflow: plan.overflow,
      keep: options.keep,
      shift: plan.shift,
      maxTokens: options.maxTokens <= 0 || options.maxTokens > limit ? limit : options.maxTokens,
      stop: options.stop,
      sampling: options.sampling,
      grammar: plan.grammar,
      thinkingLimit: plan.thinkingLimit,
      topLogprobs: plan.topLogprobs,
      adapters: plan.model.adapters.map(({ file }) => ({ file, scale: 1 })),
      showSpecial: plan.showSpecial,
      returnTokens: plan.returnTokens,
      cachePrompt: true,
      stopAtEog: true,
    },
    signal,
  )
  let text = ''
  let thinkingTokens = 0
  /** Tokens whose text the parser holds back. */
  let heldTokens = 0
  const soFar = new StatsSoFar()
  for await (const event of inProtocolWords(events, plan.shift)) {
    soFar.see(event)
    switch (event.type) {
      case 'prompt': {
        const { promptTokens, cachedTokens, evaluatedTokens, cutTokens } = event
        if (cutTokens > 0) truncation = withCut(truncation, cutTokens, promptTokens, lease.contextLength)
        yield { type: 'prompt', template, promptTokens, cachedTokens, evaluatedTokens, ...(truncation && { truncation }) }
        break
      }
      case 'text': {
        text += event.text
        const parsed: GenerationEvent[] = parser ? parser.push(event.text) : event.text === '' ? [] : [{ type: 'text', text: event.text }]
        heldTokens += event.tokens
        if (parsed.some(({ type }) => type === 'thinking')) thinkingTokens += heldTokens
        if (parsed.length > 0) heldTokens = 0
        const first = plan.parallelCalls ? -1 : parsed.findIndex(({ type }) => type === 'tool-call')
        if (first < 0) {
          yield* withLogprobs(parsed, event.logprobs)
          break
        }
        yield* withLogprobs(parsed.slice(0, first + 1), event.logprobs)
        yield ended({ reason: 'stop', stopString: null, stats: soFar.stats })
        return
      }
      case 'done': {
        lease.wrote(event.stats.completionTokens, event.stats.generateMs)
        const rest = parser?.end(event.reason === 'length') ?? []
        const first = plan.parallelCalls ? -1 : rest.findIndex(({ type }) => type === 'tool-call')
        yield* first < 0 ? rest : rest.slice(0, first + 1)
        // Where a stop string or a grammar parts the text from the tokens that were drawn, later requests go on from the text, as the peer's do.
        const apart =
          typeof plan.prompt === 'string' && event.tokens !== undefined && (event.stopString !== null || plan.grammar !== null) && event.stats.cutTokens === 0
        const tokens = apart ? (await lease.runner.tokenize([plan.prompt + text], { addSpecial: true, parseSpecial: true }, signal))[0] : event.tokens
        yield { ...ended(event), ...(tokens && { tokens }) }
        break
      }
      default:
        event satisfies never
    }
  }

  function ended({ reason, stopString, stats }: Pick<Extract<RunnerEvent, { type: 'done' }>, 'reason' | 'stopString' | 'stats'>): GenerationEvent {
    const usage: Usage = { ...stats, loadMs: lease.loadMs, totalMs: performance.now() - plan.startedAt, thinkingTokens }
    return { type: 'done', reason, stopString, usage, template, ...(truncation && { truncation }) }
  }
}

/** Counts and times of a reply that is left before the runner tells them. */
class StatsSoFar {
  readonly #begunAt = performance.now()
  #firstTextAt: number | null = null
  #prompt = { promptTokens: 0, cachedTokens: 0, cutTokens: 0 }
  #completionTokens = 0

  see(event: RunnerEvent): void {
    if (event.type === 'prompt') this.#prompt = event
    if (event.type !== 'text') return
    this.#firstTextAt ??= performance.now()
    this.#completionTokens += event.tokens
  }

  get stats(): GenerateStats {
    const now = performance.now()
    const { promptTokens, cachedTokens, cutTokens } = this.#prompt
    const firstAt = this.#firstTextAt ?? now
    const times = { queueMs: 0, promptMs: firstAt - this.#begunAt, generateMs: now - firstAt }
    return { promptTokens, cachedTokens, cutTokens, completionTokens: this.#completionTokens, ...times, shifts: 0, shiftedTokens: 0 }
  }
}

/** A prompt that is too long is refused with the protocol's text where it has one, else with the figures. */
async function* inProtocolWords(events: AsyncIterable<RunnerEvent>, shift: boolean): AsyncGenerator<RunnerEvent> {
  try {
    yield* events
  } catch (error) {
    if (!(error instanceof RunnerError) || error.code !== 'context-exceeded') throw error
    const { promptTokens, contextLength } = error.details
    const text = shift
      ? `request (${promptTokens} tokens) exceeds the available context size (${contextLength} tokens), try increasing it`
      : 'the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context length in settings, or use a model with a longer context length'
    throw new AppError('context-exceeded', text, { cause: error })
  }
}

/** Log-probabilities ride on the first event of their text; tokens that the parser holds back or eats still give theirs. */
function* withLogprobs(events: GenerationEvent[], logprobs: Extract<GenerationEvent, { type: 'text' }>['logprobs']): Generator<GenerationEvent> {
  if (!logprobs || logprobs.length === 0) {
    yield* events
    return
  }
  const [first, ...rest] = events
  if (first === undefined) yield { type: 'text', text: '', logprobs }
  else if (first.type === 'text' || first.type === 'thinking' || first.type === 'tool-call') yield { ...first, logprobs }
  yield* rest
}

function withCut(before: Truncation | null, cutTokens: number, keptTokens: number, contextLength: number): Truncation {
  return { droppedMessages: before?.droppedMessages ?? 0, droppedTokens: (before?.droppedTokens ?? 0) + cutTokens, keptTokens, contextLength }
}

/** The answer to a request without a prompt. */
export function idleDone(reason: 'load' | 'unload', startedAt: number, loadMs: number): GenerationEvent {
  return {
    type: 'done',
    reason,
    stopString: null,
    template: 'none',
    usage: {
      promptTokens: 0,
      cachedTokens: 0,
      completionTokens: 0,
      queueMs: 0,
      promptMs: 0,
      generateMs: 0,
      cutTokens: 0,
      shifts: 0,
      shiftedTokens: 0,
      loadMs,
      totalMs: performance.now() - startedAt,
    },
  }
}
