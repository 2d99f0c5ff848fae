import { AppError } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { SpecialTexts } from '../prompt/jinja.ts'
import type { Message, RenderInput, Think } from '../prompt/messages.ts'
import { type PromptTemplate, promptTemplate } from '../prompt/template.ts'
import { fitMessages } from '../prompt/truncate.ts'
import type { Lease } from '../runtime/lease.ts'
import type { Chat, ChatRequest, GenerationEvent, Truncation } from './events.ts'
import { callGrammar, demandsCall, replyGrammar, type ThinkingBlock } from './format.ts'
import { acquireWithProgress, weightsKey } from './lease.ts'
import { demandCapability, demandFeatures, findModel } from './models.ts'
import { type ResolvedOptions, resolveOptions } from './options.ts'
import { renderUnloaded } from './render.ts'
import { idleDone, reply } from './reply.ts'
import type { GenerationServices } from './services.ts'
import { thinkingLimit } from './thinking.ts'

/** Conversations: the waist of every chat route and of the window. */
export function createChat(services: GenerationServices): Chat {
  return async function* chat(request, signal) {
    const startedAt = performance.now()
    const { model, options, think } = await admitted(services, request)
    const mustCall = request.tools.length > 0 && demandsCall(request.toolChoice)
    if (mustCall && (options.grammar !== null || request.format?.type === 'grammar'))
      throw new AppError('invalid-request', 'a grammar for the answer cannot be held together with a tool_choice that demands a call: leave one of them out')
    const asked = replyGrammar(options, request.format)
    const format = mustCall ? null : asked

    if (request.messages.length === 0 && request.keepAliveMs === 0) {
      await services.scheduler.unload(weightsKey(model))
      yield idleDone('unload', startedAt, 0)
      return
    }
    const input = renderInput(model, think, request)
    const rendered = (prompt: string): GenerationEvent => ({
      type: 'rendered',
      prompt,
      imageCount: input.messages.reduce((count, message) => count + (message.images?.length ?? 0), 0),
    })
    if (request.renderOnly && request.messages.length > 0) {
      const prompt = await renderUnloaded(model, request, options, (texts) => modelTemplate(services, model, texts).render(input, signal))
      if (prompt !== null) {
        yield rendered(prompt)
        return
      }
    }
    await using lease = yield* acquireWithProgress(services, model, { placement: options.placement, keepAliveMs: request.keepAliveMs }, signal)
    if (request.messages.length === 0) {
      yield idleDone('load', startedAt, lease.loadMs)
      return
    }
    const template = modelTemplate(services, model, lease.runner.info)
    const { prompt, tokens, truncation } = await fittedPrompt(lease, template, input, request, options, signal)
    if (request.renderOnly) {
      yield rendered(prompt)
      return
    }
    refuseImages(input.messages, request.model)
    const thinking = thinkingBlock(template, think, prompt)
    const limit = thinkingLimit(template, options.thinkingBudget, prompt, input.tools.length > 0)
    yield* reply(
      lease,
      {
        model,
        options,
        prompt: tokens ?? prompt,
        template: template.kind,
        // What is closed by force may be written where none was asked for.
        parser: template.parser({ tools: input.tools, think: limit === null ? think : true, prompt, messages: input.messages, format: format !== null }),
        grammar: format?.(thinking) ?? callGrammar(template, input.tools, request, thinking),
        thinkingLimit: limit,
        parallelCalls: request.parallelCalls ?? true,
        topLogprobs: request.topLogprobs,
        shift: request.shift,
        overflow: request.truncate && request.shift ? 'cut-middle' : 'refuse',
        truncation,
        returnTokens: false,
        showSpecial: true,
        startedAt,
      },
      signal,
    )
  }
}

/** A chat request as its model takes it: all that is known before a runner is. */
interface AdmittedChat {
  model: Model
  options: ResolvedOptions
  think: Think | null
}

/** Finds the model and refuses what it cannot do. */
export async function admitted(services: GenerationServices, request: ChatRequest): Promise<AdmittedChat> {
  const model = await findModel(services, request.model)
  demandCapability(model, 'completion', `"${request.model}" does not support chat`)
  demandFeatures(model, request.tools.length > 0 && request.toolChoice !== 'none' ? ['tools'] : [])
  const options = resolveOptions(request.options, model.parameters, request.dialectDefaults)
  const think = effectiveThink(model, request, options)
  if (options.unknown.length > 0) services.log.warn('unknown options are ignored', { options: options.unknown })
  return { model, options, think }
}

