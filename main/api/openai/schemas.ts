import { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { Format, RawOptions } from '../../generation/events.ts'
import { isJsonObject, type Json } from '../../lib/json.ts'
import type { Think } from '../../prompt/messages.ts'
import { custom, flag, kindOf, onUnlessFalse, options, text, tools, wire } from '../body.ts'
import { goKind } from '../go.ts'
import { keepAlive } from '../keep-alive.ts'
import { messages } from './messages.ts'

const number = z.number().optional()
const whole = z.int().optional()
const streamOptions = wire({ include_usage: flag }).prefault({})

const tokenIds = { type: 'array', items: { type: 'integer', minimum: 0 } }
const textsOrTokens = [{ type: 'array', items: { type: 'string' } }, tokenIds, { type: 'array', items: tokenIds }]

function isToken(value: unknown): value is number {
  return Number.isInteger(value)
}

function isTokens(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isToken)
}

const oneOrMore = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] }

/** A string or a list; what is not a string is left out. */
const lenientStop = custom((value): string[] | undefined => {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined
}, oneOrMore)

const strictStop = custom((value): string[] | undefined => {
  if (value === null) return undefined
  const list = Array.isArray(value) ? value : [value]
  const odd = list.find((item) => typeof item !== 'string')
  if (odd !== undefined) throw invalid(`invalid type for 'stop' field: ${goKind(odd)}`)
  return list
}, oneOrMore)

/** Levels of effort as the waist knows them (openai-anthropic-api §10.2). */
const efforts: Record<string, Think> = {
  none: false,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'max',
  ultra: 'max',
  max: 'max',
}

/** Effort → think; null when nothing was said. */
export function thinkOf(effort: string): Think | null {
  if (effort === '') return null
  const think = efforts[effort]
  if (think !== undefined && Object.hasOwn(efforts, effort)) return think
  throw invalid(`invalid reasoning value: ${JSON.stringify(effort)} (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")`)
}

const responseFormat = custom(
  (value): Format | null => {
    if (value === null) return null
    if (!isJsonObject(value)) throw invalid(`response_format must be an object, not ${kindOf(value)}`)
    if (typeof value.type !== 'string') return null
    switch (value.type.trim().toLowerCase()) {
      case 'json_object':
        return { type: 'json' }
      case 'json_schema': {
        const schema = isJsonObject(value.json_schema) ? value.json_schema.schema : undefined
        if (isJsonObject(schema) || typeof schema === 'boolean') return { type: 'schema', schema }
        throw invalid('response_format.json_schema.schema must be an object')
      }
      default:
        return null
    }
  },
  { type: 'object', properties: { type: { enum: ['text', 'json_object', 'json_schema'] }, json_schema: { type: 'object' } } },
)

/** How a tool is to be chosen, as it came. */
export const toolChoice = custom((value) => (value ?? 'auto') as Json, { anyOf: [{ enum: ['none', 'auto', 'required'] }, { type: 'object' }] })

/** Replies to one prompt, as many as OpenAI gives. */
const choices = z.int().min(1, 'must be between 1 and 128').max(128, 'must be between 1 and 128')

/** A prompt: text, or token ids that are taken as they are. */
export type Prompt = string | number[]

const prompts = custom(
  (value): Prompt[] => {
    if (value === null) return ['']
    if (typeof value === 'string') return [value]
    if (!Array.isArray(value) || value.length === 0) throw invalid('prompt must be a string, a list of token ids, or a list of such prompts')
    if (value.every(isToken)) return [value]
    if (value.every((prompt) => typeof prompt === 'string' || isTokens(prompt))) return value
    throw invalid('prompt must be a string, a list of token ids, or a list of such prompts')
  },
  { anyOf: [{ type: 'string' }, ...textsOrTokens] },
)

