import { isJsonObject, type Json } from '../../lib/json.ts'
import type { RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<|tools_prefix|>[{"NAME": {…}}]<|tools_suffix|>`: Apertus. */
export const apertus: Family = {
  name: 'apertus',
  owns: (template) => template.includes('<|tools_prefix|>'),
  format: {
    starts: ['<|tools_prefix|>'],
    createReader: () => new JsonCallReader('<|tools_suffix|>', (value) => callsFrom(value, keyedCall)),
  },
  holdCalls: holdJsonCalls({
    open: '<|tools_prefix|>',
    close: '<|tools_suffix|>',
    list: true,
    call: (name, parameters) => ({ type: 'object', properties: { [name]: parameters }, required: [name], additionalProperties: false }),
  }),
}

function keyedCall(value: Json): RawCall | null {
  const [entry, ...others] = isJsonObject(value) ? Object.entries(value) : []
  if (entry === undefined || others.length > 0) return null
  const [name, args] = entry
  return isJsonObject(args) ? { name, arguments: args } : null
}
