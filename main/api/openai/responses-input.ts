import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Message, ToolCall } from '../../prompt/messages.ts'
import { custom, kindOf } from '../body.ts'
import { parseInner } from '../json.ts'
import { decodeImage } from './messages.ts'
import { newId } from './responses-output.ts'

/** Text and pictures of a message or of a tool's result. */
interface Content {
  content: string
  images: Uint8Array[]
}

/** One item of a request, understood but not yet placed in the conversation. */
export type InputItem =
  | ({ type: 'message'; role: string } & Content)
  | { type: 'call'; call: Omit<ToolCall, 'index'> }
  | ({ type: 'result'; callId: string } & Content)
  | { type: 'reasoning'; text: string }
  /** An item of an earlier response, by its id. */
  | { type: 'reference'; id: string }

/** What a request adds to its conversation: as it came, and understood. */
export interface Input {
  given: readonly JsonObject[]
  items: InputItem[]
}

/** `input`: a text, or a list of items (openai-anthropic-api §10.6). */
export const input = custom(
  (value): Input => {
    if (value === null || value === '') return { given: [], items: [] }
    const list = typeof value === 'string' ? [{ role: 'user', content: value }] : value
    if (!Array.isArray(list)) throw invalid(`input must be a string or array: it is ${kindOf(value)}`)
    const items = (list as unknown[]).flatMap((item, at) => toItem(item, `input[${at}]: `))
    return { given: list as JsonObject[], items }
  },
  { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'object' } }] },
)

/** The items of a request as they are listed later: each with an id, the words of messages in parts. */
export function listed(given: readonly JsonObject[]): JsonObject[] {
  return given
    .filter(({ type }) => type !== 'item_reference')
    .map((item) => {
      const { type = null } = item
      if (type !== null && type !== 'message') return { id: newId('item'), ...item }
      const part = item.role === 'assistant' ? 'output_text' : 'input_text'
      const content = typeof item.content === 'string' ? [{ type: part, text: item.content }] : (item.content ?? [])
      return { id: newId('msg'), status: 'completed', ...item, type: 'message', content }
    })
}

/** Items with those of earlier responses in place of references to them. Throws `invalid-request` for one that is not kept. */
export function dereferenced(items: readonly InputItem[], find: (id: string) => JsonObject | null): InputItem[] {
  return items.flatMap((item) => {
    if (item.type !== 'reference') return [item]
    const found = find(item.id)
    if (found === null) throw invalid(`item_reference: no item with the id ${JSON.stringify(item.id)} is kept here: send the item itself`)
    return toItem(found, `item ${JSON.stringify(item.id)}: `)
  })
}

/** @param where begins each complaint */
function toItem(item: unknown, where: string): InputItem[] {
  if (!isJsonObject(item)) throw invalid(`${where}an item must be an object, not ${kindOf(item)}`)
  const { type = null } = item
  switch (type === null && string(item.role) !== '' ? 'message' : type) {
    case 'message':
      return [{ type: 'message', role: string(item.role).toLowerCase(), ...toContent(item.content, 'content', where) }]
    case 'function_call':
      return [{ type: 'call', call: toCall(item) }]
    case 'custom_tool_call':
      return [{ type: 'call', call: { id: string(item.call_id), name: string(item.name), arguments: { input: string(item.input) } } }]
    case 'item_reference':
      return [{ type: 'reference', id: string(item.id) }]
    case 'function_call_output':
    case 'custom_tool_call_output':
      return [{ type: 'result', callId: string(item.call_id), ...toContent(item.output, 'output', where) }]
    case 'reasoning':
      return [{ type: 'reasoning', text: string(item.encrypted_content) || texts(item.summary) }]
    case 'web_search_call':
      return []
    case null:
    case '':
      throw invalid(`${where}input item missing required 'type' field`)
    default:
      throw invalid(`${where}unknown input item type: ${JSON.stringify(type)}`)
  }
}

/** A member of a namespace goes by the name under which the model knows it. */
function toCall({ call_id: id, name, namespace, arguments: given }: JsonObject): Omit<ToolCall, 'index'> {
  const whole = string(namespace) === '' ? string(name) : `${namespace}.${string(name)}`
  return { id: string(id), name: whole, arguments: callArguments(string(given)) }
}

