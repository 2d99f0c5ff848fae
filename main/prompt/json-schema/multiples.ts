import { integerRange } from './integers.ts'

interface Range {
  low: number | null
  high: number | null
  aboveLow: boolean
  belowHigh: boolean
}

type Add = (name: string, body: string) => string

/** More values than this are not listed. */
const maxListed = 1000
/** A larger step would need too many rules. */
const largestStep = 100
/** Digits of multiples that are not listed. */
const digits = 9
const numerals = Array.from({ length: 10 }, (_, numeral) => numeral)

/**
 * A rule for the multiples of `step` in a range; null where there is none, or none that a grammar of sensible size can have.
 *
 * Few are listed; those of a power of ten end with its zeros, or have so many decimals; other whole ones are read digit by digit with the rest of the
 * division, and can have no limit but 0.
 */
export function multiples(step: number, whole: boolean, range: Range, add: Add): string | null {
  const decimals = whole ? 0 : decimalsOf(step)
  const scaled = Math.round(step * 10 ** decimals)
  if (whole && !Number.isInteger(step)) return null
  const low = range.low === null ? null : ceiling(range.low, step, range.aboveLow)
  const high = range.high === null ? null : floor(range.high, step, range.belowHigh)
  if (low !== null && high !== null && high - low < maxListed) {
    const values = Array.from({ length: Math.max(0, high - low + 1) }, (_, at) => ((low + at) * scaled) / 10 ** decimals)
    return values.length === 0 ? null : values.map((value) => `"${value === 0 ? 0 : value.toFixed(decimals)}"`).join(' | ')
  }
  if (decimals > 0) return scaled === 1 && low === null && high === null ? `"-"? integral ("." [0-9]{1,${decimals}})?` : null
  if (/^10*$/.test(String(scaled))) return endingInZeros(String(scaled).length - 1, low, high)
  if (scaled > largestStep || ![null, 0, 1].includes(low) || ![null, 0, -1].includes(high)) return null
  const positive = dividedBy(scaled, add)
  const parts = [...(high === null ? [`(${positive})`] : []), ...(low === null ? [`"-" (${positive})`] : []), ...(low === 1 || high === -1 ? [] : ['"0"'])]
  return parts.join(' | ')
}

/** Which multiple is the first that is not below the limit, and not it where that is left out. */
function ceiling(limit: number, step: number, leftOut: boolean): number {
  const at = nearly(limit / step)
  return leftOut && Number.isInteger(at) ? at + 1 : Math.ceil(at)
}

function floor(limit: number, step: number, leftOut: boolean): number {
  const at = nearly(limit / step)
  return leftOut && Number.isInteger(at) ? at - 1 : Math.floor(at)
}

/** A quotient that is whole but for the last bits is whole. */
function nearly(quotient: number): number {
  return Math.abs(quotient - Math.round(quotient)) < 1e-9 * Math.max(1, Math.abs(quotient)) ? Math.round(quotient) : quotient
}

/** Digits behind the point of a number as JavaScript writes it; many for one with an exponent. */
function decimalsOf(value: number): number {
  const [, behind = '', exponent = '0'] = /^\d+(?:\.(\d+))?(?:e-(\d+))?$/.exec(String(value)) ?? []
  return behind.length + Number(exponent)
}

function endingInZeros(count: number, low: number | null, high: number | null): string | null {
  const others = [
    high !== null && high < 1 ? null : integerRange(BigInt(Math.max(1, low ?? 1)), high === null ? null : BigInt(high)),
    low !== null && low > -1 ? null : integerRange(low === null ? null : BigInt(low), BigInt(Math.min(-1, high ?? -1))),
  ].flatMap((rule) => (rule === null ? [] : [`(${rule}) "${'0'.repeat(count)}"`]))
  const hasZero = (low ?? 0) <= 0 && (high ?? 0) >= 0
  return [...others, ...(hasZero ? ['"0"'] : [])].join(' | ') || null
}

/** Whole numbers above 0 that the divisor divides, of nine digits at most. */
function dividedBy(divisor: number, add: Add): string {
  const known = new Map<string, string | null>()
  /** What may follow digits that leave this rest; null when so few more digits never make it divisible. */
  const after = (rest: number, left: number): string | null => {
    const key = `${rest}-${left}`
    const found = known.get(key)
    if (found !== undefined) return found
    const parts = [...(rest === 0 ? ['""'] : []), ...(left === 0 ? [] : onward(rest, left, numerals))]
    const name = parts.length === 0 ? null : add(`multiple-of-${divisor}-${key}`, parts.join(' | '))
    known.set(key, name)
    return name
  }
  const onward = (rest: number, left: number, allowed: readonly number[]): string[] =>
    Array.from(
      Map.groupBy(allowed, (numeral) => (rest * 10 + numeral) % divisor),
      ([next, group]) => ({ next: after(next, left - 1), group }),
    ).flatMap(({ next, group }) => (next === null ? [] : [`[${group.join('')}] ${next}`]))
  return onward(0, digits, numerals.slice(1)).join(' | ')
}
