import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import { jsonArguments, triggerOf } from './call-grammar.ts'
import { type CallFormat, callFromObject, type RawCall } from './calls.ts'
import { ChosenReader } from './chosen-reader.ts'
import type { Family } from './family.ts'
import { callSchema, holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { NamedCallReader } from './named-call-reader.ts'

const open = '[TOOL_CALLS]'

/** Both forms, whatever the template shows: models of one generation write the other's too. */
const format: CallFormat = {
  starts: [open],
  createReader: () =>
    new ChosenReader((text) =>
      text.startsWith('[') || text.startsWith('{')
        ? new JsonCallReader('', (value) => callsFrom(value, (item) => callFromObject(item)))
        : new NamedCallReader('{', '', named),
    ),
}

/** `[TOOL_CALLS]NAME[ARGS]{…}`, some with `[CALL_ID]` and nine letters behind the name: Mistral Small 3.2, Magistral, Devstral, Ministral 3. */
export const mistral: Family = {
  name: 'mistral',
  owns: (template) => template.includes(open) && template.includes('[ARGS]'),
  format,
  holdCalls(tools, { parallel }) {
    const rules: Rules = { root: `call${parallel ? '+' : ''}`, call: `${literal(open)} (named)` }
    rules.named = jsonArguments(tools, rules, (name) => `${literal(name)} ("[CALL_ID]" [A-Za-z0-9]{9})? "[ARGS]" space`, '')
    return { gbnf: grammarText(rules), trigger: triggerOf(open) }
  },
}

/** `[TOOL_CALLS] [{"name": …, "arguments": {…}, "id": …}]`: Mistral 7B, Nemo, Small 3.1 and before. */
export const mistralList: Family = {
  name: 'mistral-list',
  owns: (template) => template.includes(open) && !template.includes('[ARGS]'),
  format,
  holdCalls: holdJsonCalls({
    open,
    close: '',
    list: true,
    call: callSchema('name', 'arguments', { after: { id: { type: 'string', pattern: '^[A-Za-z0-9]{9}$' } } }),
  }),
}

/** Some leave the mark before the arguments out. */
function named(head: string): Pick<RawCall, 'name' | 'id'> | null {
  const [name = '', id = ''] = head
    .replace(/\[ARGS\]\s*$/, '')
    .split('[CALL_ID]')
    .map((part) => part.trim())
  return /^[\w.:/-]+$/.test(name) ? { name, ...(id !== '' && { id }) } : null
}
