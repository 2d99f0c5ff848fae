import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdFieldCalls } from './field-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { pythonCalls } from './python.ts'

/** `<|tool_call_start|>[f(a="b")]<|tool_call_end|>`, or a list in JSON: LFM 2 and 2.5. */
export const lfm2: Family = {
  name: 'lfm2',
  owns: (template) => /<\|tool_call_start\|>|<\|tool_list_start\|>/.test(template) || template.includes('List of tools: ['),
  format: {
    starts: ['<|tool_call_start|>'],
    createReader: (tools) => new JsonCallReader('<|tool_call_end|>', (value) => callsFrom(value, (item) => callFromObject(item)), pythonCalls(tools)),
  },
  holdCalls: holdFieldCalls({
    open: '<|tool_call_start|>',
    close: '<|tool_call_end|>',
    list: true,
    name: ['', '(', ')'],
    assign: '=',
    separator: ', ',
    quote: null,
  }),
}
