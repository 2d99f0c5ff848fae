import { largest, naturals } from './integers.ts'

/** A decimal number ≥ 0, exactly: its digits before and behind the point, the latter without zeros at the end. */
interface Decimal {
  whole: bigint
  fraction: string
}

const any = '[0-9]{0,16}'
const anyButZero = '[0-9]{0,15} [1-9]'
const zero: Decimal = { whole: 0n, fraction: '' }

/** A rule for decimal numbers (no exponent) of a range; null bounds are open. Empty ranges give null. */
export function numberRange(
  minimum: number | null,
  maximum: number | null,
  { aboveMinimum, belowMaximum }: { aboveMinimum: boolean; belowMaximum: boolean },
): string | null {
  if (minimum !== null && maximum !== null && (minimum > maximum || (minimum === maximum && (aboveMinimum || belowMaximum)))) return null
  const parts: (string | null)[] = []
  if (minimum === null || minimum < 0) {
    const nearest = maximum !== null && maximum < 0 ? { at: decimal(-maximum), left: belowMaximum } : { at: zero, left: true }
    const magnitudes = between(nearest.at, minimum === null ? null : decimal(-minimum), nearest.left, aboveMinimum)
    parts.push(magnitudes && `"-" (${magnitudes})`)
  }
  if (maximum === null || maximum >= 0) {
    const nearest = minimum !== null && minimum >= 0 ? { at: decimal(minimum), left: aboveMinimum } : { at: zero, left: false }
    parts.push(between(nearest.at, maximum === null ? null : decimal(maximum), nearest.left, belowMaximum))
  }
  const rules = parts.filter((part) => part !== null)
  return rules.length === 0 ? null : rules.join(' | ')
}

/** As JavaScript writes the number, its exponent carried out. */
function decimal(value: number): Decimal {
  const [, digits = '0', behind = '', exponent = '0'] = /^(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? []
  const point = digits.length + Number(exponent)
  const all = (digits + behind).padStart((digits + behind).length + Math.max(0, -point), '0')
  const split = Math.max(0, point)
  return { whole: BigInt(all.slice(0, split).padEnd(split, '0') || '0'), fraction: all.slice(split).replace(/0+$/, '') }
}

/** Numbers from `low` to `high`, or with null without end; each end may be left out. */
function between(low: Decimal, high: Decimal | null, aboveLow: boolean, belowHigh: boolean): string | null {
  if (high === null) return `"${low.whole}" (${fractionsFrom(low.fraction, aboveLow)}) | (${naturals(low.whole + 1n, largest)}) ("." [0-9]{1,16})?`
  if (low.whole > high.whole) return null
  if (low.whole === high.whole) {
    const behind = fractionsBetween(low.fraction, high.fraction, aboveLow, belowHigh)
    return behind && `"${low.whole}" (${behind})`
  }
  const parts = [`"${low.whole}" (${fractionsFrom(low.fraction, aboveLow)})`]
  if (low.whole + 1n < high.whole) parts.push(`(${naturals(low.whole + 1n, high.whole - 1n)}) ("." [0-9]{1,16})?`)
  const behind = fractionsTo(high.fraction, belowHigh)
  if (behind !== null) parts.push(`"${high.whole}" ${behind}`)
  return parts.join(' | ')
}

/** What may stand behind a whole number so that all together is `.digits` or more. */
function fractionsFrom(digits: string, left: boolean): string {
  if (digits !== '') return `"." (${digitsFrom(digits, left)})`
  return left ? `"." ${anyButZero}` : '("." [0-9]{1,16})?'
}

/** The same for `.digits` or less; null when nothing may. */
function fractionsTo(digits: string, left: boolean): string | null {
  if (digits !== '') return `("." (${digitsTo(digits, left)}))?`
  return left ? null : '("." "0"{1,16})?'
}

function fractionsBetween(low: string, high: string, aboveLow: boolean, belowHigh: boolean): string | null {
  if (low === high) return aboveLow || belowHigh ? null : low === '' ? '("." "0"{1,16})?' : `"." "${low}" "0"{0,16}`
  if (low > high) return null
  const behind = `"." (${digitsBetween(low, high, aboveLow, belowHigh)})`
  return low === '' && !aboveLow ? `(${behind})?` : behind
}

/** Digits behind the point that are these or more. */
function digitsFrom(digits: string, left: boolean): string {
  if (digits === '') return left ? anyButZero : any
  const [first, rest] = [Number(digits[0]), digits.slice(1)]
  const parts = [`"${first}" ${grouped(digitsFrom(rest, left))}`]
  if (first < 9) parts.push(`${digitsOf(first + 1, 9)} ${any}`)
  return parts.join(' | ')
}

/** One digit at least, together these or less. */
function digitsTo(digits: string, left: boolean): string {
  const [first, rest] = [Number(digits[0]), digits.slice(1)]
  const parts = first > 0 ? [`${digitsOf(0, first - 1)} ${any}`] : []
  const tail = tailTo(rest, left)
  if (tail !== null) parts.push(`"${first}" ${tail}`)
  return parts.join(' | ')
}

function tailTo(rest: string, left: boolean): string | null {
  if (rest !== '') return `(${digitsTo(rest, left)})?`
  return left ? null : '"0"{0,16}'
}

/** One digit at least, together from `low` to `high`, of which the former is less. */
function digitsBetween(low: string, high: string, aboveLow: boolean, belowHigh: boolean): string {
  if (low === '' && !aboveLow) return digitsTo(high, belowHigh)
  const [from, to] = [Number(low[0] ?? 0), Number(high[0])]
  const [lowRest, highRest] = [low.slice(1), high.slice(1)]
  if (from === to) {
    const more = digitsBetween(lowRest, highRest, aboveLow, belowHigh)
    // Nothing more: the number is `low` itself, if that ends here.
    return `"${from}" (${more})${lowRest === '' && !aboveLow ? '?' : ''}`
  }
  const parts = [`"${from}" ${grouped(digitsFrom(lowRest, aboveLow))}`]
  if (from + 1 < to) parts.push(`${digitsOf(from + 1, to - 1)} ${any}`)
  const tail = tailTo(highRest, belowHigh)
  if (tail !== null) parts.push(`"${to}" ${tail}`)
  return parts.join(' | ')
}

function digitsOf(from: number, to: number): string {
  return from === to ? `"${from}"` : `[${from}-${to}]`
}

function grouped(rule: string): string {
  return rule.includes(' | ') ? `(${rule})` : rule
}
