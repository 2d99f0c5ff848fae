import type { Family } from './family.ts'
import { holdJsonCalls } from './json-call-grammar.ts'
import { listReader } from './phi.ts'

/** `functools[{"name": …, "arguments": {…}}]`: FireFunction 2. */
export const firefunction: Family = {
  name: 'firefunction',
  owns: (template) => template.includes('functools['),
  format: {
    starts: ['functools['],
    createReader: () => listReader('', '['),
  },
  holdCalls: holdJsonCalls({ open: 'functools[', close: '', list: true }),
}
