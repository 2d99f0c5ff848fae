import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'

/** One schema that asks for what both ask for; keywords that cannot be joined are refused by name. */
export function merge(first: JsonObject, second: JsonObject, path: string): JsonObject {
  const merged = new Map(Object.entries(first))
  for (const [keyword, value] of Object.entries(second)) {
    const own = merged.get(keyword)
    merged.set(keyword, own === undefined || JSON.stringify(own) === JSON.stringify(value) ? value : join(keyword, own, value, path))
  }
  return Object.fromEntries(merged)
}

function join(keyword: string, first: Json, second: Json, path: string): Json {
  const impossible = () => new AppError('invalid-request', `invalid JSON schema at ${path}: keyword "${keyword}" stands twice in ways that cannot be joined`)
  switch (keyword) {
    case 'properties': {
      if (!isJsonObject(first) || !isJsonObject(second)) throw impossible()
      const joined = new Map(Object.entries(first))
      for (const [key, value] of Object.entries(second)) {
        const own = joined.get(key)
        joined.set(key, own === undefined ? value : { allOf: [own, value] })
      }
      return Object.fromEntries(joined)
    }
    case 'required':
      if (!Array.isArray(first) || !Array.isArray(second)) throw impossible()
      return [...new Set([...first, ...second])]
    case 'type':
    case 'enum': {
      const values = (Array.isArray(second) ? second : [second]).map((value) => JSON.stringify(value))
      const common = (Array.isArray(first) ? first : [first]).filter((value) => values.includes(JSON.stringify(value)))
      if (common.length === 0) throw impossible()
      return common
    }
    case 'minimum':
    case 'exclusiveMinimum':
    case 'minLength':
    case 'minItems':
      return Math.max(Number(first), Number(second))
    case 'maximum':
    case 'exclusiveMaximum':
    case 'maxLength':
    case 'maxItems':
      return Math.min(Number(first), Number(second))
    case 'items':
      return { allOf: [first, second] }
    case 'additionalProperties':
      if (first === false || second === false) return false
      if (first === true) return second
      if (second === true) return first
      return { allOf: [first, second] }
    case '$defs':
    case 'definitions':
    case 'title':
    case 'description':
    case 'default':
    case 'examples':
    case '$schema':
    case '$id':
    case '$comment':
      return first
    default:
      throw impossible()
  }
}
