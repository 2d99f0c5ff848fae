import type { Json } from '../../lib/json.ts'
import { callFromObject, type RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { callSchema, holdJsonCalls } from './json-call-grammar.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'

/** `<|START_ACTION|>[{"tool_call_id": "0", "tool_name": …, "parameters": {…}}]<|END_ACTION|>`: Command R7B, A and what follows them. */
export const commandR7b: Family = {
  name: 'command-r7b',
  owns: (template) => template.includes('<|START_ACTION|>'),
  format: {
    starts: ['<|START_ACTION|>'],
    createReader: () => new JsonCallReader('<|END_ACTION|>', (value) => callsFrom(value, actionCall)),
    silent: ['<|START_RESPONSE|>', '<|END_RESPONSE|>', '<|START_TEXT|>', '<|END_TEXT|>'],
  },
  holdCalls: holdJsonCalls({
    open: '<|START_ACTION|>',
    close: '<|END_ACTION|>',
    list: true,
    call: callSchema('tool_name', 'parameters', { before: { tool_call_id: { type: 'string', pattern: '^[0-9]{1,3}$' } }, required: ['tool_call_id'] }),
  }),
}

/** `Action:` and a fenced list of `{"tool_name": …, "parameters": {…}}`: Command R and R+. */
export const commandR: Family = {
  name: 'command-r',
  owns: (template) => template.includes('<|CHATBOT_TOKEN|>') && template.includes('Action:') && !template.includes('<|START_ACTION|>'),
  format: {
    starts: ['Action:\n```json', 'Action: ```json', 'Action:```json'],
    createReader: () => new JsonCallReader('```', (value) => callsFrom(value, actionCall)),
  },
  holdCalls: holdJsonCalls({ open: 'Action:\n```json', close: '```', list: true, call: callSchema('tool_name', 'parameters') }),
}

/** Their ids count the calls of one reply, so two replies would share them. */
function actionCall(value: Json): RawCall | null {
  const call = callFromObject(value, ['tool_name', 'name'], ['parameters', 'arguments'])
  return call && { name: call.name, arguments: call.arguments }
}
