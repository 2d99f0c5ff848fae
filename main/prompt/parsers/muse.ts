import type { Tool } from '../messages.ts'
import type { Family } from './family.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { keyedCall } from './tagged-calls.ts'

const invoke = '<atem:invoke name="'
const parameter = '<atem:parameter name="'
const field = { open: parameter, head: /([^"]{0,256})"[^>]{0,256}>/y, close: '</atem:parameter>' }

/** Messages to a recipient (`to=self`, `to=user`, `to=NAME`), calls as `<atem:invoke name="NAME"><atem:parameter name="K">V</atem:parameter></atem:invoke>`: Muse Glimmer. */
export const muse: Family = {
  name: 'muse',
  owns: (template) => template.includes('<atem:invoke'),
  format: {
    starts: [invoke],
    createReader: (tools) =>
      new MarkedCallReader({ end: '</atem:invoke>', quotation: { open: parameter, close: '</atem:parameter>' } }, (body) =>
        keyedCall(body, '">', field, tools),
      ),
    silent: (tools) => ['<atem:function_calls>', '</atem:function_calls>', '<|eom|>', ...recipients(tools)],
    announces: ['<atem:function_calls>'],
  },
  holdCalls: holdTaggedCalls({
    open: '<atem:function_calls>\n',
    name: [invoke, '">\n'],
    field: (key) => [`${parameter}${key}">`, '</atem:parameter>\n'],
    close: '</atem:invoke>\n',
    end: '</atem:function_calls>',
  }),
}

/** The prompt has written the first `<|start|>assistant`. */
function recipients(tools: readonly Tool[]): string[] {
  return ['user', ...tools.map((tool) => tool.function.name)].flatMap((name) => [`<|start|>assistant to=${name}<|message|>`, `to=${name}<|message|>`])
}
