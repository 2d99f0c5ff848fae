import type { Budget } from './budget.ts'
import { equalsAny, isLess } from './compare.ts'
import { escapeHtml, escapeJs, escapeQuery } from './escape.ts'
import { sprint, sprintln } from './print.ts'
import { sprintf } from './printf.ts'
import { GoBytes, GoList, GoMap, isTrue, typeName, type Value } from './values.ts'

/** A function that templates call. It throws an Error with the text that Go's has. */
export interface TemplateFunction {
  /** How many arguments it wants. */
  arity: number
  /** More than `arity` are welcome. */
  variadic?: boolean
  /** These arguments, from the first, must be strings. */
  strings?: number
  call(args: Value[], budget: Budget): Value
}

/** Go's built-in functions. `and` and `or` are evaluated by the executor, which stops at the first argument that decides. */
export const builtins: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['and', { arity: 1, variadic: true, call: last }],
  ['or', { arity: 1, variadic: true, call: last }],
  ['not', { arity: 1, call: ([value]) => !isTrue(value as Value) }],
  ['eq', { arity: 1, variadic: true, call: ([first, ...others], budget) => equalsAny(counted(first, budget), others) }],
  ['ne', { arity: 2, call: ([a, b], budget) => !equalsAny(counted(a, budget), [b as Value]) }],
  ['lt', { arity: 2, call: ([a, b], budget) => isLess(counted(a, budget), counted(b, budget)) }],
  ['le', { arity: 2, call: ([a, b], budget) => isLess(counted(a, budget), counted(b, budget)) || equalsAny(a as Value, [b as Value]) }],
  ['gt', { arity: 2, call: ([a, b], budget) => !isLess(counted(a, budget), counted(b, budget)) && !equalsAny(a as Value, [b as Value]) }],
  ['ge', { arity: 2, call: ([a, b], budget) => !isLess(counted(a, budget), counted(b, budget)) }],
  ['len', { arity: 1, call: ([value], budget) => length(counted(value, budget)) }],
  [
    'index',
    { arity: 1, variadic: true, call: ([item, ...keys], budget) => keys.reduce((at: Value, key) => index(counted(at, budget), key), indexable(item as Value)) },
  ],
  ['slice', { arity: 1, variadic: true, call: ([item, ...bounds], budget) => slice(counted(item, budget), bounds) }],
  ['print', { arity: 0, variadic: true, call: sprint }],
  ['println', { arity: 0, variadic: true, call: sprintln }],
  ['printf', { arity: 1, variadic: true, strings: 1, call: ([format, ...values], budget) => sprintf(format as string, values, budget) }],
  ['html', { arity: 0, variadic: true, call: (args, budget) => written(escapeHtml(plain(args, budget)), budget) }],
  ['js', { arity: 0, variadic: true, call: (args, budget) => written(escapeJs(plain(args, budget)), budget) }],
  ['urlquery', { arity: 0, variadic: true, call: (args, budget) => written(escapeQuery(plain(args, budget)), budget) }],
  ['call', { arity: 1, variadic: true, call: ([value]) => notCallable(value as Value) }],
])

function last(args: Value[]): Value {
  return args.at(-1) as Value
}

/** Counts the work of looking at every character or element. */
function counted(value: Value | undefined, budget: Budget): Value {
  if (typeof value === 'string') budget.step(value.length >> 6)
  if (value instanceof GoList) budget.step(value.items.length >> 6)
  return value as Value
}

function written(text: string, budget: Budget): string {
  budget.write(text.length)
  return text
}

/** The text that an escaping function works on. */
function plain(args: Value[], budget: Budget): string {
  return sprint(
    args.map((arg) => arg ?? '<no value>'),
    budget,
  )
}

function notCallable(value: Value): never {
  throw new Error(value === null ? 'call of nil' : `non-function of type ${typeName(value)}`)
}

/** Strings have the length of their bytes in Go. */
function length(value: Value): bigint {
  if (typeof value === 'string') return BigInt(Buffer.byteLength(value))
  if (value instanceof GoList) return BigInt(value.items.length)
  if (value instanceof GoMap) return BigInt(value.entries.size)
  if (value instanceof GoBytes) return BigInt(value.bytes.length)
  throw new Error(value === null ? 'len of nil pointer' : `len of type ${typeName(value)}`)
}

function indexable(value: Value): Value {
  if (value === null) throw new Error('index of untyped nil')
  return value
}

function index(item: Value, key: Value): Value {
  if (item instanceof GoMap) {
    if (typeof key === 'string') return item.get(key)
    throw new Error(key === null ? 'value is nil; should be of type string' : `value has type ${typeName(key)}; should be string`)
  }
  const elements = typeof item === 'string' ? Buffer.from(item) : item instanceof GoList ? item.items : item instanceof GoBytes ? item.bytes : null
  if (elements === null) throw new Error(item === null ? 'index of nil pointer' : `can't index item of type ${typeName(item)}`)
  const element = elements[bound(key, elements.length)]
  if (element === undefined) throw new Error(`reflect: ${typeof item === 'string' ? 'string' : 'slice'} index out of range`)
  // Bytes are the only numbers here: a list holds bigints for Go's ints.
  return item instanceof GoList ? element : BigInt(element as number)
}

function slice(item: Value, bounds: Value[]): Value {
  if (item === null) throw new Error('slice of untyped nil')
  if (bounds.length > 3) throw new Error(`too many slice indexes: ${bounds.length}`)
  const elements = typeof item === 'string' ? Buffer.from(item) : item instanceof GoList ? item.items : item instanceof GoBytes ? item.bytes : null
  if (elements === null) throw new Error(`can't slice item of type ${typeName(item)}`)
  if (bounds.length === 3 && typeof item === 'string') throw new Error('cannot 3-index slice a string')
  const [start = 0, end = elements.length, capacity = elements.length] = bounds.map((value) => bound(value, elements.length))
  if (start > end) throw new Error(`invalid slice index: ${start} > ${end}`)
  if (end > capacity) throw new Error(`invalid slice index: ${end} > ${capacity}`)
  if (item instanceof GoList) return item.slice(start, end)
  const bytes = (elements as Uint8Array).subarray(start, end)
  return typeof item === 'string' ? Buffer.from(bytes).toString() : new GoBytes(bytes)
}

function bound(value: Value, limit: number): number {
  if (typeof value !== 'bigint') throw new Error(value === null ? 'cannot index slice/array with nil' : `cannot index slice/array with type ${typeName(value)}`)
  if (value < 0n || value > BigInt(limit)) throw new Error(`index out of range: ${value}`)
  return Number(value)
}
