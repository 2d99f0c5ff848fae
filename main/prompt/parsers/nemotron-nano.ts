import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<TOOLCALL>[{"name": …, "arguments": {…}}]</TOOLCALL>`: Nemotron Nano 2. */
export const nemotronNano: Family = {
  name: 'nemotron-nano',
  owns: (template) => template.includes('<TOOLCALL>'),
  format: {
    starts: ['<TOOLCALL>'],
    createReader: () => new JsonCallReader('</TOOLCALL>', (value) => callsFrom(value, (item) => callFromObject(item))),
  },
  holdCalls: holdJsonCalls({ open: '<TOOLCALL>', close: '</TOOLCALL>', list: true }),
}