function callArguments(encoded: string): JsonObject {
  if (encoded === '') return {}
  let given: Json
  try {
    given = parseInner(encoded)
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid-request', `failed to parse function call arguments: ${(cause as Error).message}`, { cause })
  }
  if (!isJsonObject(given)) throw invalid(`failed to parse function call arguments: they must be an object, not ${kindOf(given)}`)
  return given
}

function toContent(given: Json | undefined, field: 'content' | 'output', where: string): Content {
  if (typeof given === 'string') return { content: given, images: [] }
  if (given === undefined || given === null) return { content: '', images: [] }
  if (!Array.isArray(given)) throw invalid(`${where}${field} must be a string or array: it is ${kindOf(given)}`)
  let content = ''
  const images: Uint8Array[] = []
  for (const [at, part] of given.entries()) {
    const type = isJsonObject(part) ? part.type : undefined
    switch (type) {
      case 'input_text':
      case 'output_text':
        content += string((part as JsonObject).text)
        break
      case 'input_image': {
        const url = string((part as JsonObject).image_url)
        if (url !== '') images.push(decodeImage(url)) // a `file_id` names a file that lies elsewhere
        break
      }
      case 'input_file':
        throw invalid('file inputs are not currently supported')
      default:
        throw invalid(`${where}${field}[${at}]: unknown content type: ${string(type)}`)
    }
  }
  return { content, images }
}

function texts(parts: Json | undefined): string {
  return Array.isArray(parts) ? parts.map((part) => (isJsonObject(part) ? string(part.text) : '')).join('') : ''
}

function string(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Goes on with a conversation: what belongs to one turn of the model becomes one message. The earlier messages stay as they are. */
export function continued(earlier: readonly Message[], items: readonly InputItem[]): Message[] {
  const messages = [...earlier]
  const toolNames = new Map(earlier.flatMap(({ toolCalls }) => (toolCalls ?? []).map(({ id, name }) => [id, name])))
  const lastResults = new Map(items.map((item, at) => [item.type === 'result' ? item.callId : null, at]))
  const own = new Set<Message>()
  let thinking = ''

  /** The model's turn to write into, the last one or a new one; it takes the thinking that came before. */
  const openTurn = (goOn: boolean): Message => {
    const last = goOn ? messages.at(-1) : undefined
    let turn = last
    if (turn === undefined || !own.has(turn)) {
      turn = last ? { ...last, ...(last.toolCalls && { toolCalls: [...last.toolCalls] }) } : { role: 'assistant', content: '' }
      own.add(turn)
      messages.splice(last ? -1 : messages.length, 1, turn)
    }
    if (thinking !== '') turn.thinking = joined(turn.thinking, thinking)
    thinking = ''
    return turn
  }
  /** The model called, and a result is still to come. */
  const awaitsResult = (message: Message | undefined, at: number) => (message?.toolCalls ?? []).some(({ id }) => (lastResults.get(id) ?? -1) > at)

  for (const [at, item] of items.entries()) {
    const last = messages.at(-1)
    switch (item.type) {
      case 'reasoning':
        thinking += item.text
        break
      case 'call': {
        const turn = openTurn(last?.role === 'assistant')
        turn.toolCalls ??= []
        turn.toolCalls.push({ ...item.call, index: turn.toolCalls.length })
        toolNames.set(item.call.id, item.call.name)
        break
      }
      case 'message': {
        if (item.role !== 'assistant') {
          messages.push(withImages({ role: item.role, content: item.content }, item.images))
          break
        }
        const turn = openTurn(last?.role === 'assistant' && awaitsResult(last, at))
        turn.content = joined(turn.content, item.content)
        if (item.images.length > 0) turn.images = [...(turn.images ?? []), ...item.images]
        break
      }
      case 'result': {
        const toolName = toolNames.get(item.callId)
        messages.push(withImages({ role: 'tool', content: item.content, ...(toolName !== undefined && { toolName }), toolCallId: item.callId }, item.images))
        break
      }
      case 'reference':
        throw new Error('references are resolved before a conversation goes on')
      default:
        item satisfies never
    }
  }
  if (thinking !== '') openTurn(false)
  return messages
}

function joined(before: string | undefined, more: string): string {
  return before && more ? `${before}\n${more}` : before || more
}

function withImages(message: Message, images: Uint8Array[]): Message {
  return images.length > 0 ? { ...message, images } : message
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
