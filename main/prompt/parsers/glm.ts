import { callFromObject } from './calls.ts'
import { ChosenReader } from './chosen-reader.ts'
import type { Family } from './family.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { keyedCall } from './tagged-calls.ts'

const end = '</tool_call>'
const quotation = { open: '<arg_value>', close: '</arg_value>' }
const field = { open: '<arg_key>', head: /([^<]{0,256})<\/arg_key>\s*<arg_value>/y, close: '</arg_value>' }

/** `<tool_call>NAME\n<arg_key>K</arg_key>\n<arg_value>V</arg_value>\n</tool_call>`, from 4.7 on without the line breaks: GLM 4.5 and later, Laguna. */
export const glm: Family = {
  name: 'glm',
  owns: (template) => template.includes('<tool_call>') && template.includes('<arg_key>'),
  format: {
    starts: ['<tool_call>'],
    createReader: (tools) =>
      new ChosenReader((text) => {
        if (text.startsWith('{') || text.startsWith('[')) return new JsonCallReader(end, (value) => callsFrom(value, (item) => callFromObject(item)))
        if (/^[\w.:/-]+\s*</.test(text)) return new MarkedCallReader({ end, quotation }, (body) => keyedCall(body, '<arg_key>', field, tools))
        return /^[\w.:/-]+\s*$/.test(text) ? undefined : null
      }),
  },
  holdCalls: holdTaggedCalls({
    open: '',
    name: ['<tool_call>', '\n'],
    field: (key) => [`<arg_key>${key}</arg_key>\n<arg_value>`, '</arg_value>\n'],
    close: end,
    separator: '\n',
    loose: true,
    triggers: ['<tool_call>'],
  }),
}
