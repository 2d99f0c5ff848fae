import { randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import type { UpstreamChat, UpstreamEvent, UpstreamUsage } from '../upstream/engine.ts'
import type { Upstreams, UpstreamTarget } from '../upstream/upstreams.ts'
import { unit } from './embed.ts'
import type { Chat, ChatRequest, Complete, CompletionRequest, Count, Embed, EmbeddingRequest, GenerationEvent, RawOptions, Usage } from './events.ts'
import { resolveOptions } from './options.ts'
import { idleDone } from './reply.ts'
import type { Rerank, RerankResult } from './rerank.ts'
import type { Tokens } from './tokens.ts'

/** All that generates, for whichever model. */
export interface Generation {
  chat: Chat
  complete: Complete
  count: Count
  embed: Embed
  tokens: Tokens
  rerank: Rerank
}

type Elsewhere = Pick<Upstreams, 'find' | 'model'>

/** The same services, where a name that begins with an engine's is answered by that engine (P11, design §4 "Names of engines elsewhere"). */
export function withElsewhere(here: Generation, upstreams: Elsewhere, log: Log): Generation {
  const options = (given: RawOptions) => checkedOptions(given, log)
  return {
    chat(request, signal) {
      const target = upstreams.find(request.model)
      if (target === null) return here.chat(request, signal)
      const idle = request.messages.length === 0
      return answered(upstreams, target, request, idle, () => oneCall(request, target.client.chat(chatRequest(target, request, options), signal)))
    },
    complete(request, signal) {
      const target = upstreams.find(request.model)
      if (target === null) return here.complete(request, signal)
      const idle = request.promptTokens === undefined && request.prompt === '' && request.suffix === ''
      return answered(upstreams, target, request, idle, () => target.client.complete(completionRequest(target, request, options), signal))
    },
    count(request, signal) {
      const target = upstreams.find(request.model)
      return target === null ? here.count(request, signal) : target.client.count(chatRequest(target, request, options), signal)
    },
    embed(request, signal) {
      const target = upstreams.find(request.model)
      return target === null ? here.embed(request, signal) : embedElsewhere(target, { ...request, options: options(request.options) }, signal)
    },
    tokens: {
      encode(request, signal) {
        const target = upstreams.find(request.model)
        return target === null ? here.tokens.encode(request, signal) : target.client.tokenize(target.model, request.text, request, signal)
      },
      decode(request, signal) {
        const target = upstreams.find(request.model)
        return target === null ? here.tokens.decode(request, signal) : target.client.detokenize(target.model, request.tokens, signal)
      },
    },
    async rerank(request, signal) {
      const target = upstreams.find(request.model)
      if (target === null) return await here.rerank(request, signal)
      const startedAt = performance.now()
      const { scores, promptTokens } = await target.client.rerank({ model: target.model, query: request.query, documents: request.documents }, signal)
      return { ...ranked(scores, request.documents.length), promptTokens, totalMs: performance.now() - startedAt, loadMs: 0 }
    },
  }
}

async function* answered(
  upstreams: Elsewhere,
  target: UpstreamTarget,
  { model, keepAliveMs, renderOnly }: Pick<ChatRequest, 'model' | 'keepAliveMs' | 'renderOnly'>,
  idle: boolean,
  ask: () => AsyncIterable<UpstreamEvent>,
): AsyncGenerator<GenerationEvent> {
  const startedAt = performance.now()
  const where = `${JSON.stringify(model)} runs in the engine ${target.upstream} at ${target.url}`
  if (renderOnly) throw new AppError('invalid-request', `${where}: its prompt is made there and cannot be shown`)
  if (idle) {
    if (keepAliveMs === 0) throw new AppError('invalid-request', `${where}: it is loaded and unloaded there`)
    await demandListed(upstreams, target, model)
    yield idleDone('load', startedAt, 0)
    return
  }
  yield* translated(ask(), startedAt)
}

/** Throws `model-not-found` where the engine is up and has no such model, `upstream-unreachable` where it is down. */
async function demandListed(upstreams: Elsewhere, target: UpstreamTarget, name: string): Promise<void> {
  const model = await upstreams.model(target)
  if (model === null) throw new AppError('model-not-found', `model '${name}' not found: the engine ${target.upstream} does not list it`)
  if (model.upstream.state === 'down') throw new AppError('upstream-unreachable', model.upstream.problem ?? `the engine ${target.upstream} is down`)
}

/** Not every engine keeps to one call when it is asked to. */
async function* oneCall({ parallelCalls = true }: ChatRequest, events: AsyncIterable<UpstreamEvent>): AsyncGenerator<UpstreamEvent> {
  let called = false
  for await (const event of events) {
    if (event.type === 'tool-call' && called && !parallelCalls) continue
    called ||= event.type === 'tool-call'
    yield event
  }
}

/** The engine's events as ours; the times that it does not tell are taken here. */
async function* translated(events: AsyncIterable<UpstreamEvent>, startedAt: number): AsyncGenerator<GenerationEvent> {
  let firstAt: number | null = null
  for await (const event of events) {
    if (event.type !== 'accepted') firstAt ??= performance.now()
    switch (event.type) {
      case 'accepted':
        yield { type: 'prompt', template: 'none', promptTokens: 0, cachedTokens: 0, evaluatedTokens: 0 }
        break
      case 'text':
      case 'thinking':
      case 'broken-call':
        yield event
        break
      case 'tool-call':
        // Clients tie a tool's result to its call by the id, which an older Ollama does not give.
        yield { ...event, call: { ...event.call, id: event.call.id || `call_${randomBytes(4).toString('hex')}` } }
        break
      case 'done': {
        const { reason, stopString, tokens, truncation } = event
        const usage = usageOf(event.usage, startedAt, firstAt ?? performance.now())
        yield { type: 'done', reason, stopString, usage, template: 'none', ...(tokens && { tokens }), ...(truncation && { truncation }) }
        break
      }
      default:
        event satisfies never
    }
  }
}

function usageOf(told: UpstreamUsage, startedAt: number, firstAt: number): Usage {
  const now = performance.now()
  return {
    promptTokens: told.promptTokens ?? 0,
    cachedTokens: told.cachedTokens ?? 0,
    completionTokens: told.completionTokens ?? 0,
    ...(told.thinkingTokens !== null && { thinkingTokens: told.thinkingTokens }),
    queueMs: 0,
    promptMs: told.promptMs ?? firstAt - startedAt,
    generateMs: told.generateMs ?? now - firstAt,
    cutTokens: 0,
    shifts: 0,
    shiftedTokens: 0,
    loadMs: told.loadMs ?? 0,
    totalMs: now - startedAt,
  }
}

/** What the caller gave and no more: an engine has defaults of its own, which stand over ours. */
function checkedOptions(given: RawOptions, log: Log): RawOptions {
  const { unknown } = resolveOptions(given)
  if (unknown.length > 0) log.warn('unknown options are ignored', { options: unknown })
  return Object.fromEntries(Object.entries(given).filter(([name, value]) => value !== null && !unknown.includes(name)))
}

function chatRequest(target: UpstreamTarget, request: ChatRequest, options: (given: RawOptions) => RawOptions): UpstreamChat {
  const { messages, tools, toolChoice, parallelCalls = true, templateVariables = {} } = request
  return { ...common(target, request, options), messages, tools, toolChoice, parallelCalls, templateVariables }
}

function completionRequest(target: UpstreamTarget, request: CompletionRequest, options: (given: RawOptions) => RawOptions) {
  const { prompt, promptTokens = null, suffix, raw, bare = false, system, template, context, images } = request
  return { ...common(target, request, options), prompt, promptTokens, suffix, raw, bare, system, template, context, images }
}

function common({ model }: UpstreamTarget, request: ChatRequest | CompletionRequest, options: (given: RawOptions) => RawOptions) {
  const { format, think, topLogprobs, keepAliveMs, truncate, shift } = request
  const lenientThink = 'lenientThink' in request && request.lenientThink === true
  return { model, options: options(request.options), format, think, lenientThink, topLogprobs, keepAliveMs, truncate, shift }
}

async function embedElsewhere({ client, model }: UpstreamTarget, request: EmbeddingRequest, signal: AbortSignal): ReturnType<Embed> {
  const { input, truncate, dimensions, normalize, options, keepAliveMs } = request
  const startedAt = performance.now()
  const empty = { embeddings: [], promptTokens: 0 }
  const { embeddings, promptTokens } = input.length === 0 ? empty : await client.embed({ model, input, truncate, dimensions, options, keepAliveMs }, signal)
  // As for models here: length 1, and cut where the engine has not.
  const shaped = (vector: number[]) => unit(dimensions > 0 && dimensions < vector.length ? vector.slice(0, dimensions) : vector)
  return { embeddings: normalize === 'always' ? embeddings.map(shaped) : embeddings, promptTokens, loadMs: 0, totalMs: performance.now() - startedAt }
}

/** An engine that leaves documents out gives them no place. */
function ranked(scores: { index: number; score: number }[], count: number): Pick<RerankResult, 'method' | 'documents'> {
  const documents = scores.filter(({ index }) => index < count).map((entry) => ({ ...entry, truncated: false }))
  return { method: 'rank-head', documents: documents.sort((a, b) => b.score - a.score) }
}
