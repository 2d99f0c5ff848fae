import { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { Format, RawOptions } from '../../generation/events.ts'
import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import { custom, flag, onUnlessFalse, options, text, wire } from '../body.ts'
import { keepAlive } from '../keep-alive.ts'
import { input } from './responses-input.ts'
import { ToolBody } from './responses-tools.ts'
import { thinkOf, toolChoice } from './schemas.ts'

const number = z.number().optional()
const whole = z.int().optional()

const format = custom((value): JsonObject => (isJsonObject(value) ? value : { type: 'text' }), {
  type: 'object',
  properties: { type: { enum: ['text', 'json_object', 'json_schema'] }, name: { type: 'string' }, schema: { type: 'object' } },
})

/** What a request asks for but how it is told, with the native fields that every route of the dialect takes. */
const shape = {
  model: text,
  input,
  instructions: text,
  previous_response_id: text,
  prompt: custom((value) => {
    if (value !== null) throw new AppError('invalid-request', 'prompt: no prompts are kept here: send `instructions` and `input`')
  }),
  store: z.boolean().optional(),
  max_output_tokens: whole,
  temperature: number,
  top_p: number,
  top_logprobs: z.int().min(0, 'must be between 0 and 20').max(20, 'must be between 0 and 20').default(0),
  include: z.array(z.string()).default([]),
  reasoning: wire({ effort: z.string().optional(), summary: z.string().optional() }).optional(),
  text: wire({ format, verbosity: z.string().optional() }).prefault({}),
  tools: z.array(ToolBody).default([]),
  tool_choice: toolChoice,
  parallel_tool_calls: onUnlessFalse,
  max_tool_calls: whole,
  truncation: z.string().optional(),
  background: flag,
  metadata: options.prefault({}),
  safety_identifier: z.string().optional(),
  prompt_cache_key: z.string().optional(),
  keep_alive: keepAlive,
  options: options.prefault({}),
  num_ctx: whole,
  top_k: whole,
  min_p: number,
  repeat_penalty: number,
  thinking_budget: whole,
}

/** A request of `/v1/responses/input_tokens`. */
export const InputTokensBody = wire(shape).transform((body) => ({ ...body, think: thinkOf(body.reasoning?.effort ?? '') }))
export type InputTokensBody = z.output<typeof InputTokensBody>

/** A request of `/v1/responses`. */
export const ResponsesBody = wire({ ...shape, stream: flag }).transform((body) => ({ ...body, think: thinkOf(body.reasoning?.effort ?? '') }))
export type ResponsesBody = z.output<typeof ResponsesBody>

/** `text.format` as the waist knows it. */
export function outputFormat({ type, schema }: JsonObject): Format | null {
  if (type === 'json_object') return { type: 'json' }
  if (type !== 'json_schema') return null
  if (isJsonObject(schema) || typeof schema === 'boolean') return { type: 'schema', schema }
  throw new AppError('invalid-request', 'text.format.schema must be an object')
}

/** OpenAI's fields by the names of the native options. */
export function responseOptions(body: InputTokensBody): RawOptions {
  const { temperature, top_p, num_ctx, top_k, min_p, repeat_penalty, thinking_budget } = body
  const named = { num_predict: body.max_output_tokens, temperature, top_p, num_ctx, top_k, min_p, repeat_penalty, thinking_budget }
  return { ...body.options, ...Object.fromEntries(Object.entries(named).filter((entry): entry is [string, number] => entry[1] !== undefined)) }
}

/** It stands below a model's own parameters; top_p has no default here. */
export const responseDefaults: RawOptions = { temperature: 1 }
