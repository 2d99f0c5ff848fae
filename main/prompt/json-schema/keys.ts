import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import { literal } from './primitives.ts'
import { refused } from './scalars.ts'

/** A JSON string that is none of these keys, by the letters at which it leaves them. */
export function keyOtherThan(keys: string[]): string {
  const inner = keys.map((key) => JSON.stringify(key).slice(1, -1)).filter((key) => !key.includes('\\'))
  if (inner.length === 0) return 'string'
  const from = (rests: string[]): string => {
    const branches = Map.groupBy(
      rests.filter((rest) => rest !== ''),
      (rest) => String.fromCodePoint(rest.codePointAt(0) as number),
    )
    const letters = [...branches.keys()]
    const parts = letters.map((letter) => `${literal(letter)} (${from((branches.get(letter) as string[]).map((rest) => rest.slice(letter.length)))})`)
    const classText = letters.map((letter) => (/[\]^-]/.test(letter) ? `\\x${letter.charCodeAt(0).toString(16).padStart(2, '0')}` : letter)).join('')
    parts.push(`([^${classText}"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\bfnrt] | "u" [0-9a-fA-F]{4})) char*`)
    if (!rests.includes('')) parts.push('""')
    return parts.join(' | ')
  }
  return `"\\"" (${from(inner)}) "\\""`
}

/** The one pattern of keys with the schema of their values; null where there is none. */
export function patternOf({ patternProperties }: JsonObject, declared: string[], path: string): { pattern: string; schema: Json } | null {
  const entries = Object.entries(isJsonObject(patternProperties) ? patternProperties : {})
  const [first, ...others] = entries
  if (first === undefined) return null
  const [pattern, schema] = first
  // Which keys it matches is not tried out: an expression may take for ever.
  const start = /[|]/.test(pattern) ? '' : (/^\^([\w -]*)(?![*?{\w -])/.exec(pattern)?.[1] ?? '')
  const mayMatch = declared.find((key) => start === '' || key.startsWith(start))
  if (others.length > 0) throw refused(path, 'keyword "patternProperties" can be honoured with one pattern only')
  if (mayMatch !== undefined) throw refused(path, `keyword "patternProperties" cannot be told apart from the property ${JSON.stringify(mayMatch)}`)
  return { pattern, schema }
}

/** A rule for objects under keys of such a rule. */
export function objectOf(key: string, value: string): string {
  return key === 'string' && value === 'value'
    ? 'object'
    : `"{" space (${key} space ":" space ${value} ("," space ${key} space ":" space ${value})*)? space "}"`
}

/** What is left of a key's rule when its first quote has been written. */
export function behindQuote(key: string): string {
  return key === 'string' ? 'char* "\\""' : key.replace(/^"\\"" /, '')
}

/** The values that a schema lists, each once; null for one that lists none. */
export function listed(schema: JsonObject): Json[] | null {
  const values = schema.const !== undefined ? [schema.const] : Array.isArray(schema.enum) ? schema.enum : schema.type === 'boolean' ? [true, false] : null
  return values && [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]
}
