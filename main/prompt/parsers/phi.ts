import { type CallReader, callFromObject } from './calls.ts'
import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<|tool_call|>[{"name": …, "arguments": {…}}]<|/tool_call|>` or `functools[…]`: Phi 4 mini. */
export const phi: Family = {
  name: 'phi',
  owns: (template) => template.includes('<|/tool|>') || template.includes('<|/tool_call|>'),
  format: {
    starts: ['<|tool_call|>', 'functools['],
    createReader: (_, start) => (start === 'functools[' ? listReader('', '[') : listReader('<|/tool_call|>')),
  },
  holdCalls: holdJsonCalls({ open: '<|tool_call|>', close: '<|/tool_call|>', list: true }),
}

/** Reads lists of calls. @param begun what the marker has already written of the list */
export function listReader(end: string, begun = ''): CallReader {
  const reader = new JsonCallReader(end, (value) => callsFrom(value, (item) => callFromObject(item)))
  reader.push(begun)
  return reader
}
