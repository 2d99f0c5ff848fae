import { BracedCallReader } from './braced-call-reader.ts'
import type { Family } from './family.ts'
import { holdFieldCalls } from './field-call-grammar.ts'

/** `<|tool_call>call:NAME{k:<|"|>v<|"|>,n:1}<tool_call|>`: Gemma 4. */
export const gemma4: Family = {
  name: 'gemma4',
  owns: (template) => template.includes('<|tool_call>call:'),
  format: {
    starts: ['<|tool_call>'],
    createReader: () => new BracedCallReader('<tool_call|>', '<|"|>'),
    silent: ['<|tool_response>', '<turn|>'],
  },
  holdCalls: holdFieldCalls({
    open: '<|tool_call>',
    close: '<tool_call|>',
    list: false,
    name: ['call:', '{', '}'],
    assign: ':',
    separator: ',',
    quote: '<|"|>',
  }),
}
