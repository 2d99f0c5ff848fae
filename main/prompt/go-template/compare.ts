import { compareBytes, GoList, GoMap, typeName, type Value } from './values.ts'

/** Go's `eq`: true when the first equals any of the others. */
export function equalsAny(first: Value, others: Value[]): boolean {
  if (others.length === 0) throw new Error('missing argument for comparison')
  return others.some((other) => equals(first, other))
}

function equals(a: Value, b: Value): boolean {
  if (a === null || b === null) return isNil(a) && isNil(b)
  if (isBasic(a) !== isBasic(b) || (isBasic(a) && typeof a !== typeof b))
    throw new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
  if (isBasic(a)) return a === b
  throw new Error(`non-comparable type ${typeName(b)}`)
}

/** Go's `lt`, of two ints, floats or strings. */
export function isLess(a: Value, b: Value): boolean {
  if (!isBasic(a) || !isBasic(b)) throw new Error('invalid type for comparison')
  if (typeof a !== typeof b) throw new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`)
  if (typeof a === 'boolean') throw new Error('invalid type for comparison')
  if (typeof a === 'string') return compareBytes(a, b as string) < 0
  return a < (b as typeof a)
}

function isBasic(value: Value): value is string | number | bigint | boolean {
  return value !== null && typeof value !== 'object'
}

function isNil(value: Value): boolean {
  return value === null || ((value instanceof GoList || value instanceof GoMap) && value.isNil)
}