/** Fields that both generating routes have, and the native ones that we take beside OpenAI's. */
const shared = {
  model: text,
  stream: flag,
  stream_options: streamOptions,
  max_tokens: whole,
  temperature: number,
  top_p: number,
  seed: whole,
  frequency_penalty: number,
  presence_penalty: number,
  logit_bias: z.record(z.string(), z.number()).optional(),
  keep_alive: keepAlive,
  options: options.prefault({}),
  num_ctx: whole,
  top_k: whole,
  min_p: number,
  repeat_penalty: number,
  thinking_budget: whole,
  n: choices.default(1),
}

export const ChatCompletionBody = wire({
  ...shared,
  messages,
  max_completion_tokens: whole,
  stop: lenientStop,
  response_format: responseFormat,
  tools,
  tool_choice: toolChoice,
  parallel_tool_calls: onUnlessFalse,
  reasoning: wire({ effort: text }).prefault({}),
  reasoning_effort: text,
  logprobs: flag,
  top_logprobs: z.int().default(0),
  chat_template_kwargs: options.optional(),
  _debug_render_only: flag,
}).transform((body) => {
  // Clients of vLLM and llama.cpp's server switch thinking off by the template's variable.
  const switchedOff = body.chat_template_kwargs?.enable_thinking === false
  return { ...body, think: thinkOf(body.reasoning.effort || body.reasoning_effort) ?? (switchedOff ? false : null) }
})

export const CompletionBody = wire({
  ...shared,
  prompt: prompts,
  suffix: text,
  stop: strictStop,
  logprobs: z.int().min(0, 'must be between 0 and 20').max(20, 'must be between 0 and 20').optional(),
  echo: flag,
  best_of: choices.optional(),
})

type Shared = Omit<z.output<typeof CompletionBody>, 'prompt' | 'suffix' | 'logprobs' | 'echo' | 'best_of' | 'n'> & {
  max_completion_tokens?: number | undefined
}

/** OpenAI's fields by the names of the native options; `options` and the native names are taken as they are. */
export function requestOptions(body: Shared): RawOptions {
  const named: Record<string, Json | undefined> = {
    num_predict: body.max_tokens ?? body.max_completion_tokens,
    temperature: body.temperature,
    top_p: body.top_p,
    seed: body.seed,
    frequency_penalty: body.frequency_penalty,
    presence_penalty: body.presence_penalty,
    stop: body.stop,
    logit_bias: body.logit_bias,
    num_ctx: body.num_ctx,
    top_k: body.top_k,
    min_p: body.min_p,
    repeat_penalty: body.repeat_penalty,
    thinking_budget: body.thinking_budget,
  }
  return { ...body.options, ...Object.fromEntries(Object.entries(named).filter((entry): entry is [string, Json] => entry[1] !== undefined)) }
}

/** They stand below a model's own parameters (design §4, "Sampling defaults"). */
export const dialectDefaults: RawOptions = { temperature: 1, top_p: 1 }

export const EmbeddingsBody = wire({
  model: text,
  input: custom(
    (value): string[] | number[][] => {
      if (value === null || (Array.isArray(value) && value.length === 0)) throw invalid('invalid input')
      if (typeof value === 'string') return [value]
      if (!Array.isArray(value)) throw invalid('invalid input type')
      if (value.every((item) => typeof item === 'string')) return value
      if (value.every(isToken)) return [value]
      if (value.every(isTokens)) return value
      throw invalid('invalid input type')
    },
    { anyOf: [{ type: 'string' }, ...textsOrTokens] },
  ),
  dimensions: z.int().default(0),
  encoding_format: z
    .string()
    .default('float')
    .transform((value): 'float' | 'base64' => {
      const format = value.toLowerCase()
      if (format === '' || format === 'float') return 'float'
      if (format === 'base64') return 'base64'
      throw invalid(`Invalid value for 'encoding_format' = ${value}. Supported values: ['float', 'base64'].`)
    }),
  keep_alive: keepAlive,
  options: options.prefault({}),
})

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
