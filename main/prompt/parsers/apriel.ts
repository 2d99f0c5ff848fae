import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<tool_calls>[{"name": …, "arguments": {…}}]</tool_calls>`: Apriel 1.5 and 1.6. */
export const apriel: Family = {
  name: 'apriel',
  owns: (template) => template.includes('<tool_calls>['),
  format: {
    starts: ['<tool_calls>'],
    createReader: () => new JsonCallReader('</tool_calls>', (value) => callsFrom(value, (item) => callFromObject(item))),
    silent: ['[BEGIN FINAL RESPONSE]', '[END FINAL RESPONSE]'],
  },
  holdCalls: holdJsonCalls({ open: '<tool_calls>', close: '</tool_calls>', list: true }),
}
