/** Numbers as a language writes them. */
export interface Formats {
  /** `97 MB`: decimal units, as shops and file managers count. */
  bytes(bytes: number): string
  count(value: number): string
  percent(fraction: number): string
  /** `3.2 s`. */
  seconds(ms: number): string
  /** One digit behind the point below ten. */
  rate(value: number): string
}

export function formatsOf(language: string): Formats {
  const number = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, options)
  const count = number({ maximumFractionDigits: 0 })
  const percent = number({ style: 'percent', maximumFractionDigits: 0 })
  const tenths = number({ maximumFractionDigits: 1, minimumFractionDigits: 1 })
  const units = (['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const).map((unit) => ({
    whole: number({ style: 'unit', unit, maximumFractionDigits: 0 }),
    tenths: number({ style: 'unit', unit, maximumFractionDigits: 1 }),
  }))
  return {
    bytes(bytes) {
      const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1)
      const value = bytes / 1000 ** power
      return (value < 10 && power > 2 ? units[power]?.tenths : units[power]?.whole)?.format(value) ?? ''
    },
    count: (value) => count.format(value),
    percent: (fraction) => percent.format(fraction),
    seconds: (ms) => number({ style: 'unit', unit: 'second', maximumFractionDigits: 1 }).format(ms / 1000),
    rate: (value) => (value < 10 ? tenths : count).format(value),
  }
}
