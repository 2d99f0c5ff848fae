/** Integers of more digits than the plain rule allows need no bound. */
export const largest = 10n ** 16n - 1n

/** A rule for the integers of a range without a leading zero; null bounds are open. Empty ranges give null. */
export function integerRange(minimum: bigint | null, maximum: bigint | null): string | null {
  const low = minimum === null || minimum < -largest ? -largest : minimum
  const high = maximum === null || maximum > largest ? largest : maximum
  if (low > high) return null
  const parts: string[] = []
  if (low < 0n) parts.push(`"-" (${naturals(high < 0n ? -high : 1n, -low)})`)
  if (high >= 0n) parts.push(naturals(low > 0n ? low : 0n, high))
  return parts.join(' | ')
}

/** Natural numbers from `low` to `high` by their digits. */
export function naturals(low: bigint, high: bigint): string {
  const parts: string[] = []
  for (let length = String(low).length; length <= String(high).length; length++) {
    const smallest = length === 1 ? 0n : 10n ** BigInt(length - 1)
    const greatest = 10n ** BigInt(length) - 1n
    // The rest of the lengths without a bound of their own need no rule each.
    if (low <= smallest && high === largest) {
      parts.push(length === 1 ? `"0" | [1-9] [0-9]{0,15}` : `[1-9] [0-9]{${length - 1},15}`)
      break
    }
    parts.push(digits(String(low > smallest ? low : smallest), String(high < greatest ? high : greatest)))
  }
  return parts.join(' | ')
}

/** Numbers between two of the same length. */
function digits(low: string, high: string): string {
  let same = 0
  while (same < low.length && low[same] === high[same]) same++
  const prefix = same === 0 ? '' : `"${low.slice(0, same)}"`
  if (same === low.length) return prefix
  const [first, last] = [Number(low[same]), Number(high[same])]
  const [lowRest, highRest] = [low.slice(same + 1), high.slice(same + 1)]
  const count = lowRest.length
  const openLow = /^0*$/.test(lowRest)
  const openHigh = /^9*$/.test(highRest)
  const any = count === 0 ? '' : ` [0-9]{${count}}`
  const parts: string[] = []
  if (!openLow) parts.push(`"${first}" ${group(digits(lowRest, '9'.repeat(count)))}`)
  const from = openLow ? first : first + 1
  const to = openHigh ? last : last - 1
  if (from <= to) parts.push(`${from === to ? `"${from}"` : `[${from}-${to}]`}${any}`)
  if (!openHigh) parts.push(`"${last}" ${group(digits('0'.repeat(count), highRest))}`)
  const tail = parts.length === 1 ? (parts[0] as string) : `(${parts.join(' | ')})`
  return prefix === '' ? tail : `${prefix} ${tail}`
}

function group(rule: string): string {
  return rule.includes(' | ') && !rule.startsWith('(') ? `(${rule})` : rule
}
