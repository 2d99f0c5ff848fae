import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdFieldCalls } from './field-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { pythonCalls } from './python.ts'

/** A fence of the language `tool_code` (Python) or `tool_call` (JSON): Gemma 1 to 3, where a template teaches them so. */
export const gemma: Family = {
  name: 'gemma',
  owns: (template) => /```tool_(?:code|call)/.test(template),
  format: {
    starts: ['```tool_code', '```tool_call'],
    createReader: (tools) => new JsonCallReader('```', (value) => callsFrom(value, (item) => callFromObject(item)), pythonCalls(tools)),
  },
  holdCalls: holdFieldCalls({
    open: '```tool_code\n',
    close: '\n```',
    list: false,
    name: ['', '(', ')'],
    assign: '=',
    separator: ', ',
    quote: null,
  }),
}
