import { AppError } from '../../errors.ts'
import type { ChatRequest } from '../../generation/events.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Tool } from '../../prompt/messages.ts'
import { anyOf, theOne } from '../tool-choice.ts'

type Chosen = Pick<ChatRequest, 'tools' | 'toolChoice'>

/**
 * What `tool_choice` leaves to the model: of the chat route, which nests a tool's name, and of Responses, where it stands beside the type.
 *
 * Throws `invalid-request` for a tool that is not declared, and for what is neither a tool nor a known word.
 */
export function chosen(choice: Json, tools: Tool[]): Chosen {
  if (choice === 'none') return { tools, toolChoice: choice }
  if (choice === 'required') return { tools, toolChoice: anyOf(tools) }
  if (choice === 'auto' || choice === '') return { tools, toolChoice: 'auto' }
  if (!isJsonObject(choice)) {
    const given = JSON.stringify(choice).slice(0, 100)
    throw new AppError('invalid-request', `tool_choice must be "none", "auto", "required" or a tool, not ${given}`)
  }
  if (choice.type === 'allowed_tools') return allowed(isJsonObject(choice.allowed_tools) ? choice.allowed_tools : choice, tools)
  const name = nameOf(choice)
  return { tools, toolChoice: name === null ? 'auto' : theOne(name, tools) }
}

function allowed({ tools: listed, mode = 'auto' }: JsonObject, tools: Tool[]): Chosen {
  const names = Array.isArray(listed) ? listed.map(nameOf).filter((name) => name !== null) : []
  for (const name of names) theOne(name, tools)
  const kept = tools.filter((tool) => names.includes(tool.function.name))
  return { tools: kept, toolChoice: mode === 'required' ? anyOf(kept) : 'auto' }
}

function nameOf(tool: Json): string | null {
  if (!isJsonObject(tool)) return null
  const { name, namespace } = isJsonObject(tool.function) ? tool.function : isJsonObject(tool.custom) ? tool.custom : tool
  if (typeof name !== 'string') return null
  return typeof namespace === 'string' ? `${namespace}.${name}` : name
}
