import type { Json } from '../../lib/json.ts'
import type { Budget } from './budget.ts'
import { GoBytes, GoList, GoMap, type Value } from './values.ts'

const escaped: Record<string, string> = { '<': '\\u003c', '>': '\\u003e', '&': '\\u0026', '\u2028': '\\u2028', '\u2029': '\\u2029' }

/** The value as Go's `json.Marshal` writes it: no blanks, keys of maps sorted, what HTML could trip over escaped. */
export function goJson(value: Value, budget: Budget): string {
  const text = encode(value, budget)
  budget.write(text.length)
  return text
}

function encode(value: Value, budget: Budget): string {
  budget.step()
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return scalar(value)
  if (value instanceof GoBytes) return scalar(Buffer.from(value.bytes).toString('base64'))
  if (value instanceof GoList) return value.isNil ? 'null' : `[${value.items.map((item) => encode(item, budget)).join(',')}]`
  if (value.source !== undefined) return encodeSource(value.source, budget)
  if (value instanceof GoMap) return value.isNil ? 'null' : object(value.sorted(), (item) => encode(item, budget))
  return object([...value.fields], (item) => encode(item, budget))
}

/** JSON of a client, which keeps the order of its keys. */
function encodeSource(json: Json, budget: Budget): string {
  budget.step()
  if (Array.isArray(json)) return `[${json.map((item) => encodeSource(item, budget)).join(',')}]`
  if (typeof json !== 'object' || json === null) return scalar(json)
  return object(Object.entries(json), (item) => encodeSource(item, budget))
}

function object<T>(entries: [string, T][], item: (value: T) => string): string {
  return `{${entries.map(([key, value]) => `${scalar(key)}:${item(value)}`).join(',')}}`
}

function scalar(value: string | number | boolean | null): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return JSON.stringify(value.toWellFormed()).replace(/[<>&\u2028\u2029]/g, (c) => escaped[c] as string)
}
