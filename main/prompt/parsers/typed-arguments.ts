import { isJsonObject, type Json, type JsonObject, setOwn } from '../../lib/json.ts'
import { pointed } from '../json-schema/references.ts'
import type { Tool } from '../messages.ts'
import { parseJson } from './calls.ts'
import { pythonLiteral } from './python.ts'

const deepest = 32

/** Arguments that a model wrote as bare text, each by its declared type: a text stays one, anything else is read as JSON or as Python writes it. */
export function typedArguments(written: Iterable<readonly [key: string, text: string]>, name: string, tools: readonly Tool[]): JsonObject {
  const root = parametersOf(name, tools)
  const args: JsonObject = {}
  for (const [key, text] of written) setOwn(args, key, typedValue(text, propertyOf(root, key), root))
  return args
}

/** The schema of a tool's arguments. */
export function parametersOf(name: string, tools: readonly Tool[]): JsonObject {
  const parameters = tools.find((tool) => tool.function.name === name)?.function.parameters
  return isJsonObject(parameters) ? parameters : {}
}

/** What the schema of an object says of one of its properties; undefined where it says nothing. */
export function propertyOf(schema: Json | undefined, key: string): Json | undefined {
  if (!isJsonObject(schema)) return undefined
  const { properties, additionalProperties } = schema
  if (isJsonObject(properties) && Object.hasOwn(properties, key)) return properties[key]
  return isJsonObject(additionalProperties) ? additionalProperties : undefined
}

/** The value that a bare text stands for. @param root what references in the schema are within */
export function typedValue(text: string, schema: Json | undefined, root: JsonObject): Json {
  const { kinds, values } = statedOf(schema, root)
  const listed = values.find((value) => (typeof value === 'string' ? value : JSON.stringify(value)) === text)
  if (listed !== undefined) return listed
  if (kinds.size === 1 && kinds.has('string')) return text
  const value = bare(text.trim())
  if (value === undefined) return text
  return kinds.has('string') && !isOfAny(value, kinds) ? text : value
}

function bare(word: string): Json | undefined {
  if (/^(?:True|False|None)$/.test(word)) return word === 'None' ? null : word === 'True'
  const value = parseJson(word)
  return value === undefined && /^[[{('"]/.test(word) ? pythonLiteral(word) : value
}

function isOfAny(value: Json, kinds: ReadonlySet<string>): boolean {
  if (value === null) return kinds.has('null')
  if (Array.isArray(value)) return kinds.has('array')
  if (typeof value === 'number') return kinds.has('number') || (kinds.has('integer') && Number.isInteger(value))
  return typeof value !== 'string' && kinds.has(typeof value)
}

/** The types and the values that a schema names, in all its alternatives. */
function statedOf(schema: Json | undefined, root: JsonObject): { kinds: Set<string>; values: Json[] } {
  const kinds = new Set<string>()
  const values: Json[] = []
  const visit = (part: Json | undefined, depth: number): void => {
    if (!isJsonObject(part) || depth > deepest) return
    const { $ref, type, nullable, anyOf, oneOf, allOf } = part
    if (typeof $ref === 'string' && $ref.startsWith('#')) visit(pointed(root, $ref), depth + 1)
    for (const kind of Array.isArray(type) ? type : [type]) if (typeof kind === 'string') kinds.add(kind)
    if (nullable === true) kinds.add('null')
    for (const value of part.const !== undefined ? [part.const] : Array.isArray(part.enum) ? part.enum : []) {
      values.push(value)
      kinds.add(value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
    }
    for (const alternatives of [anyOf, oneOf, allOf]) if (Array.isArray(alternatives)) for (const one of alternatives) visit(one, depth + 1)
  }
  visit(schema, 0)
  return { kinds, values }
}
