import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import { jsonArguments } from './call-grammar.ts'
import type { HoldCalls } from './family.ts'

const channel = '<|channel|>'
const message = '<|message|>'
const next = '<|start|>assistant'
/** Names that a header can hold. */
const plain = /^[\w.-]+$/

/** A tool's name in identifier characters only, as gpt-oss may write it. */
export function harmonyName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_')
}

/**
 * Holds a message to a tool: `<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}`, or with the recipient before the channel, as the template writes it.
 *
 * A call ends the reply, so there is one of them. Thinking before it is a message of its own.
 */
export const holdHarmonyCalls: HoldCalls = (tools) => {
  const rules: Rules = {
    root: `${literal(next)}? (" to=functions." (early) | ${literal(channel)} ("commentary" | "analysis") " to=functions." (late)) "<|call|>"?`,
    type: '(" "? "<|constrain|>"? "json")?',
  }
  const written = (name: string) => (plain.test(name) ? name : harmonyName(name))
  rules.early = jsonArguments(tools, rules, (name) => `${literal(written(name) + channel)} "commentary" type ${literal(message)}`, '')
  rules.late = jsonArguments(tools, rules, (name) => `${literal(written(name))} type ${literal(message)}`, '')
  return {
    gbnf: grammarText(rules),
    // A message's header alone names a recipient: words about one call nothing.
    trigger: '(?:^|<\\|start\\|>assistant)((?:<\\|channel\\|>(?:commentary|analysis))? to=functions\\.)',
    thinking: { open: `${channel}analysis${message}`, close: '<|end|>' },
  }
}
