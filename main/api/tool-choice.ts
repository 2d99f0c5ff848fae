import { AppError } from '../errors.ts'
import type { ToolChoice } from '../generation/events.ts'
import type { Tool } from '../prompt/messages.ts'

/** A call of some tool. Throws `invalid-request` where there is none to call. */
export function anyOf(tools: readonly Tool[]): ToolChoice {
  if (tools.length === 0) throw new AppError('invalid-request', 'tool_choice asks for a call, but no tool is declared that can be called here')
  return 'required'
}

/** A call of this tool. Throws `invalid-request` for one that is not declared. */
export function theOne(name: string, tools: readonly Tool[]): ToolChoice {
  if (!tools.some((tool) => tool.function.name === name)) throw new AppError('invalid-request', `tool_choice: no tool is named ${JSON.stringify(name)}`)
  return { name }
}
