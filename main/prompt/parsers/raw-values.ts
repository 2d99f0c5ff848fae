import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import { anyText } from '../json-schema/any-text.ts'
import type { Rules } from '../json-schema/grammar.ts'
import { merge } from '../json-schema/merge.ts'
import { patternRule, rawText, UnsupportedPattern } from '../json-schema/pattern.ts'
import { literal, stringFormats } from '../json-schema/primitives.ts'
import { pointed } from '../json-schema/references.ts'
import { bound, repeated } from '../json-schema/scalars.ts'
import { addRule, addSchema, classLetter, textWithout } from './call-grammar.ts'

export type Kind = 'string' | 'number' | 'integer' | 'boolean' | 'null' | 'object' | 'array'

/** One of the ways in which a value may be written. */
export interface Branch {
  kind: Kind
  /** The body of a rule. */
  body: string
  /** Of what it is, where that is not one value. */
  schema?: JsonObject
}

/** Where values stand in a grammar. */
interface Place {
  rules: Rules
  /** What references are within. */
  root: JsonObject
  /** Begins the names of the values' own rules. */
  prefix: string
  /** What ends a text that stands bare. */
  mark: string
}

const deepest = 64
const allKinds: readonly Kind[] = ['object', 'array', 'number', 'boolean', 'null']
/** Keywords that say of which kind a value is where `type` is missing. */
const impliedKinds: Record<string, Kind> = {
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  pattern: 'string',
  format: 'string',
  minLength: 'string',
  maxLength: 'string',
  minimum: 'number',
  maximum: 'number',
}

/**
 * How values of a schema stand where texts are written bare: texts as they are, all others as JSON.
 *
 * Throws `invalid-request` for what no grammar can honour.
 */
export function rawBranches(schema: Json, place: Place, depth = 0): Branch[] {
  const whole = resolved(schema, place.root, depth)
  const { anyOf, oneOf, nullable, ...rest } = whole
  const alternatives = anyOf ?? oneOf
  if (Array.isArray(alternatives))
    return alternatives.flatMap((alternative, at) =>
      rawBranches(merge(resolved(alternative, place.root, depth), rest, '#'), { ...place, prefix: `${place.prefix}${at}-` }, depth + 1),
    )
  if (nullable === true) return [...rawBranches(rest, place, depth + 1), nothing]
  if (whole.const !== undefined) return [written(whole.const)]
  if (Array.isArray(whole.enum)) return listed(whole.enum, place)
  const kinds = kindsOf(whole)
  if (kinds.length === 0) return [{ kind: 'string', body: textWithout(place.mark, place.rules) }, ...allKinds.map((kind) => ({ kind, body: kind }))]
  return kinds.map((kind) => branch(kind, kinds.length === 1 ? whole : { ...whole, type: kind }, place))
}

const nothing: Branch = { kind: 'null', body: '"null" | "None"' }

function branch(kind: Kind, schema: JsonObject, place: Place): Branch {
  if (kind === 'string') return { kind, body: text(schema, place) }
  // Templates write these two as Python does.
  if (kind === 'boolean') return { kind, body: '"true" | "false" | "True" | "False"' }
  if (kind === 'null') return nothing
  return { kind, body: addSchema(place.rules, schema, `${place.prefix}${kind[0]}-`, place.root), schema }
}

function text(schema: JsonObject, { rules, mark }: Place): string {
  const { pattern, format } = schema
  const [least, most] = [bound(schema, 'minLength', '#') ?? 0, bound(schema, 'maxLength', '#')]
  const other = `[^${classLetter(mark[0] as string)}]`
  const known = typeof format === 'string' && stringFormats.has(format) ? format : null
  if (pattern !== undefined)
    try {
      return patternRule(String(pattern), rawText(other), { least, most: most ?? Number.POSITIVE_INFINITY })
    } catch (error) {
      if (!(error instanceof UnsupportedPattern)) throw error
      if (known === null) throw new AppError('invalid-request', 'invalid JSON schema: keyword "pattern" cannot be honoured', { cause: error })
    }
  if (known !== null) return known
  return least === 0 && most === null ? textWithout(mark, rules) : repeated(least, most, other, () => `(${other}{100})`)
}

function listed(values: readonly Json[], { rules, prefix }: Place): Branch[] {
  const texts = values.filter((value) => typeof value === 'string')
  const others = values.filter((value) => typeof value !== 'string').map(written)
  return texts.length === 0 ? others : [{ kind: 'string', body: anyText(texts, (body) => addRule(rules, `${prefix}v`, body)) }, ...others]
}

/** As a value stands bare. */
function written(value: Json): Branch {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : (typeof value as Kind)
  return { kind, body: literal(typeof value === 'string' ? value : JSON.stringify(value)) }
}

function kindsOf(schema: JsonObject): Kind[] {
  if (schema.type !== undefined) return [schema.type].flat() as Kind[]
  return [...new Set(Object.keys(schema).flatMap((keyword) => impliedKinds[keyword] ?? []))]
}

/** The schema that a reference or a conjunction stands for. */
function resolved(schema: Json, root: JsonObject, depth: number): JsonObject {
  if (depth > deepest) throw new AppError('invalid-request', `invalid JSON schema: it is nested deeper than ${deepest} levels`)
  if (!isJsonObject(schema)) {
    if (schema === true) return {}
    throw new AppError('invalid-request', 'invalid JSON schema: a property allows nothing')
  }
  const { $ref: pointer, allOf, ...rest } = schema
  if (pointer !== undefined) {
    const target = typeof pointer === 'string' && pointer.startsWith('#') ? pointed(root, pointer) : undefined
    if (target === undefined)
      throw new AppError('invalid-request', `invalid JSON schema: keyword "$ref" refers to ${JSON.stringify(pointer)}, which is not there`)
    return merge(resolved(target, root, depth + 1), rest, '#')
  }
  if (!Array.isArray(allOf)) return schema
  return [rest, ...allOf].map((part) => resolved(part, root, depth + 1)).reduce((all, part) => merge(all, part, '#'), {})
}
