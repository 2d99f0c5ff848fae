import { BracedCallReader } from './braced-call-reader.ts'
import type { Family } from './family.ts'
import { holdFieldCalls } from './field-call-grammar.ts'

/** `<start_function_call>call:NAME{k:<escape>v<escape>,n:1}<end_function_call>`: FunctionGemma. */
export const functiongemma: Family = {
  name: 'functiongemma',
  owns: (template) => template.includes('<start_function_call>'),
  format: {
    starts: ['<start_function_call>'],
    createReader: () => new BracedCallReader('<end_function_call>', '<escape>'),
    silent: ['<start_function_response>'],
  },
  holdCalls: holdFieldCalls({
    open: '<start_function_call>',
    close: '<end_function_call>',
    list: false,
    name: ['call:', '{', '}'],
    assign: ':',
    separator: ',',
    quote: '<escape>',
  }),
}
