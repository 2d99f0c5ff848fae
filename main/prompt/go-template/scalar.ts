import { isPrintable, quote } from './quote.ts'
import { typeName } from './values.ts'

/** What stands between `%` and the verb. */
export interface Flags {
  minus: boolean
  plus: boolean
  sharp: boolean
  space: boolean
  zero: boolean
  width: number | null
  precision: number | null
}

export const noFlags: Readonly<Flags> = Object.freeze({ minus: false, plus: false, sharp: false, space: false, zero: false, width: null, precision: null })

/** A value without parts as Go's `fmt` writes it; null where the verb does not fit its type. */
export function formatScalar(value: string | number | bigint | boolean | null, verb: string, flags: Readonly<Flags>): string | null {
  if (verb === 'T') return pad(typeName(value), flags)
  if (value === null) return verb === 'v' ? pad('<nil>', flags) : null
  switch (typeof value) {
    case 'string':
      return formatString(value, verb, flags)
    case 'boolean':
      return verb === 'v' || verb === 't' ? pad(String(value), flags) : null
    case 'bigint':
      return formatInteger(value, verb, ofNumber(verb, flags))
    default:
      return formatFloat(value, verb, ofNumber(verb, flags))
  }
}

/** Blanks up to the width, which counts runes. */
export function pad(text: string, flags: Readonly<Flags>): string {
  if (flags.width === null) return text
  const blanks = ' '.repeat(Math.max(0, flags.width - [...text].length))
  return flags.minus ? text + blanks : blanks + text
}

/** The plus of `%+v` asks for the names of fields, not for signs. */
function ofNumber(verb: string, flags: Readonly<Flags>): Readonly<Flags> {
  return verb === 'v' && flags.plus ? { ...flags, plus: false } : flags
}

function formatString(value: string, verb: string, flags: Readonly<Flags>): string | null {
  const text = flags.precision === null ? value : [...value].slice(0, flags.precision).join('')
  switch (verb) {
    case 'v':
      return pad(flags.sharp ? quote(text) : text, flags)
    case 's':
      return pad(text, flags)
    case 'q':
      return pad(flags.sharp && !/[`\p{Cc}]/u.test(text) ? `\`${text}\`` : quote(text, '"', flags.plus), flags)
    case 'x':
    case 'X': {
      const hex = Buffer.from(text).toString('hex')
      const spaced = flags.space ? hex.replace(/..(?=.)/g, '$& ') : hex
      const prefixed = flags.sharp && hex !== '' ? `0x${spaced}` : spaced
      return pad(verb === 'X' ? prefixed.toUpperCase() : prefixed, flags)
    }
    default:
      return null
  }
}

const bases: Record<string, [base: number, prefix: string]> = {
  v: [10, ''],
  d: [10, ''],
  b: [2, '0b'],
  o: [8, '0'],
  O: [8, '0o'],
  x: [16, '0x'],
  X: [16, '0X'],
}

function formatInteger(value: bigint, verb: string, flags: Readonly<Flags>): string | null {
  const base = bases[verb]
  if (base === undefined) return formatRune(value, verb, flags)
  let digits = (value < 0n ? -value : value).toString(base[0])
  if (verb === 'X') digits = digits.toUpperCase()
  if (flags.precision !== null) digits = flags.precision === 0 && value === 0n ? '' : digits.padStart(flags.precision, '0')
  const prefix = verb === 'O' || flags.sharp ? base[1] : ''
  return padNumber(sign(value < 0n, flags), prefix + digits, flags.precision === null ? flags : { ...flags, zero: false })
}

function formatRune(value: bigint, verb: string, flags: Readonly<Flags>): string | null {
  const rune = value >= 0n && value <= 0x10ffffn ? String.fromCodePoint(Number(value)) : '\ufffd'
  switch (verb) {
    case 'c':
      return pad(rune, flags)
    case 'q':
      return pad(quote(rune, "'", flags.plus), flags)
    case 'U': {
      const code = `U+${value.toString(16).toUpperCase().padStart(4, '0')}`
      return pad(flags.sharp && isPrintable(rune) ? `${code} '${rune}'` : code, flags)
    }
    default:
      return null
  }
}

function formatFloat(value: number, verb: string, flags: Readonly<Flags>): string | null {
  if (!'veEfFgG'.includes(verb)) return null
  const negative = value < 0 || Object.is(value, -0)
  if (Number.isNaN(value)) return padNumber(sign(false, flags), 'NaN', { ...flags, zero: false })
  if (!Number.isFinite(value)) return padNumber(negative ? '-' : '+', 'Inf', { ...flags, zero: false })
  const digits = floatDigits(Math.abs(value), verb, flags.precision)
  return padNumber(sign(negative, flags), verb === 'E' || verb === 'G' ? digits.toUpperCase() : digits, flags)
}

function sign(negative: boolean, flags: Readonly<Flags>): string {
  if (negative) return '-'
  if (flags.plus) return '+'
  return flags.space ? ' ' : ''
}

/** Zeros go between the sign and the digits. */
function padNumber(signText: string, digits: string, flags: Readonly<Flags>): string {
  if (flags.zero && !flags.minus && flags.width !== null) return signText + digits.padStart(flags.width - signText.length, '0')
  return pad(signText + digits, flags)
}

/** A number ≥ 0 in Go's `%e`, `%f` or `%g`; `%v` and a `%g` without precision are the shortest that read back. */
function floatDigits(value: number, verb: string, precision: number | null): string {
  if (verb === 'f' || verb === 'F') return fixed(value, precision ?? 6)
  if (verb === 'e' || verb === 'E') return exponential(value.toExponential(Math.min(precision ?? 6, 100)))
  const shortest = precision === null
  const scientific = shortest ? value.toExponential() : value.toExponential(Math.min(Math.max(precision, 1), 100) - 1)
  const [mantissa = '', exponentText = '0'] = scientific.split('e')
  const exponent = Number(exponentText)
  const digits = mantissa.replace('.', '').replace(/0+$/, '') || '0'
  // strconv's %g: an exponent below -4, or not below the precision (6 for the shortest form), is written as one.
  const limit = shortest ? 6 : Math.max(precision, 1)
  if (exponent < -4 || exponent >= limit) return exponential(`${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${exponent}`)
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const fraction = digits.slice(exponent + 1)
  return fraction === '' ? whole : `${whole}.${fraction}`
}

function fixed(value: number, precision: number): string {
  if (value < 1e21) return halfToEven(value, Math.min(precision, 100))
  return BigInt(value).toString() + (precision > 0 ? `.${'0'.repeat(precision)}` : '')
}

/** JavaScript rounds an exact half up, Go to the even digit. */
function halfToEven(value: number, precision: number): string {
  const text = value.toFixed(precision)
  const rest = value.toFixed(100).split('.')[1]?.slice(precision) ?? ''
  const isOdd = '13579'.includes(text.at(-1) as string)
  // Odd and rounded up from a half: the digit below is even, and no carry is lost as the last digit is not 0.
  return isOdd && /^50*$/.test(rest) ? text.slice(0, -1) + String(Number(text.at(-1)) - 1) : text
}

/** JavaScript writes `1e+6`, Go at least two digits. */
function exponential(text: string): string {
  const [mantissa, exponent = 0] = text.split('e')
  const power = Number(exponent)
  return `${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
