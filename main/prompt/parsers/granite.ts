import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<|tool_call|>[{"name": …, "arguments": {…}}]`: Granite 3. */
export const granite: Family = {
  name: 'granite',
  owns: (template) => template.includes('<|tool_call|>') && template.includes('<|start_of_role|>'),
  format: {
    starts: ['<|tool_call|>', '<tool_call>'],
    silent: ['<response>', '</response>'],
    createReader: (_, start) => new JsonCallReader(start === '<tool_call>' ? '</tool_call>' : '', (value) => callsFrom(value, (item) => callFromObject(item))),
  },
  holdCalls: holdJsonCalls({ open: '<|tool_call|>', close: '', list: true }),
}
