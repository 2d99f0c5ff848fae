import { AppError } from '../errors.ts'
import type { RawOptions } from './events.ts'
import { acquire } from './lease.ts'
import { findModel } from './models.ts'
import { resolveOptions } from './options.ts'
import type { GenerationServices } from './services.ts'

interface TokensRequest {
  model: string
  options: RawOptions
  keepAliveMs: number | null
}

export interface TokenizeRequest extends TokensRequest {
  text: string
  /** Add what the vocabulary puts around a prompt, such as BOS. */
  addSpecial: boolean
  /** Text of special tokens becomes those tokens. */
  parseSpecial: boolean
}

export interface DetokenizeRequest extends TokensRequest {
  tokens: number[]
}

/** A model's vocabulary: ids for a text, and a text for ids. */
export interface Tokens {
  encode(request: TokenizeRequest, signal: AbortSignal): Promise<number[]>
  /** Special tokens are written out. Throws `invalid-request` for ids that the vocabulary lacks. */
  decode(request: DetokenizeRequest, signal: AbortSignal): Promise<string>
}

/** Vocabularies of loaded models: each call holds its model like any request, but needs no context. */
export function createTokens(services: GenerationServices): Tokens {
  const hold = async ({ model: name, options, keepAliveMs }: TokensRequest, signal: AbortSignal) => {
    const model = await findModel(services, name)
    const { placement } = resolveOptions(options, model.parameters)
    return await acquire(services, model, { placement, keepAliveMs, weightsOnly: true }, signal)
  }
  return {
    async encode(request, signal) {
      await using lease = await hold(request, signal)
      const [ids = []] = await lease.runner.tokenize([request.text], { addSpecial: request.addSpecial, parseSpecial: request.parseSpecial }, signal)
      return ids
    },
    async decode(request, signal) {
      await using lease = await hold(request, signal)
      const { vocabularySize } = lease.runner.info
      const foreign = request.tokens.find((token) => token < 0 || token >= vocabularySize)
      if (foreign !== undefined)
        throw new AppError('invalid-request', `token ${foreign} is not in the vocabulary of "${request.model}": its ids go from 0 to ${vocabularySize - 1}`)
      return await lease.runner.detokenize(request.tokens, signal)
    },
  }
}
