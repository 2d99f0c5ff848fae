import type { Family } from './family.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { keyedCall } from './tagged-calls.ts'

const quotation = ['<![CDATA[', ']]>'] as const
const field = { open: '<param name="', head: /([^"]{0,256})">/y, close: '</param>', quotation }

/** `<function name="NAME"><param name="K">V</param></function>`, texts with angle brackets as CDATA: MiniCPM 5. */
export const minicpm: Family = {
  name: 'minicpm',
  owns: (template) => template.includes('<function name="') && template.includes('<param name="'),
  format: {
    starts: ['<function name="'],
    createReader: (tools) =>
      new MarkedCallReader({ end: '</function>', quotation: { open: quotation[0], close: quotation[1] } }, (body) => keyedCall(body, '">', field, tools)),
  },
  holdCalls: holdTaggedCalls({
    open: '',
    name: ['<function name="', '">'],
    field: (key) => [`<param name="${key}">`, '</param>'],
    close: '</function>',
    quotation: [...quotation],
  }),
}
