import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Message, ToolCall } from '../../prompt/messages.ts'
import { custom, text, wire } from '../body.ts'
import { decodeBase64, goKind } from '../go.ts'
import { parseInner } from '../json.ts'

const ToolCallBody = wire({ id: text, function: wire({ name: text, arguments: text }).prefault({}) })

const MessageBody = wire({
  role: text,
  content: custom((value) => value),
  reasoning: text,
  name: text,
  tool_call_id: text,
  tool_calls: z.array(ToolCallBody).default([]),
})

type MessageBody = z.output<typeof MessageBody>

/** Messages of the chat route; each part of a list becomes a message of its own (openai-anthropic-api §10.2). */
export const messages = z
  .array(MessageBody)
  .default([])
  .transform((bodies): Message[] => {
    if (bodies.length === 0) throw invalid("[] is too short - 'messages'")
    return bodies.flatMap((body, at) => toMessages(body, bodies.slice(0, at)))
  })

function toMessages(body: MessageBody, earlier: MessageBody[]): Message[] {
  const role = body.role.toLowerCase()
  const toolName = body.name || calledName(body.tool_call_id, earlier)
  const calls = body.tool_calls.map(toCall)
  const attached = {
    ...(body.reasoning !== '' && { thinking: body.reasoning }),
    ...(calls.length > 0 && { toolCalls: calls }),
    ...(role === 'tool' && toolName !== '' && { toolName }),
    ...(body.tool_call_id !== '' && { toolCallId: body.tool_call_id }),
  }
  const { content } = body
  if (typeof content === 'string') return [{ role, content, ...attached }]
  if (Array.isArray(content)) {
    const parts = content.map((part): Message => ({ role, ...toPart(part) }))
    const last = parts.at(-1)
    if (last === undefined) return calls.length > 0 ? [{ role, content: '', ...attached }] : []
    return [...parts.slice(0, -1), { ...last, ...attached }]
  }
  if (content === null && calls.length > 0) return [{ role, content: '', ...attached }]
  throw invalid(`invalid message content type: ${goKind(content)}`)
}

/** Name of the latest earlier call with this id. */
function calledName(id: string, earlier: MessageBody[]): string {
  if (id === '') return ''
  return earlier.flatMap((message) => message.tool_calls).findLast((call) => call.id === id)?.function.name ?? ''
}

function toCall({ id, function: { name, arguments: encoded } }: z.output<typeof ToolCallBody>, index: number): ToolCall {
  let given: Json
  try {
    given = parseInner(encoded)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid-request', 'invalid tool call arguments', { cause })
  }
  if (!isJsonObject(given)) throw invalid('invalid tool call arguments')
  return { id, index, name, arguments: given }
}

function toPart(part: unknown): { content: string; images?: Uint8Array[] } {
  if (!isJsonObject(part)) throw invalid('invalid message format')
  switch (part.type) {
    case 'text':
      if (typeof part.text !== 'string') throw invalid('invalid message format')
      return { content: part.text }
    case 'image_url': {
      const url = isJsonObject(part.image_url) ? part.image_url.url : part.image_url
      if (typeof url !== 'string') throw invalid('invalid message format')
      return { content: '', images: [decodeImage(url)] }
    }
    case 'input_audio':
      return { content: '', images: [decodeAudio(part)] }
    default:
      throw invalid('invalid message format')
  }
}

/** A picture in a data URI. */
export function decodeImage(url: string): Uint8Array {
  if (/^https?:\/\//.test(url)) throw invalid('image URLs are not currently supported, please use base64 encoded data instead')
  const data = /^data:(?:image\/(?:jpeg|jpg|png|webp))?;base64,(.*)$/s.exec(url)?.[1]
  if (data === undefined) throw invalid('invalid image input')
  try {
    return decodeBase64(data)
  } catch (cause) {
    throw new AppError('invalid-request', 'invalid image input', { cause })
  }
}

function decodeAudio({ input_audio: audio }: JsonObject): Uint8Array {
  if (!isJsonObject(audio)) throw invalid('invalid input_audio format')
  if (typeof audio.data !== 'string' || audio.data === '') throw invalid('invalid input_audio format: missing data')
  try {
    return decodeBase64(audio.data)
  } catch (cause) {
    throw new AppError('invalid-request', `invalid input_audio base64 data: ${(cause as Error).message}`, { cause })
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
