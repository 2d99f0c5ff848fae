import { callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { pythonCalls } from './python.ts'

/** Hermes’ form, or `<code>f(a=1)</code>` for tools that it was given as Python’s: SmolLM3. */
export const smollm3: Family = {
  name: 'smollm3',
  owns: (template) => template.includes('xml_tools') || template.includes('python_tools'),
  format: {
    starts: ['<tool_call>', '<code>'],
    createReader: (tools, start) =>
      new JsonCallReader(start === '<code>' ? '</code>' : '</tool_call>', (value) => callsFrom(value, (item) => callFromObject(item)), pythonCalls(tools)),
  },
  holdCalls: holdJsonCalls({ open: '<tool_call>', close: '</tool_call>', list: false }),
}
