import { builtins, type TemplateFunction } from './functions.ts'
import { goJson } from './json.ts'
import { GoStruct, type Value } from './values.ts'

/** Go's built-in functions and those that Ollama adds; `now` is the clock. */
export function templateFunctions(now: () => Date): ReadonlyMap<string, TemplateFunction> {
  return new Map<string, TemplateFunction>([
    ...builtins,
    ['json', { arity: 1, call: ([value], budget) => goJson(value as Value, budget) }],
    ['currentDate', { arity: 0, variadic: true, strings: Number.POSITIVE_INFINITY, call: () => isoDate(now(), 0) }],
    ['yesterdayDate', { arity: 0, variadic: true, strings: Number.POSITIVE_INFINITY, call: () => isoDate(now(), -1) }],
    ['toTypeScriptType', { arity: 1, call: ([value]) => (value instanceof GoStruct ? (value.methods.get('ToTypeScriptType')?.() ?? 'any') : 'any') }],
  ])
}

/** The local date as YYYY-MM-DD. */
function isoDate(now: Date, offsetDays: number): string {
  const date = new Date(now.getFullYear(), now.getMonth(), now.getDate() + offsetDays)
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()]
  return parts.map((part) => String(part).padStart(2, '0')).join('-')
}
