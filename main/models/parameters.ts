import { AppError } from '../errors.ts'
import type { Json, JsonObject } from '../lib/json.ts'

export type ParameterType = 'integer' | 'float' | 'boolean' | 'strings'

/** Every parameter that a Modelfile or `create` may set, by the protocol's names (native protocol reference, §6), then ours. */
export const parameterTypes: Readonly<Record<string, ParameterType>> = {
  num_keep: 'integer',
  seed: 'integer',
  num_predict: 'integer',
  top_k: 'integer',
  top_p: 'float',
  min_p: 'float',
  typical_p: 'float',
  repeat_last_n: 'integer',
  temperature: 'float',
  repeat_penalty: 'float',
  presence_penalty: 'float',
  frequency_penalty: 'float',
  stop: 'strings',
  num_ctx: 'integer',
  num_batch: 'integer',
  num_gpu: 'integer',
  main_gpu: 'integer',
  use_mmap: 'boolean',
  num_thread: 'integer',
  draft_num_predict: 'integer',
  mirostat: 'integer',
  mirostat_tau: 'float',
  mirostat_eta: 'float',
  use_mlock: 'boolean',
  top_n_sigma: 'float',
  xtc_probability: 'float',
  xtc_threshold: 'float',
  dry_multiplier: 'float',
  dry_base: 'float',
  dry_allowed_length: 'integer',
  dry_penalty_last_n: 'integer',
  dry_sequence_breakers: 'strings',
  dynatemp_range: 'float',
  dynatemp_exponent: 'float',
  thinking_budget: 'integer',
  // Without effect since long; old Modelfiles still set them.
  penalize_newline: 'boolean',
  low_vram: 'boolean',
  f16_kv: 'boolean',
  logits_all: 'boolean',
  vocab_only: 'boolean',
  numa: 'boolean',
  tfs_z: 'float',
}

/**
 * The value of one `PARAMETER` line; of a list, one element.
 *
 * Throws `invalid-request` with the protocol's texts.
 */
export function parseParameter(name: string, text: string): Json {
  const type = typeOf(name)
  switch (type) {
    case 'integer':
      if (/^[+-]?\d+$/.test(text)) return Number(text)
      throw new AppError('invalid-request', `invalid int value [${text}]`)
    case 'float':
      if (text.trim() === text && text !== '' && Number.isFinite(Number(text))) return Number(text)
      throw new AppError('invalid-request', `invalid float value [${text}]`)
    case 'boolean':
      if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true
      if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false
      throw new AppError('invalid-request', `invalid bool value [${text}]`)
    case 'strings':
      return text
    default:
      return type satisfies never
  }
}

/** The parameters of a Modelfile: lists accumulate, of the rest the last counts. */
export function parseParameters(lines: readonly (readonly [name: string, text: string])[]): JsonObject {
  const parameters: JsonObject = {}
  for (const [name, text] of lines) {
    const value = parseParameter(name, text)
    const before = parameters[name]
    if (typeOf(name) !== 'strings') parameters[name] = value
    else parameters[name] = Array.isArray(before) ? [...before, value] : [value]
  }
  return parameters
}

/** Parameters as JSON, checked by type; null values are left out, a single text stands for a list of one. */
export function checkParameters(parameters: JsonObject): JsonObject {
  const checked: JsonObject = {}
  for (const [name, value] of Object.entries(parameters)) {
    const type = typeOf(name)
    if (value !== null) checked[name] = type === 'strings' && typeof value === 'string' ? [value] : checkParameter(name, value)
  }
  return checked
}

export function isParameter(name: string): boolean {
  return Object.hasOwn(parameterTypes, name)
}

/** One parameter as JSON, checked by its type; a fraction for an integer is cut off. */
export function checkParameter(name: string, value: Json): Json {
  const type = typeOf(name)
  const wrong = (wanted: string) => new AppError('invalid-request', `option ${JSON.stringify(name)} must be of ${wanted}`)
  switch (type) {
    case 'integer':
      if (!isNumber(value)) throw wrong('type integer')
      return Math.trunc(value)
    case 'float':
      if (!isNumber(value)) throw wrong('type float32')
      return value
    case 'boolean':
      if (typeof value !== 'boolean') throw wrong('type boolean')
      return value
    case 'strings':
      if (!Array.isArray(value)) throw wrong('type array')
      if (!value.every((one) => typeof one === 'string')) throw wrong('an array of strings')
      return value
    default:
      return type satisfies never
  }
}

/** JSON can spell numbers that are none here, such as 1e999. */
function isNumber(value: Json): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function typeOf(name: string): ParameterType {
  const type = isParameter(name) ? parameterTypes[name] : undefined
  if (type !== undefined) return type
  const near = nearestParameter(name)
  throw new AppError('invalid-request', `unknown parameter '${name}'${near === null ? '' : `, did you mean '${near}'?`}`)
}

/** The known parameter that a misspelt name most likely meant; null when none is near. */
export function nearestParameter(name: string): string | null {
  const wanted = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_')
  let nearest: string | null = null
  let least = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const known of Object.keys(parameterTypes)) {
    const edits = editDistance(wanted.slice(0, 64), known)
    if (edits < least) [nearest, least] = [known, edits]
  }
  return nearest
}

/** Levenshtein: insertions, deletions and replacements that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
