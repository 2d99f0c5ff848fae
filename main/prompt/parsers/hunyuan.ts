import type { Family } from './family.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { keyedCall } from './tagged-calls.ts'

const suffix = ':opensource'
const field = { open: '<arg_key:opensource>', head: /([^<]{0,256})<\/arg_key:opensource>\s*<arg_value:opensource>/y, close: '</arg_value:opensource>' }

/** `<tool_call:opensource>NAME<tool_sep:opensource>`, then keys and values in tags of their own: Hunyuan 3. */
export const hunyuan: Family = {
  name: 'hunyuan',
  owns: (template) => template.includes("'<tool_sep{}>'.format("),
  format: {
    starts: [`<tool_call${suffix}>`],
    createReader: (tools) =>
      new MarkedCallReader({ end: `</tool_call${suffix}>`, quotation: { open: `<arg_value${suffix}>`, close: `</arg_value${suffix}>` } }, (body) =>
        keyedCall(body, `<tool_sep${suffix}>`, field, tools),
      ),
    silent: [`<tool_calls${suffix}>`, `</tool_calls${suffix}>`],
    announces: [`<tool_calls${suffix}>`],
  },
  holdCalls: holdTaggedCalls({
    open: `<tool_calls${suffix}>\n`,
    name: [`<tool_call${suffix}>`, `<tool_sep${suffix}>\n`],
    field: (key) => [`<arg_key${suffix}>${key}</arg_key${suffix}>\n<arg_value${suffix}>`, `</arg_value${suffix}>\n`],
    close: `</tool_call${suffix}>\n`,
    end: `</tool_calls${suffix}>`,
  }),
}
