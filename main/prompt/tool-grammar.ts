import { AppError } from '../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../lib/json.ts'
import type { Tool } from './messages.ts'
import type { HoldCalls, ToolGrammar } from './parsers/family.ts'

interface ToolGrammarOptions {
  /** The one tool that may be called. */
  only?: string | null
  parallel?: boolean
  /** A call must come: what cannot be held is refused. */
  forced?: boolean
}

/**
 * Holds calls in a template's form to the declared names and schemas, as llama.cpp's server does.
 *
 * Of a schema that no grammar can honour the parts are held that can be, unless the tool asks for it to be kept (`strict`); of schemas that are too
 * much together only the names. null: the calls are free, and
 * the parser takes them as they come.
 *
 * @throws `invalid-request` naming tool and keyword for a `strict` tool, or where a call must come and cannot be held
 */
export function toolGrammar(
  holdCalls: HoldCalls,
  tools: readonly Tool[],
  { only = null, parallel = true, forced = false }: ToolGrammarOptions = {},
): ToolGrammar | null {
  const callable = tools.filter((tool) => only === null || tool.function.name === only)
  if (callable.length === 0) return null
  const attempt = (some: readonly Tool[]) => refusalOr(() => holdCalls(some, { parallel }))
  const whole = attempt(callable)
  if (!(whole instanceof AppError)) return whole
  const loose = callable.map((tool) => {
    const refusal = attempt([tool])
    if (!(refusal instanceof AppError)) return tool
    if (tool.function.strict === true) throw named(tool, refusal)
    return loosened(tool, (parameters) => !(attempt([withParameters(tool, parameters)]) instanceof AppError))
  })
  const held = attempt(loose)
  if (!(held instanceof AppError)) return held
  // Together they may be too large for the engine.
  const names = loose.some((tool) => tool.function.strict === true) ? held : attempt(callable.map((tool) => withParameters(tool, { type: 'object' })))
  if (!(names instanceof AppError)) return names
  if (!forced) return null
  throw held
}

function refusalOr(hold: () => ToolGrammar): ToolGrammar | AppError {
  try {
    return hold()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

function named({ function: { name } }: Tool, cause: AppError): AppError {
  return new AppError(cause.code, `tool ${JSON.stringify(name)} cannot be held to its schema: ${cause.message}`, { cause })
}

function withParameters(tool: Tool, parameters: JsonObject): Tool {
  return { ...tool, function: { ...tool.function, parameters } }
}

/** The tool with any value where a property's schema cannot be held, and nothing said of its arguments together. */
function loosened(tool: Tool, isHeld: (parameters: JsonObject) => boolean): Tool {
  const { properties, required, $defs = {}, definitions = {} } = isJsonObject(tool.function.parameters) ? tool.function.parameters : {}
  if (!isJsonObject(properties)) return withParameters(tool, { type: 'object' })
  const whole = (some: JsonObject): JsonObject => ({ type: 'object', properties: some, $defs, definitions })
  const kept = Object.entries(properties).map(([key, schema]): [string, Json] => [key, isHeld(whole({ [key]: schema })) ? schema : true])
  return withParameters(tool, { ...whole(Object.fromEntries(kept)), ...(required !== undefined && { required }) })
}
