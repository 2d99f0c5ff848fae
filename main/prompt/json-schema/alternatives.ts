import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import { listed } from './keys.ts'
import { merge } from './merge.ts'
import { refused } from './scalars.ts'

/** Thrown inside this file only: no alternatives say the same as the schema. */
class NoAlternatives extends Error {}

/** Each of these doubles the alternatives. */
const maxDependencies = 5

/**
 * Schemas of which one must hold, for keywords that no grammar can look back for: `dependentRequired`, `if`, `then` and `else`; null where there are none.
 *
 * @throws `invalid-request` where that cannot be told
 */
export function alternativesOf(schema: JsonObject, path: string): JsonObject[] | null {
  try {
    const found = alternatives(schema, path)
    if (found?.length === 0) throw new NoAlternatives()
    return found
  } catch (error) {
    if (!(error instanceof NoAlternatives)) throw error
    if (schema.dependentRequired !== undefined)
      throw refused(path, `keyword "dependentRequired" cannot be honoured: ${maxDependencies} dependencies are the most`)
    throw refused(path, 'keyword "if" cannot be honoured: a grammar can hold a condition on one property whose values are listed')
  }
}

function alternatives(schema: JsonObject, path: string): JsonObject[] | null {
  if (schema.dependentRequired !== undefined) return byDependency(schema)
  if (schema.if !== undefined) return byCondition(schema, path)
  const { then: _, else: __, ...rest } = schema
  return Object.keys(rest).length === Object.keys(schema).length ? null : [rest]
}

/** A property that others depend on is left out, or stands with them. */
function byDependency({ dependentRequired, ...rest }: JsonObject): JsonObject[] {
  if (!isJsonObject(dependentRequired)) throw new NoAlternatives()
  const [first, ...others] = Object.entries(dependentRequired)
  if (first === undefined) return [rest]
  if (others.length >= maxDependencies) throw new NoAlternatives()
  const [key, needed] = first
  if (!Array.isArray(needed)) throw new NoAlternatives()
  const left = others.length === 0 ? rest : { ...rest, dependentRequired: Object.fromEntries(others) }
  const required = Array.isArray(rest.required) ? rest.required : []
  const properties = isJsonObject(rest.properties) ? rest.properties : {}
  const all = [...new Set([...required, key, ...needed])]
  const together = all.some((name) => properties[String(name)] === false) ? [] : [{ ...left, required: all }]
  return required.includes(key) ? together : [{ ...left, properties: { ...properties, [key]: false } }, ...together]
}

/** A condition on one property's value, which splits the values that it may have. */
function byCondition({ if: condition, then = true, else: otherwise = true, ...rest }: JsonObject, path: string): JsonObject[] {
  const { properties, required: needed = [], ...more } = isJsonObject(condition) ? condition : { other: true }
  const [tested, ...others] = Object.entries(isJsonObject(properties) ? properties : {})
  const own = isJsonObject(rest.properties) ? rest.properties : {}
  if (tested === undefined || others.length > 0 || Object.keys(more).some((keyword) => keyword !== 'type') || !Array.isArray(needed)) throw new NoAlternatives()
  const [key, test] = tested
  if (needed.some((name) => name !== key)) throw new NoAlternatives()
  const [values, matching] = [own[key], test].map((one) => (isJsonObject(one) ? listed(one) : null))
  if (!values || !matching) throw new NoAlternatives()
  const isMatch = (value: Json) => matching.some((match) => JSON.stringify(match) === JSON.stringify(value))
  const [yes, no] = [values.filter(isMatch), values.filter((value) => !isMatch(value))]
  const required = Array.isArray(rest.required) ? rest.required : []
  const mayLack = !required.includes(key)
  const where = (property: Json): JsonObject => ({ ...rest, properties: { ...own, [key]: property } })
  const held = (base: JsonObject, extra: Json): JsonObject[] => (extra === false ? [] : [isJsonObject(extra) ? merge(base, extra, path) : base])
  const withKey = (base: JsonObject): JsonObject => ({ ...base, required: [...new Set([...required, key])] })
  return [
    ...(yes.length > 0 ? held(withKey(where({ enum: yes })), then) : []),
    ...(no.length > 0 ? held(withKey(where({ enum: no })), otherwise) : []),
    // A condition on a value that is not there holds, unless it asks for one.
    ...(mayLack ? held(where(false), needed.includes(key) ? otherwise : then) : []),
  ]
}
