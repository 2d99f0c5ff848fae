import { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { Format } from '../../generation/events.ts'
import { isJsonObject, type Json } from '../../lib/json.ts'
import type { Message, Think } from '../../prompt/messages.ts'
import { custom, flag, integer, onUnlessFalse, options, text, tools, wire } from '../body.ts'
import { decodeBase64 } from '../go.ts'
import { keepAlive } from '../keep-alive.ts'

const levels = ['low', 'medium', 'high', 'max'] as const

/** null: the caller said nothing (ollama-api §2.3). */
const think = custom(
  (value): Think | null => {
    if (value === null) return null
    if (typeof value === 'boolean') return value
    if (typeof value !== 'string') throw invalid('think must be a boolean or string ("high", "medium", "low", "max", true, or false)')
    const level = levels.find((known) => known === value)
    if (level === undefined) throw invalid(`invalid think value: ${JSON.stringify(value)} (must be "high", "medium", "low", "max", true, or false)`)
    return level
  },
  { anyOf: [{ type: 'boolean' }, { enum: [...levels] }] },
)

/** "json", a JSON Schema, or nothing (ollama-api §3.5). */
const format = custom(
  (value): Format | null => {
    if (value === null || value === '') return null
    if (value === 'json') return { type: 'json' }
    if (isJsonObject(value)) return { type: 'schema', schema: value }
    throw invalid(`invalid format: ${JSON.stringify(JSON.stringify(value))}; expected "json" or a valid JSON Schema object`)
  },
  { anyOf: [{ const: 'json' }, { type: 'object', description: 'a JSON Schema' }] },
)

const images = z
  .array(z.string())
  .default([])
  .transform((list) => list.map(decodeBase64))

const ToolCallBody = wire({
  id: text,
  function: wire({ index: integer, name: text, arguments: z.record(z.string(), z.unknown()).default({}) }).prefault({}),
})

const MessageBody = wire({
  role: text,
  content: text,
  thinking: text,
  images,
  tool_calls: z.array(ToolCallBody).default([]),
  tool_name: text,
  tool_call_id: text,
}).transform(
  (body): Message => ({
    role: body.role.toLowerCase(),
    content: body.content,
    ...(body.thinking !== '' && { thinking: body.thinking }),
    ...(body.images.length > 0 && { images: body.images }),
    ...(body.tool_calls.length > 0 && {
      toolCalls: body.tool_calls.map(({ id, function: { index, name, arguments: given } }) => ({ id, index, name, arguments: given as Record<string, Json> })),
    }),
    ...(body.tool_name !== '' && { toolName: body.tool_name }),
    ...(body.tool_call_id !== '' && { toolCallId: body.tool_call_id }),
  }),
)

const shared = {
  model: text,
  stream: onUnlessFalse,
  format,
  keep_alive: keepAlive,
  options: options.prefault({}),
  think,
  truncate: onUnlessFalse,
  shift: onUnlessFalse,
  logprobs: flag,
  top_logprobs: integer,
  _debug_render_only: flag,
}

export const GenerateBody = wire({
  ...shared,
  prompt: text,
  suffix: text,
  system: text,
  template: text,
  context: z.array(z.int()).optional(),
  raw: flag,
  images,
})

export const ChatBody = wire({ ...shared, messages: z.array(MessageBody).default([]), tools })

/** Texts to embed; absent or '' only loads the model. */
const input = custom(
  (value): string[] => {
    if (value === null || value === '') return []
    if (typeof value === 'string') return [value]
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
    throw invalid('invalid input type')
  },
  { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
)

export const EmbedBody = wire({ model: text, input, truncate: onUnlessFalse, dimensions: integer, keep_alive: keepAlive, options: options.prefault({}) })

export const LegacyEmbedBody = wire({ model: text, prompt: text, keep_alive: keepAlive, options: options.prefault({}) })

/** A model, by its present or its old field. */
const named = { model: text, name: text }

export const ShowBody = wire({ ...named, verbose: flag })
export const DeleteBody = wire(named)
export const CopyBody = wire({ source: text, destination: text })
export const TransferBody = wire({ ...named, insecure: flag, stream: onUnlessFalse })

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => (typeof value === 'string' ? [value] : value))
const digests = z.record(z.string(), z.string()).default({})

export const CreateBody = wire({
  ...named,
  stream: onUnlessFalse,
  from: text,
  files: digests,
  adapters: digests,
  draft_files: digests,
  draft_quantize: text,
  quantize: text,
  quantization: text,
  template: text,
  system: text,
  parameters: options.prefault({}),
  messages: z.array(wire({ role: text, content: text })).default([]),
  license: texts.prefault([]),
  renderer: text,
  parser: text,
  requires: text,
  remote_host: text,
  info: options.prefault({}),
})

export type CreateBody = z.output<typeof CreateBody>

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
