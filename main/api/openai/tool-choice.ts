import { AppError } from '../../errors.ts'
import type { ChatRequest } from '../../generation/events.ts'
import { isJsonObject, type Json } from '../../lib/json.ts'
import type { Tool } from '../../prompt/messages.ts'

/**
 * What `tool_choice` leaves to the model: of the chat route, which nests a tool's name, and of Responses, where it stands beside the type.
 *
 * Throws `invalid-request` for a tool that is not declared.
 */
export function chosen(choice: Json, tools: Tool[]): Pick<ChatRequest, 'tools' | 'toolChoice'> {
  if (choice === 'none' || choice === 'required') return { tools, toolChoice: choice }
  if (!isJsonObject(choice)) return { tools, toolChoice: 'auto' }
  if (choice.type === 'allowed_tools') {
    const { tools: allowed, mode } = isJsonObject(choice.allowed_tools) ? choice.allowed_tools : choice
    const names = Array.isArray(allowed) ? allowed.map(nameOf) : []
    return { tools: tools.filter((tool) => names.includes(tool.function.name)), toolChoice: mode === 'required' ? 'required' : 'auto' }
  }
  const name = nameOf(choice)
  if (name === null) return { tools, toolChoice: 'auto' }
  if (!tools.some((tool) => tool.function.name === name)) throw new AppError('invalid-request', `tool_choice: no tool is named ${JSON.stringify(name)}`)
  return { tools, toolChoice: { name } }
}

function nameOf(tool: Json): string | null {
  if (!isJsonObject(tool)) return null
  const { name, namespace } = isJsonObject(tool.function) ? tool.function : isJsonObject(tool.custom) ? tool.custom : tool
  if (typeof name !== 'string') return null
  return typeof namespace === 'string' ? `${namespace}.${name}` : name
}
