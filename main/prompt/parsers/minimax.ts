import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { keyedCall } from './tagged-calls.ts'

/** `<tool_calls>` and lines of `{"name": …, "arguments": {…}}`: MiniMax M1. */
export const minimaxM1: Family = {
  name: 'minimax-m1',
  owns: (template) => template.includes('<tool_calls>\\n{"name"'),
  format: {
    starts: ['<tool_calls>'],
    createReader: () => new JsonCallReader('</tool_calls>', (value) => callsFrom(value, (item) => callFromObject(item))),
  },
  holdCalls: holdJsonCalls({ open: '<tool_calls>', close: '</tool_calls>', list: 'lines' }),
}

const invoke = '<invoke name="'
const parameter = '<parameter name="'
const field = { open: parameter, head: /([^"]{0,256})">/y, close: '</parameter>' }

/** `<minimax:tool_call>\n<invoke name="NAME">\n<parameter name="K">V</parameter>\n</invoke>\n</minimax:tool_call>`: MiniMax M2. */
export const minimaxM2: Family = {
  name: 'minimax-m2',
  owns: (template) => template.includes('<minimax:tool_call>'),
  format: {
    starts: [invoke],
    createReader: (tools) =>
      new MarkedCallReader({ end: '</invoke>', quotation: { open: parameter, close: '</parameter>' } }, (body) => keyedCall(body, '">', field, tools)),
    silent: ['<minimax:tool_call>', '</minimax:tool_call>'],
    announces: ['<minimax:tool_call>'],
  },
  holdCalls: holdTaggedCalls({
    open: '<minimax:tool_call>\n',
    name: [invoke, '">\n'],
    field: (key) => [`${parameter}${key}">`, '</parameter>\n'],
    close: '</invoke>\n',
    end: '</minimax:tool_call>',
    loose: true,
  }),
}
