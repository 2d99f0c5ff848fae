import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'

/**
 * True when nothing that a grammar of ours writes for one of these schemas is valid under the other, as `oneOf` demands.
 *
 * Where that cannot be seen it is false. Our grammars write declared properties only, unless `additionalProperties` asks for more.
 */
export function areDisjoint(a: JsonObject, b: JsonObject): boolean {
  const [values, others] = [valuesOf(a), valuesOf(b)]
  if (values !== null && others !== null) return !values.some((value) => others.some((other) => JSON.stringify(value) === JSON.stringify(other)))
  const [kinds, otherKinds] = [kindsOf(a), kindsOf(b)]
  if (kinds === null || otherKinds === null) return false
  const shared = kinds.filter((kind) => otherKinds.includes(kind))
  return shared.length === 0 || (shared.every((kind) => kind === 'object') && (haveApartTags(a, b) || (fails(a, b) && fails(b, a))))
}

/** A property that both demand can never have one value for both. */
function haveApartTags(a: JsonObject, b: JsonObject): boolean {
  return requiredOf(a).some((key) => {
    const [one, other] = [propertiesOf(a)[key], propertiesOf(b)[key]]
    return requiredOf(b).includes(key) && isJsonObject(one) && isJsonObject(other) && areDisjoint(one, other)
  })
}

/** What is written for `a` lacks a property that `b` demands, or always has one that `b` forbids. */
function fails(a: JsonObject, b: JsonObject): boolean {
  const isClosed = a.additionalProperties === undefined || a.additionalProperties === false
  const lacks = isClosed && requiredOf(b).some((key) => !Object.hasOwn(propertiesOf(a), key) && !requiredOf(a).includes(key))
  return lacks || (b.additionalProperties === false && requiredOf(a).some((key) => !Object.hasOwn(propertiesOf(b), key)))
}

function valuesOf(schema: JsonObject): Json[] | null {
  if (schema.const !== undefined) return [schema.const]
  return Array.isArray(schema.enum) ? schema.enum : null
}

/** Kinds of values that the schema allows, whole numbers among the numbers; null when it does not say. */
function kindsOf(schema: JsonObject): string[] | null {
  const values = valuesOf(schema)
  const kinds =
    values !== null
      ? values.map((value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value))
      : schema.type !== undefined
        ? [schema.type].flat()
        : isJsonObject(schema.properties)
          ? ['object']
          : null
  if (kinds === null) return null
  const all = kinds.map((kind) => (kind === 'integer' ? 'number' : typeof kind === 'string' ? kind : typeof kind))
  return schema.nullable === true ? [...all, 'null'] : all
}

function propertiesOf({ properties }: JsonObject): JsonObject {
  return isJsonObject(properties) ? properties : {}
}

function requiredOf({ required }: JsonObject): string[] {
  return Array.isArray(required) ? required.filter((key): key is string => typeof key === 'string') : []
}
