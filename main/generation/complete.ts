import { AppError } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { Message, RenderInput } from '../prompt/messages.ts'
import { effectiveThink, modelTemplate, refuseImages, thinkingBlock } from './chat.ts'
import type { Complete, CompletionRequest } from './events.ts'
import { replyGrammar } from './format.ts'
import { acquireWithProgress, weightsKey } from './lease.ts'
import { demandCapability, demandFeatures, findModel } from './models.ts'
import { resolveOptions } from './options.ts'
import { idleDone, reply } from './reply.ts'
import type { GenerationServices } from './services.ts'
import { thinkingLimit } from './thinking.ts'

/** Bare prompts: one turn rendered by the model's template, fill in the middle, or the text as it is (ollama-api §2). */
export function createComplete(services: GenerationServices): Complete {
  return async function* complete(request, signal) {
    const startedAt = performance.now()
    const model = await findModel(services, request.model)
    if (request.prompt === '' && request.keepAliveMs === 0) {
      await services.scheduler.unload(weightsKey(model))
      yield idleDone('unload', startedAt, 0)
      return
    }
    if (request.raw && (request.template !== null || request.system !== null || request.context !== null)) {
      throw new AppError('invalid-request', 'raw mode does not support template, system, or context')
    }
    const options = resolveOptions(request.options, model.parameters, request.dialectDefaults)
    const think = effectiveThink(model, request, options)
    demandCapability(model, 'completion', `"${request.model}" does not support generate`)
    demandFeatures(model, request.suffix === '' ? [] : ['insert'])
    if (options.unknown.length > 0) services.log.warn('unknown options are ignored', { options: options.unknown })
    const grammar = replyGrammar(options, request.format)

    await using lease = yield* acquireWithProgress(services, model, { placement: options.placement, keepAliveMs: request.keepAliveMs }, signal)
    const ids = request.promptTokens ?? null
    if (ids === null && request.prompt === '' && request.suffix === '') {
      yield idleDone('load', startedAt, lease.loadMs)
      return
    }
    const template = modelTemplate(services, model, lease.runner.info, request.template)
    const earlier = request.context === null || request.context.length === 0 ? '' : await lease.runner.detokenize(request.context, signal)
    const input: RenderInput = {
      messages: request.suffix === '' ? oneTurn(model, request) : [{ role: 'user', content: request.prompt }],
      tools: [],
      think,
      ...(request.suffix !== '' && { suffix: request.suffix }),
    }
    const raw = request.raw || ids !== null
    const prompt = raw ? request.prompt : earlier + (await template.render(input, signal))
    if (request.renderOnly) {
      yield { type: 'rendered', prompt, imageCount: request.images.length }
      return
    }
    refuseImages([request], request.model)
    // The peer leaves a Jinja model's thinking in the text unless it was asked for; a Go template's is always split off.
    const splits = !raw && (template.kind === 'go' || (request.think !== null && request.think !== false))
    const limit = raw ? null : thinkingLimit(template, options.thinkingBudget, prompt, false)
    yield* reply(
      lease,
      {
        model,
        options,
        prompt: ids ?? prompt,
        template: template.kind,
        parser: splits
          ? template.parser({ tools: [], think: limit === null ? think : true, prompt, messages: input.messages, format: grammar !== null })
          : null,
        grammar: grammar?.(splits ? thinkingBlock(template, think, prompt) : null) ?? null,
        thinkingLimit: limit,
        parallelCalls: true,
        topLogprobs: request.topLogprobs,
        shift: request.shift,
        overflow: request.truncate && request.shift ? 'cut-middle' : 'refuse',
        truncation: null,
        returnTokens: request.returnTokens && !raw,
        showSpecial: true,
        startedAt,
      },
      signal,
    )
  }
}

/** The call as a chat of one turn: system, the model's own messages unless a context came along, the prompt. */
function oneTurn(model: Model, request: CompletionRequest): Message[] {
  const system = request.system ?? model.system
  const messages: Message[] = []
  if (system !== null && system !== '') messages.push({ role: 'system', content: system })
  if (request.context === null) messages.push(...model.messages)
  messages.push({ role: 'user', content: request.prompt, ...(request.images.length > 0 && { images: request.images }) })
  return messages
}
