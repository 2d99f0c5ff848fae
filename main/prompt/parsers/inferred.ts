import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Message } from '../messages.ts'
import { BareCallReader } from './bare-call-reader.ts'
import { escaped } from './call-grammar.ts'
import { type CallFormat, callFromObject, parseJson, type RawCall } from './calls.ts'
import type { Family, HoldCalls } from './family.ts'
import { holdJsonCalls, holdNamedCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { JsonScanner } from './json-scanner.ts'
import { NamedCallReader } from './named-call-reader.ts'

/** A call that no conversation holds: where a template writes it shows the form. */
const probeCall = { name: 'qzprobe', arguments: { qzkey: 'qzvalue' } } as const
const probeId = 'call00001'

/** How calls are written that no family is known to write. */
export type CallForm = Pick<Family, 'format' | 'holdCalls'>

const question: Message = { role: 'user', content: 'QZQUESTIONQZ' }
/** Two conversations whose renderings show the form: one ends with the probe's call, the other with words in its place. */
export const probes: { call: Message[]; words: Message[] } = {
  call: [question, { role: 'assistant', content: '', toolCalls: [{ id: probeId, index: 0, ...probeCall }] }],
  words: [question, { role: 'assistant', content: 'QZANSWERQZ' }],
}

/**
 * How a template writes calls, from its renderings of the two probes.
 *
 * Forms: a tag and JSON (one object or a list of them, or bare), or a name and its arguments in JSON; null for any other.
 */
export function inferForm(withCall: string, withWords: string): CallForm | null {
  const written = difference(withCall, withWords)
  const nameAt = written.indexOf(probeCall.name)
  if (nameAt < 0) return null
  return wrappedForm(written, nameAt) ?? namedForm(written, nameAt)
}

/** What only the first text has, between what both begin and end with. */
function difference(text: string, other: string): string {
  let start = 0
  while (start < text.length && text[start] === other[start]) start++
  let end = text.length
  for (let otherEnd = other.length; end > start && otherEnd > start && text[end - 1] === other[otherEnd - 1]; otherEnd--) end--
  return text.slice(start, end)
}

/** Name and arguments inside one JSON value. */
function wrappedForm(written: string, nameAt: number): CallForm | null {
  for (const found of written.slice(0, nameAt).matchAll(/[{[]/g)) {
    const length = new JsonScanner().scan(written.slice(found.index))
    const value = length < 0 ? undefined : parseJson(written.slice(found.index, found.index + length))
    const sample = Array.isArray(value) ? value[0] : value
    const toCall = callShape(sample)
    if (toCall === null || sample === undefined) continue
    const list = Array.isArray(value)
    const tag = lastLine(written.slice(0, found.index))
    const end = firstLine(written.slice(found.index + length))
    const call = (name: string, parameters: JsonObject) => sampleSchema(sample, name, parameters) as JsonObject
    if (tag === '') return { format: bareFormat(toCall), holdCalls: holdBareCalls(sample as JsonObject, list, call) }
    return {
      format: { starts: [tag], createReader: () => new JsonCallReader(end, (item) => callsFrom(item, toCall)) },
      holdCalls: holdJsonCalls({ open: tag, close: end, list, call }),
    }
  }
  return null
}

/** A schema of what stands in the place of the probe's call: its name and arguments replaced, all else as it is. */
function sampleSchema(sample: Json, name: string, parameters: JsonObject): Json {
  if (sample === probeCall.name) return { const: name }
  if (sample === probeId) return { type: 'string', pattern: '^[A-Za-z0-9]{9}$' }
  if (!isJsonObject(sample)) {
    if (!holdsArguments(sample)) return { const: sample }
    throw new AppError('invalid-request', 'the chat template writes the arguments of calls as a text inside of JSON, which no grammar can hold')
  }
  if (holdsArguments(sample)) return parameters
  const properties = Object.fromEntries(
    Object.entries(sample).map(([key, value]) => [key === probeCall.name ? name : key, sampleSchema(value, name, parameters)]),
  )
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

/** Nothing but its first key tells such a call from an answer in JSON. */
function holdBareCalls(sample: JsonObject, list: boolean, call: (name: string, parameters: JsonObject) => JsonObject): HoldCalls {
  const [first = ''] = Object.keys(sample)
  return (tools, options) => {
    const keys = first === probeCall.name ? tools.map((tool) => tool.function.name) : [first]
    const trigger = `^\\s*(${list ? '\\[\\s*' : ''}\\{\\s*"(?:${keys.map(escaped).join('|')})"\\s*:)`
    return holdJsonCalls({ open: '', close: '', list, call, trigger })(tools, options)
  }
}

function bareFormat(toCall: (item: Json) => RawCall | null): CallFormat {
  return {
    starts: [],
    startsReply: ['{', '['],
    createReader(tools, start) {
      const names = tools.map((tool) => tool.function.name)
      const declared = (item: Json) => {
        const call = toCall(item)
        return call !== null && names.includes(call.name) ? call : null
      }
      return new BareCallReader(start, names, new JsonCallReader('', (value) => callsFrom(value, declared)))
    },
  }
}

/** A name, and its arguments as JSON somewhere behind it. */
function namedForm(written: string, nameAt: number): CallForm | null {
  const afterName = nameAt + probeCall.name.length
  const argumentsAt = written.indexOf('{', afterName)
  const length = argumentsAt < 0 ? -1 : new JsonScanner().scan(written.slice(argumentsAt))
  const args = length < 0 ? undefined : parseJson(written.slice(argumentsAt, argumentsAt + length))
  const before = written.slice(0, nameAt)
  const tag = lastLine(before)
  if (!isJsonObject(args) || args.qzkey !== probeCall.arguments.qzkey || tag === '') return null
  const between = written.slice(afterName, argumentsAt)
  const end = firstLine(written.slice(argumentsAt + length))
  return {
    format: { starts: [tag], createReader: () => new NamedCallReader(between.trim() || between.slice(0, 1) || '{', end) },
    holdCalls: holdNamedCalls({ open: tag + before.slice(before.trimEnd().length), between, close: end }),
  }
}

/** How to take a call from such an object; null when it does not hold the probe. */
function callShape(value: Json | undefined): ((item: Json) => RawCall | null) | null {
  if (!isJsonObject(value)) return null
  if (holdsArguments(value[probeCall.name])) return keyedCall
  const nameKey = Object.keys(value).find((key) => value[key] === probeCall.name)
  const argumentsKey = Object.keys(value).find((key) => holdsArguments(value[key]))
  if (nameKey !== undefined && argumentsKey !== undefined) return (item) => callFromObject(item, [nameKey], [argumentsKey])
  for (const key of Object.keys(value)) {
    const inner = callShape(value[key])
    if (inner !== null) return (item) => (isJsonObject(item) && item[key] !== undefined ? inner(item[key]) : null)
  }
  return null
}

function holdsArguments(value: Json | undefined): boolean {
  const args = typeof value === 'string' ? parseJson(value) : value
  return isJsonObject(args) && args.qzkey === probeCall.arguments.qzkey
}

function keyedCall(item: Json): RawCall | null {
  const [entry, ...others] = Object.entries(isJsonObject(item) ? item : {})
  if (entry === undefined || others.length > 0) return null
  const [name, args] = entry
  return isJsonObject(args) ? { name, arguments: args as JsonObject } : null
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? ''
}

function firstLine(text: string): string {
  return text.trimStart().split('\n')[0]?.trim() ?? ''
}
