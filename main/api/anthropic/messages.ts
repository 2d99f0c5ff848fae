import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Message, ToolCall } from '../../prompt/messages.ts'
import { decodeBase64, goKind } from '../go.ts'

/** One turn as it came: text, or blocks. */
export interface Turn {
  role: string
  content: unknown
}

/** Turns of blocks as plain messages: results of tools become messages of their own (openai-anthropic-api §11.2). */
export function conversation(system: unknown, turns: Turn[]): Message[] {
  const instructions = systemText(system)
  const toolNames = new Map<string, string>()
  return [...(instructions === '' ? [] : [{ role: 'system', content: instructions }]), ...turns.flatMap((turn) => toMessages(turn, toolNames))]
}

function systemText(system: unknown): string {
  if (typeof system === 'string') return system
  if (system === null) return ''
  if (!Array.isArray(system)) throw invalid(`invalid system content type: ${goKind(system)}`)
  return system.map((block) => (isJsonObject(block) && block.type === 'text' && typeof block.text === 'string' ? block.text : '')).join('')
}

/** @param toolNames by the ids of the calls so far; added to */
function toMessages(turn: Turn, toolNames: Map<string, string>): Message[] {
  const role = turn.role.toLowerCase()
  if (typeof turn.content === 'string') return [{ role, content: turn.content }]
  if (!Array.isArray(turn.content)) throw invalid(`invalid message content type: ${goKind(turn.content)}`)
  let content = ''
  let thinking = ''
  const images: Uint8Array[] = []
  const toolCalls: ToolCall[] = []
  const results: Message[] = []
  for (const block of turn.content as unknown[]) {
    if (!isJsonObject(block)) throw invalid(`invalid content block type: ${goKind(block)}`)
    switch (block.type) {
      case 'text':
        content += textOf(block)
        break
      case 'thinking':
        thinking += typeof block.thinking === 'string' ? block.thinking : ''
        break
      case 'document':
      case 'search_result':
        content += documentText(block)
        break
      case 'image':
        images.push(decodeImage(block.source, 'invalid image source'))
        break
      case 'tool_use':
      case 'server_tool_use': {
        const call = toCall(block, toolCalls.length)
        toolNames.set(call.id, call.name)
        toolCalls.push(call)
        break
      }
      case 'tool_result':
      case 'web_search_tool_result':
        results.push(toResult(block, toolNames))
        break
      default: // what no model of ours reads, such as another vendor's sealed thinking, is left out
    }
  }
  const empty = content === '' && thinking === '' && images.length === 0 && toolCalls.length === 0
  const message: Message = {
    role,
    content,
    ...(thinking !== '' && { thinking }),
    ...(images.length > 0 && { images }),
    ...(toolCalls.length > 0 && { toolCalls }),
  }
  if (empty) return results
  return role === 'user' ? [...results, message] : [message, ...results]
}

function textOf({ text }: JsonObject): string {
  if (typeof text !== 'string') throw invalid("text block missing required 'text' field")
  return text
}

function toCall({ id, name, input = null }: JsonObject, index: number): ToolCall {
  if (typeof id !== 'string' || id === '') throw invalid("tool_use block missing required 'id' field")
  if (typeof name !== 'string' || name === '') throw invalid("tool_use block missing required 'name' field")
  if (input !== null && !isJsonObject(input)) throw invalid("tool_use block 'input' must be an object")
  return { id, index, name, arguments: input ?? {} }
}

/** A model is told in words that a tool failed: no template has a mark for it. */
function toResult(block: JsonObject, toolNames: ReadonlyMap<string, string>): Message {
  const id = typeof block.tool_use_id === 'string' ? block.tool_use_id : ''
  const toolName = toolNames.get(id)
  const { content, images } = block.type === 'tool_result' ? resultContent(block.content) : { content: searchText(block.content), images: [] }
  return {
    role: 'tool',
    content: block.is_error === true ? `Error: ${content}` : content,
    ...(images.length > 0 && { images }),
    ...(toolName !== undefined && { toolName }),
    ...(id !== '' && { toolCallId: id }),
  }
}

function resultContent(given: Json | undefined): { content: string; images: Uint8Array[] } {
  if (typeof given === 'string') return { content: given, images: [] }
  const parts = Array.isArray(given) ? given.filter(isJsonObject) : []
  return {
    content: parts.map(partText).join(''),
    images: parts.filter(({ type }) => type === 'image').map(({ source }) => decodeImage(source, 'invalid tool_result image source')),
  }
}

function partText(part: JsonObject): string {
  switch (part.type) {
    case 'text':
      return textOf(part)
    case 'document':
    case 'search_result':
      return documentText(part)
    default:
      return ''
  }
}

/** A document of words, under its title; one that would have to be fetched or converted is refused. */
function documentText(block: JsonObject): string {
  const source = block.type === 'search_result' ? { type: 'content', content: block.content ?? null } : block.source
  const heading = ['title', 'context', 'source'].map((field) => block[field]).filter((part): part is string => typeof part === 'string' && part !== '')
  const words = sourceText(source)
  return `\n${[...heading, words].join('\n')}\n`
}

function sourceText(source: unknown): string {
  if (!isJsonObject(source)) throw invalid('invalid document source')
  if (source.type === 'text' && typeof source.data === 'string') return source.data
  if (source.type === 'content' && typeof source.content === 'string') return source.content
  if (source.type === 'content' && Array.isArray(source.content)) {
    const parts = source.content.filter(isJsonObject)
    if (parts.some(({ type }) => type === 'image')) throw invalid('pictures inside a document are not supported')
    return parts.map((part) => (part.type === 'text' ? textOf(part) : '')).join('\n')
  }
  const kind = source.type === 'base64' ? word(source.media_type ?? 'base64') : word(source.type)
  throw invalid(`invalid document source type: ${kind}. Only documents of text are supported.`)
}

/** Results of a search that ran elsewhere, a line each. */
function searchText(given: Json | undefined): string {
  if (isJsonObject(given)) return `web_search_tool_result_error: ${word(given.error_code)}`
  const found = Array.isArray(given) ? given.filter(isJsonObject) : []
  return found.map(({ title, url }) => `- ${word(title)}: ${word(url)}`).join('\n')
}

/** What should be a text, as one; an object may have a `toString` of its own. */
function word(value: Json | undefined): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function decodeImage(source: unknown, complaint: string): Uint8Array {
  if (!isJsonObject(source)) throw invalid(complaint)
  if (source.type !== 'base64') throw invalid(`invalid image source type: ${word(source.type)}. Only base64 images are supported.`)
  try {
    return decodeBase64(typeof source.data === 'string' ? source.data : '')
  } catch (cause) {
    throw new AppError('invalid-request', `invalid base64 image data: ${(cause as Error).message}`, { cause })
  }
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
