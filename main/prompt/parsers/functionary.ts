import type { Family } from './family.ts'
import { holdNamedCalls } from './json-call-grammar.ts'
import { NamedCallReader, plainName } from './named-call-reader.ts'

/** `<function=NAME>{…}</function>`: functionary v3.1. */
export const functionary31: Family = {
  name: 'functionary-3.1',
  owns: (template) => template.includes('<function=') && !/<parameter=|<tool_call>/.test(template),
  format: {
    starts: ['<function='],
    createReader: () => new NamedCallReader('>', '</function>'),
  },
  holdCalls: holdNamedCalls({ open: '<function=', between: '>', close: '</function>' }),
}

/** `>>>NAME` and its arguments on the next line, words for `all`; the prompt writes the first `>>>`: functionary v3.2. */
export const functionary32: Family = {
  name: 'functionary-3.2',
  owns: (template) => template.includes('>>>all'),
  format: {
    starts: ['>>>'],
    // A model that is made to call may write the mark again that the prompt has written.
    createReader: () => new NamedCallReader('\n', '', (head) => plainName(head.replace(/^>>>/, ''))),
    silent: ['>>>all\n'],
    prompted: '>>>',
  },
  holdCalls: holdNamedCalls({ open: '>>>', between: '\n', close: '', prompted: true }),
}
