import { type CallFormat, callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

const role = '<|message_sep|>\n\nfunction call<|role_sep|>\n'
const mark = '<|function_call|>'

const format: CallFormat = {
  starts: [role, mark],
  createReader: () => new JsonCallReader('', (value) => callsFrom(value, (item) => callFromObject(item))),
  silent: ['<|message_sep|>'],
}

/** A message of the role `function call`: `{"name": …, "arguments": {…}}`: GigaChat 3. */
export const gigachat: Family = {
  name: 'gigachat',
  owns: (template) => template.includes("'function call'") && !template.includes(mark),
  format,
  holdCalls: holdJsonCalls({ open: role, close: '', list: false }),
}

/** The same object behind the mark `<|function_call|>`: GigaChat 3.1. */
export const gigachat31: Family = {
  name: 'gigachat-3.1',
  owns: (template) => template.includes(mark),
  format,
  holdCalls: holdJsonCalls({ open: mark, close: '', list: false }),
}
