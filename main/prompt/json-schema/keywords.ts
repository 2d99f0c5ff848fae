import type { Json, JsonObject } from '../../lib/json.ts'
import { refused } from './scalars.ts'

const types = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']

/** Remarks: they constrain nothing. */
const remarks = new Set(
  [
    '$schema',
    '$id',
    '$comment',
    '$anchor',
    '$defs',
    'definitions',
    'title',
    'description',
    'default',
    'examples',
    'example',
    'deprecated',
    'readOnly',
    'writeOnly',
  ].concat(['contentEncoding', 'contentMediaType', 'externalDocs', 'xml', 'discriminator', 'strict', 'name']),
)
/** Honoured, each with the types that it says something of. */
const keywords: Record<string, readonly string[]> = bare({
  type: types,
  nullable: types,
  enum: types,
  const: types,
  $ref: types,
  anyOf: types,
  oneOf: types,
  allOf: types,
  properties: ['object'],
  required: ['object'],
  additionalProperties: ['object'],
  items: ['array'],
  prefixItems: ['array'],
  minItems: ['array'],
  maxItems: ['array'],
  minLength: ['string'],
  maxLength: ['string'],
  pattern: ['string'],
  format: ['string'],
  minimum: ['number', 'integer'],
  maximum: ['number', 'integer'],
  exclusiveMinimum: ['number', 'integer'],
  exclusiveMaximum: ['number', 'integer'],
  multipleOf: ['number', 'integer'],
  uniqueItems: ['array'],
  patternProperties: ['object'],
  propertyNames: ['object'],
  dependentRequired: ['object'],
  if: types,
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: types,
  else: types,
})
/** Saying nothing with this value. */
const idle: Record<string, Json> = bare({
  minProperties: 0,
  additionalItems: true,
  unevaluatedProperties: false,
  unevaluatedItems: false,
  minContains: 0,
})

/** A table without inherited names: a schema may well say `constructor`. */
function bare<T>(table: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null), table)
}

/** True for a keyword that says something of the values. */
export function isConstraint(keyword: string): boolean {
  return !remarks.has(keyword)
}

/** Throws `invalid-request` naming a keyword that nothing is made of. */
export function refuseUnknown(schema: JsonObject, path: string): void {
  for (const [keyword, value] of Object.entries(schema)) {
    if (keywords[keyword] !== undefined || remarks.has(keyword) || keyword.startsWith('x-') || JSON.stringify(idle[keyword]) === JSON.stringify(value)) continue
    throw refused(path, `keyword "${keyword}" is not supported`)
  }
}

/** Types of the values that a schema allows; where it does not say, those that its keywords say something of, if `infer`. */
export function kindsOf(schema: JsonObject, path: string, infer = true): string[] {
  const { type } = schema
  if (type === undefined) {
    if (!infer) return []
    const implied = types.filter(
      (kind) => kind !== 'integer' && Object.keys(schema).some((keyword) => keywords[keyword]?.length !== types.length && keywords[keyword]?.includes(kind)),
    )
    return implied
  }
  const kinds = Array.isArray(type) ? type : [type]
  for (const kind of kinds)
    if (typeof kind !== 'string' || !types.includes(kind)) throw refused(path, `keyword "type": unrecognized type ${JSON.stringify(kind)}`)
  return kinds as string[]
}

/** The schema with the keywords that say something of this type. */
export function only(schema: JsonObject, type: string): JsonObject {
  return Object.fromEntries(Object.entries(schema).filter(([keyword]) => keywords[keyword]?.includes(type)))
}

export function isOf(value: Json, kind: string): boolean {
  if (value === null) return kind === 'null'
  if (Array.isArray(value)) return kind === 'array'
  if (typeof value === 'number') return kind === 'number' || (kind === 'integer' && Number.isInteger(value))
  return typeof value === kind
}
