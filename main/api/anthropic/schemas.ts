import { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { ChatRequest, Format, RawOptions, ToolChoice } from '../../generation/events.ts'
import { isJsonObject, type Json } from '../../lib/json.ts'
import type { Think, Tool } from '../../prompt/messages.ts'
import { custom, flag, integer, options, text, wire } from '../body.ts'
import { goKind } from '../go.ts'
import { keepAlive } from '../keep-alive.ts'
import { anyOf, theOne } from '../tool-choice.ts'
import { conversation } from './messages.ts'

const raw = custom((value) => value)
const number = z.number().optional()
const whole = z.int().optional()

const ToolBody = wire({ type: text, name: text, description: text, input_schema: raw, cache_control: raw })

/** What both routes have, and the native fields that we take beside Anthropic's. */
const shared = {
  model: text,
  system: raw,
  messages: z.array(wire({ role: text, content: raw })).default([]),
  tools: z.array(ToolBody).default([]),
  tool_choice: wire({ type: text, name: text, disable_parallel_tool_use: flag }).prefault({}),
  thinking: wire({ type: text, budget_tokens: whole }).prefault({}),
  output_config: wire({ effort: text, format: raw }).prefault({}),
  cache_control: raw,
  keep_alive: keepAlive,
  options: options.prefault({}),
  num_ctx: whole,
}
const SharedBody = wire(shared)
type SharedBody = z.output<typeof SharedBody>

/** `/v1/messages/count_tokens`. */
export const CountBody = SharedBody.transform((body) => {
  demandModel(body)
  return { request: chatRequest(body, { ...body.options, ...given({ num_ctx: body.num_ctx }) }) }
})

/** `/v1/messages`; what is missing is told in the peer's words and order (openai-anthropic-api §11.1). */
export const MessagesBody = wire({
  ...shared,
  max_tokens: integer,
  stop_sequences: z.array(z.string()).default([]),
  temperature: number,
  top_p: number,
  top_k: whole,
  stream: flag,
  thread: raw,
}).transform((body) => {
  demandModel(body)
  if (body.max_tokens <= 0) throw invalid('max_tokens is required and must be positive')
  const { temperature, top_p, top_k, num_ctx, stop_sequences: stopSequences } = body
  const named = { num_predict: body.max_tokens, temperature, top_p, top_k, num_ctx, stop: stopSequences.length > 0 ? stopSequences : undefined }
  return {
    request: chatRequest(body, { ...body.options, ...given(named) }),
    stream: body.stream,
    wantsThread: body.thread !== null,
    stopSequences,
    marksCache: body.cache_control !== null || [body.system, body.messages, body.tools].some(marksCache),
  }
})

/** Tools that Anthropic's own servers run: nobody here would answer a call of theirs. */
const hosted = /^(web_search|web_fetch|code_execution|tool_search|mcp_toolset)/

function demandModel({ model }: SharedBody): void {
  if (model.trim() === '') throw invalid('model is required')
}

function chatRequest(body: SharedBody, requested: RawOptions): ChatRequest {
  if (body.messages.length === 0) throw invalid('messages is required')
  const messages = conversation(body.system, body.messages)
  const tools = body.tools.filter(({ type }) => !hosted.test(type)).map(toTool)
  return {
    model: body.model,
    messages,
    tools,
    toolChoice: toolChoice(body.tool_choice, tools),
    ...(body.tool_choice.disable_parallel_tool_use && { parallelCalls: false }),
    options: { ...requested, ...thinkingBudget(body.thinking) },
    keepAliveMs: body.keep_alive,
    format: outputFormat(body.output_config.format),
    think: thinkOf(body.thinking.type, body.output_config.effort),
    lenientThink: true,
    truncate: true,
    shift: true,
    topLogprobs: null,
    renderOnly: false,
  }
}

function toTool({ name, description, input_schema: schema }: z.output<typeof ToolBody>): Tool {
  if (schema !== null && !isJsonObject(schema)) {
    throw invalid(`invalid input_schema for tool ${JSON.stringify(name)}: it must be an object, not ${goKind(schema)}`)
  }
  return { type: 'function', function: { name, ...(description !== '' && { description }), parameters: schema ?? { type: 'object', properties: {} } } }
}

function toolChoice({ type, name }: SharedBody['tool_choice'], tools: Tool[]): ToolChoice {
  switch (type) {
    case 'none':
      return 'none'
    case 'any':
      return anyOf(tools)
    case 'tool':
      return theOne(name, tools)
    case 'auto':
    case '':
      return 'auto'
    default:
      throw invalid(`tool_choice.type must be "auto", "any", "tool" or "none", not ${JSON.stringify(type)}`)
  }
}

/** Effort counts where thinking is adaptive or not spoken of; null leaves it to the model. */
const efforts = new Map<string, Think>([
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'high'],
  ['max', 'max'],
])

function thinkOf(type: string, effort: string): Think | null {
  if (type === 'enabled') return true
  return type === 'disabled' ? false : (efforts.get(effort) ?? null)
}

/** The peer knows no budget, so none is too small (openai-anthropic-api §11.2). */
function thinkingBudget({ type, budget_tokens: tokens }: SharedBody['thinking']): RawOptions {
  return type === 'enabled' && tokens !== undefined ? { thinking_budget: Math.max(0, tokens) } : {}
}

function outputFormat(format: unknown): Format | null {
  if (!isJsonObject(format) || format.type !== 'json_schema') return null
  if (!isJsonObject(format.schema)) throw invalid('output_config.format.schema must be an object')
  return { type: 'schema', schema: format.schema }
}

/** Some block, tool or text of the request is to be kept in the cache. */
function marksCache(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(marksCache)
  return isJsonObject(value) && (isJsonObject(value.cache_control) || marksCache(value.content))
}

function given(named: Record<string, Json | undefined>): RawOptions {
  return Object.fromEntries(Object.entries(named).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
