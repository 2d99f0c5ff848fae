import { admitted, modelTemplate, refuseImages, renderInput } from './chat.ts'
import type { Count } from './events.ts'
import { acquire } from './lease.ts'
import type { GenerationServices } from './services.ts'

/** How long a chat's prompt is: rendered and tokenised as `chat` would, then thrown away. */
export function createCount(services: GenerationServices): Count {
  return async (request, signal) => {
    const { model, options, think } = await admitted(services, request)
    const input = renderInput(model, think, request)
    refuseImages(input.messages, request.model)
    await using lease = await acquire(services, model, { placement: options.placement, keepAliveMs: request.keepAliveMs, weightsOnly: true }, signal)
    const prompt = await modelTemplate(services, model, lease.runner.info).render(input, signal)
    const [tokens = []] = await lease.runner.tokenize([prompt], { addSpecial: true, parseSpecial: true }, signal)
    return tokens.length
  }
}
