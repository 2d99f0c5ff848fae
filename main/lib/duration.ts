const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/**
 * Milliseconds of a duration in Go's notation: `5m`, `1h30m`, `-1m`, `0`.
 *
 * Throws an Error whose text is that of Go's `time.ParseDuration`, which clients of the native API see.
 */
export function parseDuration(text: string): number {
  const invalid = () => new Error(`time: invalid duration ${JSON.stringify(text)}`)
  let rest = text
  let sign = 1
  if (rest.startsWith('-') || rest.startsWith('+')) {
    if (rest.startsWith('-')) sign = -1
    rest = rest.slice(1)
  }
  if (rest === '0') return 0
  if (rest === '') throw invalid()
  let total = 0
  while (rest !== '') {
    const number = /^(\d+\.?\d*|\.\d+)/.exec(rest)
    if (!number) throw invalid()
    rest = rest.slice(number[0].length)
    const unit = /^[^\d.]+/.exec(rest)?.[0]
    if (unit === undefined) throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`)
    const factor = unitMs[unit]
    if (factor === undefined) throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`)
    total += Number(number[0]) * factor
    rest = rest.slice(unit.length)
  }
  return sign * total
}