/** The whole conversation for the model's template, nothing cut. */
export function renderInput(model: Model, think: Think | null, request: ChatRequest): RenderInput {
  return {
    messages: prepareMessages(model, request.messages),
    tools: request.toolChoice === 'none' ? [] : request.tools,
    think,
    ...(request.templateVariables && { variables: request.templateVariables }),
  }
}

/** Which template renders this model's prompts, by design §4. */
export function modelTemplate(services: GenerationServices, model: Model, specials: SpecialTexts, requestTemplate: string | null = null): PromptTemplate {
  return promptTemplate({
    go: model.template,
    jinja: model.header.chatTemplate,
    request: requestTemplate,
    preferGo: services.preferGoTemplate,
    render: services.renderJinja,
    specials,
  })
}

/** Said nothing: on for models that can. Asked of a model that cannot: refused, or ignored where the dialect is lenient. No tokens to think with: off. */
export function effectiveThink(
  model: Model,
  request: Pick<ChatRequest, 'model' | 'think' | 'lenientThink'>,
  { thinkingBudget }: Pick<ResolvedOptions, 'thinkingBudget'>,
): Think | null {
  const able = model.capabilities.includes('thinking')
  if (able && thinkingBudget === 0) return false
  if (request.think === null) return able ? true : null
  if (request.think !== false && !able) {
    if (request.lenientThink) return null
    throw new AppError('invalid-request', `"${request.model}" does not support thinking`)
  }
  return request.think
}

/** Model messages first, then the model's system text unless the request begins with one (ollama-api §3.3). */
function prepareMessages(model: Model, messages: Message[]): Message[] {
  const all: Message[] = [...model.messages, ...messages]
  if (model.system !== null && model.system !== '' && all[0]?.role !== 'system') all.unshift({ role: 'system', content: model.system })
  const forgetsThinking = model.details.family === 'qwen3' || model.name.model.toLowerCase() === 'deepseek-r1'
  if (!forgetsThinking) return all
  const lastUser = all.findLastIndex((message) => message.role === 'user')
  return all.map((message, at) => (message.role === 'assistant' && at < lastUser ? { ...message, content: withoutThinking(message.content) } : message))
}

function withoutThinking(text: string): string {
  return text.replace(/<think>[\s\S]*?<\/think>\s*/g, '')
}

/** Drops whole messages, oldest first, until the prompt fits; what was dropped is told (P1). */
async function fittedPrompt(
  lease: Lease,
  template: PromptTemplate,
  input: RenderInput,
  request: ChatRequest,
  options: ResolvedOptions,
  signal: AbortSignal,
): Promise<{ prompt: string; tokens: number[] | null; truncation: Truncation | null }> {
  let lastCounted: { text: string; tokens: number[] } | null = null
  const count = async (texts: string[]) => {
    // A prompt is counted alone, and as the runner takes it.
    const [text = '', ...more] = texts
    const counted = await lease.runner.tokenize(texts, { addSpecial: more.length === 0, parseSpecial: true }, signal)
    lastCounted = { text, tokens: counted[0] ?? [] }
    return counted.map((tokens) => tokens.length)
  }
  const fitted = await fitMessages({
    messages: input.messages,
    limit: lease.contextLength,
    truncate: request.truncate,
    keep: options.keep,
    render: (messages) => template.render({ ...input, messages }, signal),
    count,
  })
  const dropped = fitted.droppedTokens > 0 || fitted.droppedMessages > 0
  return {
    prompt: fitted.prompt,
    tokens: tokensOf(fitted.prompt, lastCounted),
    truncation: dropped
      ? {
          droppedMessages: fitted.droppedMessages,
          droppedTokens: fitted.droppedTokens,
          keptTokens: fitted.promptTokens,
          contextLength: lease.contextLength,
        }
      : null,
  }
}

/** What the last count found, so that the runner need not find it again. */
function tokensOf(prompt: string, counted: { text: string; tokens: number[] } | null): number[] | null {
  return counted?.text === prompt ? counted.tokens : null
}

/** The thinking block that a reply may begin with before it answers, null when it may not. */
export function thinkingBlock(template: PromptTemplate, think: Think | null, prompt: string): ThinkingBlock | null {
  const tags = think === null || think === false ? null : template.thinkingTags
  return tags && { ...tags, opened: prompt.trimEnd().endsWith(tags.open) }
}

export function refuseImages(messages: Pick<Message, 'images'>[], model: string): void {
  if (messages.some((message) => (message.images?.length ?? 0) > 0)) {
    throw new AppError('invalid-request', `"${model}" does not support images: this version of Paddock reads text only`)
  }
}
