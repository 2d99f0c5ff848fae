import { AppError } from '../../errors.ts'
import type { JsonObject } from '../../lib/json.ts'
import { numberRange } from './decimals.ts'
import { integerRange } from './integers.ts'
import { multiples } from './multiples.ts'
import { jsonText, patternRule, UnsupportedLength, UnsupportedPattern } from './pattern.ts'
import { stringFormats } from './primitives.ts'

/** The engine makes a rule of each repetition, refuses 2,000 of them (`MAX_REPETITION_THRESHOLD` of llama-grammar.cpp) and takes more for no limit at all. */
const mostInline = 200
/** Of characters and of items, counted in hundreds. */
const mostCounted = 100_000

/** A rule for texts of this schema. */
export function string(schema: JsonObject, path: string): string {
  const least = bound(schema, 'minLength', path)
  const most = bound(schema, 'maxLength', path)
  if (least !== null && most !== null && least > most) throw refused(path, 'keyword "minLength" is above "maxLength"')
  const format = typeof schema.format === 'string' ? schema.format.replace(/^uuid[1-7]$/, 'uuid') : ''
  if (schema.pattern !== undefined) {
    if (typeof schema.pattern !== 'string') throw refused(path, 'keyword "pattern" must be a string')
    try {
      const lengths = { least: least ?? 0, most: most ?? Number.POSITIVE_INFINITY }
      return `"\\"" (${patternRule(schema.pattern, jsonText, lengths)}) "\\""`
    } catch (error) {
      if (error instanceof UnsupportedLength)
        throw refused(path, `keyword "${least === null ? 'maxLength' : 'minLength'}" cannot be held together with this "pattern"`)
      if (!(error instanceof UnsupportedPattern)) throw error
      // A validator's expression for a known format often looks ahead; the format's own rule says the same.
      if (!stringFormats.has(format)) throw refused(path, `keyword "pattern" cannot be honoured: ${error.message}`)
    }
  }
  const lengths = stringFormats.get(format)
  if (lengths !== undefined) {
    const beyond = (least ?? 0) > lengths.least ? 'minLength' : most !== null && most < lengths.most ? 'maxLength' : null
    if (beyond !== null) throw refused(path, `keyword "${beyond}" cannot be held together with the format "${format}"`)
    return `"\\"" ${format} "\\""`
  }
  if (least === null && most === null) return 'string'
  return `"\\"" ${repeated(least ?? 0, most)} "\\""`
}

/** So many characters, or others of one rule; a long count is taken in hundreds. */
export function repeated(least: number, most: number | null, one = 'char', hundred = () => 'hundred'): string {
  if (most === null ? least <= mostInline : most <= mostInline) return `${one}${times(least, most)}`
  const many = hundred()
  const exactly = (count: number) => `${many}{${Math.floor(count / 100)}} ${one}{${count % 100}}`
  const first = least === 0 ? '' : `${exactly(least)} `
  if (most === null) return `${first}${one}*`
  const hundreds = Math.floor((most - least) / 100)
  if (hundreds === 0) return `${first}${one}{0,${most - least}}`
  return `${first}(${many}{0,${Math.max(0, hundreds - 1)}} ${one}{0,99} | ${many}{${hundreds}} ${one}{0,${(most - least) % 100}})`
}

/** A rule for numbers of this schema, `whole` ones or any. @param add adds a rule of this name and gives the name that it got */
export function number(schema: JsonObject, whole: boolean, path: string, add: (name: string, body: string) => string): string {
  const at = (keyword: string): number | null => {
    const value = schema[keyword]
    if (value === undefined) return null
    if (typeof value !== 'number') throw refused(path, `keyword "${keyword}" must be a number`)
    return value
  }
  const step = at('multipleOf')
  const [minimum, maximum, above, below] = [at('minimum'), at('maximum'), at('exclusiveMinimum'), at('exclusiveMaximum')]
  if (step === null && minimum === null && maximum === null && above === null && below === null) return whole ? 'integer' : 'number'
  const aboveMinimum = above !== null && (minimum === null || above >= minimum)
  const belowMaximum = below !== null && (maximum === null || below <= maximum)
  const low = aboveMinimum ? above : minimum
  const high = belowMaximum ? below : maximum
  if (step !== null) {
    const rule = step > 0 ? multiples(step, whole, { low, high, aboveLow: aboveMinimum, belowHigh: belowMaximum }, add) : null
    if (rule === null) throw refused(path, 'keyword "multipleOf" cannot be honoured with these limits')
    return rule
  }
  const range = whole
    ? integerRange(
        low === null ? null : BigInt(Math.ceil(low)) + (aboveMinimum && Number.isInteger(low) ? 1n : 0n),
        high === null ? null : BigInt(Math.floor(high)) - (belowMaximum && Number.isInteger(high) ? 1n : 0n),
      )
    : numberRange(low, high, { aboveMinimum, belowMaximum })
  if (range === null) throw refused(path, 'keyword "minimum" is above "maximum"')
  return range
}

/** A count that a keyword gives; null when it is not there. */
export function bound(schema: JsonObject, keyword: string, path: string): number | null {
  const value = schema[keyword]
  if (value === undefined) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw refused(path, `keyword "${keyword}" must be a whole number`)
  if (value > mostCounted) throw refused(path, `keyword "${keyword}" may be ${mostCounted} at most`)
  return value
}

/** How often something is repeated, as GBNF writes it. */
function times(least: number, most: number | null): string {
  if (most === null) return least === 0 ? '*' : least === 1 ? '+' : `{${least},}`
  return `{${least},${most}}`
}

/** The refusal of a schema, naming the place. */
export function refused(path: string, reason: string): AppError {
  return new AppError('invalid-request', `invalid JSON schema at ${path}: ${reason}`)
}
