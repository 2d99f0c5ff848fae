import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`: Qwen 2.5 and 3, Hermes, Granite 4 and many more. */
export const hermes: Family = {
  name: 'hermes',
  owns: (template) => template.includes('<tool_call>') && !/<function=|<arg_key>|<invoke|<tool_calls>\[|xml_tools/.test(template),
  format: {
    starts: ['<tool_call>'],
    createReader: () => new JsonCallReader('</tool_call>', (value) => callsFrom(value, (item) => callFromObject(item))),
  },
  holdCalls: holdJsonCalls({ open: '<tool_call>', close: '</tool_call>', list: false }),
}
