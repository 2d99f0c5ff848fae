import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import { jsonArguments, triggerOf } from './call-grammar.ts'
import type { RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { NamedCallReader } from './named-call-reader.ts'

/** `<|tool_call:begin|>ID<|tool_call:name|>NAME<|tool_call:args|>{…}<|tool_call:end|>`: Solar Open. */
export const solar: Family = {
  name: 'solar',
  owns: (template) => template.includes('<|tool_call:name|>'),
  format: {
    starts: ['<|tool_call:begin|>'],
    createReader: () => new NamedCallReader('<|tool_call:args|>', '<|tool_call:end|>', named),
    announces: ['<|tool_calls|>'],
    silent: ['<|tool_calls|>', '<|calls|>', '<|begin|>assistant', '<|content|>', '<|end|>'],
  },
  holdCalls(tools, { parallel }) {
    const rules: Rules = {
      root: `"<|tool_calls|>" call${parallel ? '+' : ''}`,
      call: '"<|tool_call:begin|>" [A-Za-z0-9_-]{1,40} "<|tool_call:name|>" (named) "<|tool_call:end|>"',
    }
    rules.named = jsonArguments(tools, rules, (name) => literal(`${name}<|tool_call:args|>`), '')
    return { gbnf: grammarText(rules), trigger: triggerOf('<|tool_calls|>') }
  },
}

function named(head: string): Pick<RawCall, 'name' | 'id'> | null {
  const [id = '', name = '', ...others] = head.split('<|tool_call:name|>').map((part) => part.trim())
  return name === '' || others.length > 0 ? null : { name, ...(id !== '' && { id }) }
}
