import { AppError } from '../errors.ts'
import type { Tool } from './messages.ts'
import { familyOf } from './parsers/families.ts'
import type { ToolGrammar } from './parsers/family.ts'

/**
 * Holds calls in the form of the template's family to the declared names and schemas, as llama.cpp's server does; null for a template of no known family.
 *
 * `only` names the one tool that may be called. A tool whose schema no grammar can honour leaves the calls free: the parser takes them as they come.
 */
export function toolGrammar(
  template: string,
  tools: readonly Tool[],
  { only = null, parallel = true }: { only?: string | null; parallel?: boolean } = {},
): ToolGrammar | null {
  const callable = tools.filter((tool) => only === null || tool.function.name === only)
  const family = familyOf(template)
  if (family === null || callable.length === 0) return null
  try {
    return family.holdCalls(callable, { parallel })
  } catch (error) {
    if (error instanceof AppError) return null
    throw error
  }
}
