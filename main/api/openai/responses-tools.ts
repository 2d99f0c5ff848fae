import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { isJsonObject } from '../../lib/json.ts'
import type { Tool } from '../../prompt/messages.ts'

/** A tool as it is declared: flat, where the chat route nests; kept whole, as the response repeats it. */
export const ToolBody = z.looseObject({
  type: z.string().default('function'),
  name: z.string().nullish(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
})
export type ToolBody = z.output<typeof ToolBody>

/** What a client calls a tool that the model knows as `namespace.name`. */
export interface NamespacedName {
  namespace: string
  name: string
}

/** The tools that a model may call, the names of those that stand in a namespace, and of those that take one text. */
export interface Toolbox {
  tools: Tool[]
  namespaced: ReadonlyMap<string, NamespacedName>
  custom: ReadonlySet<string>
}

/** Searches run nowhere here, and what has no name cannot be called: both are left out (openai-anthropic-api §10.6). */
export function toolbox(bodies: readonly ToolBody[]): Toolbox {
  const tools: Tool[] = []
  const namespaced = new Map<string, NamespacedName>()
  const custom = new Set<string>()
  for (const body of bodies) {
    if (body.type.startsWith('web_search') || !body.name) continue
    if (body.type === 'custom') {
      custom.add(body.name)
      tools.push(customTool(body, body.name))
      continue
    }
    if (body.type !== 'namespace') {
      tools.push(toTool(body, body.name))
      continue
    }
    for (const member of members(body.tools)) {
      if (!member.name) continue
      const whole = `${body.name}.${member.name}`
      namespaced.set(whole, { namespace: body.name, name: member.name })
      tools.push(toTool(member, whole))
    }
  }
  return { tools, namespaced, custom }
}

function members(given: unknown): ToolBody[] {
  const parsed = z.array(ToolBody).safeParse(given ?? [])
  if (!parsed.success) throw invalid('the tools of a namespace must be a list of tools')
  return parsed.data
}

/** A tool that takes one text is a function of one argument to the model, which is told the text's form in words. */
function customTool({ description, format }: ToolBody, name: string): Tool {
  const { type, syntax, definition } = isJsonObject(format) ? format : {}
  const form =
    type === 'grammar' && typeof definition === 'string'
      ? `The input follows this ${typeof syntax === 'string' ? `${syntax} ` : ''}grammar:\n${definition}`
      : null
  const words = [description, form].filter(Boolean).join('\n\n')
  const parameters = { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] }
  return { type: 'function', function: { name, ...(words !== '' && { description: words }), parameters } }
}

/** Another type than `function` has no schema that its calls could be held to. */
function toTool({ type, description, parameters }: ToolBody, name: string): Tool {
  const described = { name, ...(description && { description }) }
  if (type !== 'function') return { type, function: described }
  return { type, function: { ...described, parameters: (parameters as Tool['function'] | null | undefined) ?? { type: 'object', properties: {} } } }
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
