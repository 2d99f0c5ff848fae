import { AppError } from '../../errors.ts'
import type { Model } from '../llama/model.ts'
import type { GenerateRequest } from '../protocol.ts'

/** A failure with figures that the caller shows. */
export class ContextExceeded extends AppError {
  readonly details: { promptTokens: number; contextLength: number }

  constructor(promptTokens: number, contextLength: number) {
    super('context-exceeded', `the prompt has ${promptTokens} tokens, more than the context of ${contextLength} can hold`)
    this.details = { promptTokens, contextLength }
  }
}

export interface Prompt {
  tokens: number[]
  /** Tokens at the front that a cut or a shift keeps, BOS included. */
  keep: number
  /** Tokens that were cut from the middle. */
  cutTokens: number
}

/** The tokens of a request's prompt, made to fit into `limit` with room for one more. */
export function preparePrompt(model: Model, request: GenerateRequest, limit: number): Prompt {
  const tokens = tokensOf(model, request)
  const startsWithBos = model.bosToken >= 0 && tokens[0] === model.bosToken
  const keep = request.keep < 0 ? tokens.length : request.keep + (startsWithBos ? 1 : 0)
  const room = limit - 1
  if (tokens.length <= room) return { tokens, keep, cutTokens: 0 }
  if (request.overflow === 'refuse' || room < 1) throw new ContextExceeded(tokens.length, limit)
  return { tokens: cutMiddle(tokens, keep, room), keep: Math.min(keep, room - 1), cutTokens: tokens.length - room }
}

function tokensOf(model: Model, { prompt, addSpecial, parseSpecial }: GenerateRequest): number[] {
  if (typeof prompt !== 'string') model.checkTokens(prompt)
  const tokens = typeof prompt === 'string' ? model.tokenize(prompt, { addSpecial, parseSpecial }) : prompt.slice()
  if (tokens.length > 0) return tokens
  if (model.bosToken >= 0) return [model.bosToken]
  throw new AppError('invalid-request', 'the prompt is empty')
}

/** The front and, for at least one token, the end. */
export function cutMiddle(tokens: readonly number[], keep: number, room: number): number[] {
  const front = Math.max(0, Math.min(keep, room - 1))
  return [...tokens.slice(0, front), ...tokens.slice(tokens.length - (room - front))]
}
