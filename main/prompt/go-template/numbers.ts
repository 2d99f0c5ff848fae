import { quote, unquoteRune } from './quote.ts'
import type { Value } from './values.ts'

const integer = /^[+-]?(?:0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/
const decimal = /^[+-]?(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?$/
const hexFloat = /^([+-]?)0[xX]((?:_?[\da-fA-F])*)(?:\.((?:[\da-fA-F]_?)*))?[pP]([+-]?\d+)$/

/** The value of a Go number or character constant; throws an Error with the text of Go's parser. */
export function parseNumber(text: string): Value {
  if (text.startsWith("'")) return BigInt(unquoteRune(text))
  if (integer.test(text)) {
    const value = parseInteger(text)
    if (value > 0x7fffffffffffffffn || value < -0x8000000000000000n) throw new Error(`integer overflow: ${quote(text)}`)
    return value
  }
  const float = parseFloatText(text)
  if (float === null || !Number.isFinite(float)) throw new Error(`illegal number syntax: ${quote(text)}`)
  if (!/[.eEpP]/.test(text)) throw new Error(`integer overflow: ${quote(text)}`)
  return float
}

function parseInteger(text: string): bigint {
  const negative = text.startsWith('-')
  let digits = text.replace(/^[+-]/, '').replaceAll('_', '')
  if (/^0[0-7]/.test(digits)) digits = `0o${digits.slice(1)}`
  const value = BigInt(digits)
  return negative ? -value : value
}

function parseFloatText(text: string): number | null {
  // Underscores only separate digits where a base prefix says so, which decimals lack.
  if (decimal.test(text) && !text.includes('_')) return Number(text)
  const parts = hexFloat.exec(text)
  if (!parts) return null
  const [, sign, whole = '', fraction = '', exponent] = parts
  const digits = (whole + fraction).replaceAll('_', '')
  if (digits === '') return null
  const value = Number(BigInt(`0x${digits}`)) * 2 ** (Number(exponent) - 4 * fraction.replaceAll('_', '').length)
  return sign === '-' ? -value : value
}
