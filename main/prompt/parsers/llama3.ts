import { BareCallReader } from './bare-call-reader.ts'
import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { callSchema, holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { pythonCalls } from './python.ts'

/** `{"name": …, "parameters": {…}}` as the whole reply, 3.2 also `[f(a=1)]`, both perhaps behind `<|python_tag|>`: Llama 3.1 to 4. */
export const llama3: Family = {
  name: 'llama3',
  owns: (template) => /"name": function name, "parameters"/.test(template) || (template.includes('<|python_tag|>') && !template.includes('<function=')),
  format: {
    starts: ['<|python_tag|>', '<|python_start|>'],
    startsReply: ['{', '['],
    createReader(tools, start) {
      const isBare = start === '{' || start === '['
      const names = tools.map((tool) => tool.function.name)
      const reader = new JsonCallReader(
        '',
        (value) =>
          callsFrom(value, (item) => {
            const call = callFromObject(item, ['name', 'function'], ['parameters', 'arguments'])
            // Nothing but the name tells a call without a marker from an answer in JSON.
            return call === null || (isBare && !names.includes(call.name)) ? null : call
          }),
        pythonCalls(tools),
      )
      return isBare ? new BareCallReader(start, names, reader) : reader
    },
    silent: ['<|python_end|>'],
  },
  holdCalls: holdJsonCalls({
    open: '',
    close: '',
    list: false,
    call: callSchema('name', 'parameters', { before: { type: { const: 'function' } } }),
    trigger: '^\\s*(?:<\\|python_tag\\|>\\s*)?(\\{\\s*(?:"type"\\s*:\\s*"function"\\s*,\\s*)?"name"\\s*:)',
  }),
}
