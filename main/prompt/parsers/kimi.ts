import { type JsonObject, setOwn } from '../../lib/json.ts'
import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import type { Tool } from '../messages.ts'
import { jsonArguments, triggerOf } from './call-grammar.ts'
import { callFromObject, parseJson, type RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { NamedCallReader } from './named-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { fieldsIn } from './tagged-calls.ts'
import { parametersOf, propertyOf, typedValue } from './typed-arguments.ts'

const section = { open: '<|tool_calls_section_begin|>', close: '<|tool_calls_section_end|>' }
const begin = '<|tool_call_begin|>'
const between = '<|tool_call_argument_begin|>'
const end = '<|tool_call_end|>'

/** `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`: Kimi K2. */
export const kimi: Family = {
  name: 'kimi',
  owns: (template) => template.includes(begin) && template.includes(between),
  format: { starts: [begin], createReader: () => new NamedCallReader(between, end, named), silent: [section.open, section.close], announces: [section.open] },
  holdCalls(tools, { parallel }) {
    const rules: Rules = {
      root: `${literal(section.open)} call${parallel ? '+' : ''} ${literal(section.close)}`,
      call: `${literal(`${begin}functions.`)} (named)`,
    }
    rules.named = jsonArguments(tools, rules, (name) => `${literal(`${name}:`)} [0-9]{1,6} ${literal(between)}`, end)
    return { gbnf: grammarText(rules), trigger: triggerOf(section.open) }
  },
}

/** Its ids name the tool and count the calls of a conversation; a result is found by them. */
function named(head: string): Pick<RawCall, 'name' | 'id'> | null {
  const id = head.trim()
  const name = /^(?:functions\.)?([\w.:/-]+?)(?::\d+)?$/.exec(id)?.[1]
  return name === undefined ? null : { name, id }
}

const open = (tag: string) => `<|open|>${tag}<|sep|>`
const close = (tag: string) => `<|close|>${tag}<|sep|>`
const callOpen = '<|open|>call tool="'
const argumentOpen = '<|open|>argument key="'
const argument = { open: argumentOpen, head: /([^"]{0,256})"(?: type="([a-z]{1,16})")?<\|sep\|>/y, close: close('argument') }
const block = { open: '<|open|>json', head: /( type="object")?<\|sep\|>/y, close: close('json') }

/** `<|open|>call tool="NAME" index="1"<|sep|>` with `<|open|>argument key="K" type="string"<|sep|>V<|close|>argument<|sep|>`: Kimi K3. */
export const kimiK3: Family = {
  name: 'kimi-k3',
  owns: (template) => template.includes("open_tag('call'") && template.includes("open_tag('argument'"),
  format: {
    starts: [callOpen],
    createReader: (tools) =>
      new MarkedCallReader({ end: close('call'), quotation: { open: argumentOpen, close: close('argument') } }, (body) => taggedCall(body, tools)),
    silent: [...['response', 'tools', 'message'].flatMap((tag) => [open(tag), close(tag)]), '<|end_of_msg|>'],
    announces: [open('tools')],
  },
  holdCalls(tools, options) {
    const held = holdK3(tools, options)
    // Calls are counted.
    return { ...held, gbnf: held.gbnf.replaceAll('index=\\"1\\"', 'index=\\"" [0-9]{1,3} "\\"') }
  },
}

const holdK3 = holdTaggedCalls({
  lead: `(${literal(open('response'))}? ${literal(close('response'))})?`,
  open: open('tools'),
  name: [callOpen, '" index="1"<|sep|>'],
  field: (key, kind) => [`${argumentOpen}${key}" type="${kind === 'integer' ? 'number' : kind}"<|sep|>`, close('argument')],
  close: close('call'),
  end: close('tools'),
})

function taggedCall(body: string, tools: readonly Tool[]): RawCall[] | null {
  const name = /^([^"]+)"[^<]*<\|sep\|>/.exec(body)?.[1]
  if (name === undefined) return null
  const [whole] = fieldsIn(body, block)
  if (whole !== undefined) {
    const call = callFromObject({ name: unescaped(name), arguments: parseJson(whole.text) ?? null })
    return call === null ? null : [call]
  }
  const root = parametersOf(unescaped(name), tools)
  const args: JsonObject = {}
  for (const { head, text } of fieldsIn(body, argument)) {
    const [key = '', type] = head
    const value = type === 'string' ? text : type === undefined ? undefined : parseJson(text)
    setOwn(args, unescaped(key), value ?? typedValue(text, propertyOf(root, unescaped(key)), root))
  }
  return [{ name: unescaped(name), arguments: args }]
}

function unescaped(attribute: string): string {
  return attribute.replaceAll('&quot;', '"').replaceAll('&amp;', '&')
}
