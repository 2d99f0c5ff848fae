import { type JsonObject, setOwn } from '../../lib/json.ts'
import type { Tool } from '../messages.ts'
import { type CallFormat, parseJson, type RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { holdNamedCalls } from './json-call-grammar.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { NamedCallReader, plainName } from './named-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { fieldsIn } from './tagged-calls.ts'
import { parametersOf, propertyOf, typedValue } from './typed-arguments.ts'

const section = { open: '<｜tool▁calls▁begin｜>', close: '<｜tool▁calls▁end｜>' }
const begin = '<｜tool▁call▁begin｜>'
const end = '<｜tool▁call▁end｜>'
const separator = '<｜tool▁sep｜>'

/** Both forms, whatever the template shows: distilled models write the other's too. */
const format: CallFormat = {
  starts: [begin],
  createReader: () => new NamedCallReader('{', '```', named),
  silent: [section.open, section.close, end, '<｜end▁of▁sentence｜>'],
  announces: [section.open],
}

/** `<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME`, then the arguments in a fence of JSON: DeepSeek R1, V3 and the models distilled from them. */
export const deepseekR1: Family = {
  name: 'deepseek-r1',
  owns: (template) => template.includes(begin) && template.includes('```json'),
  format,
  holdCalls: holdNamedCalls({ open: `${begin}function${separator}`, between: '\n```json\n', close: `\n\`\`\`${end}`, section, separator: '\n' }),
}

/** `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{…}<｜tool▁call▁end｜>`: DeepSeek V3.1. */
export const deepseekV31: Family = {
  name: 'deepseek-v3.1',
  owns: (template) => template.includes(begin) && !template.includes('```json'),
  format,
  holdCalls: holdNamedCalls({ open: begin, between: separator, close: end, section }),
}

function named(head: string): Pick<RawCall, 'name'> | null {
  const [first = '', second = ''] = head.replace(/```(?:json)?\s*$/, '').split(separator)
  return plainName(second.trim() === '' ? first : second)
}

const dsml = '｜DSML｜'
const invoke = `<${dsml}invoke name="`
const parameter = [`<${dsml}parameter name="`, `</${dsml}parameter>`] as const

/** `<｜DSML｜invoke name="NAME">` with `<｜DSML｜parameter name="K" string="true">V</｜DSML｜parameter>`: DeepSeek V3.2 and V4, which name the section differently. */
export const deepseekV32 = dsmlFamily('deepseek-v3.2', 'function_calls')
export const deepseekV4 = dsmlFamily('deepseek-v4', 'tool_calls')

function dsmlFamily(name: string, block: string): Family {
  const around = { open: `<${dsml}${block}>`, close: `</${dsml}${block}>` }
  return {
    name,
    owns: (template) => template.includes(dsml) && template.includes(`dsml_token + '${block}>`),
    format: {
      starts: [invoke],
      createReader: (tools) =>
        new MarkedCallReader({ end: `</${dsml}invoke>`, quotation: { open: parameter[0], close: parameter[1] } }, (body) => dsmlCall(body, tools)),
      silent: ['function_calls', 'tool_calls'].flatMap((other) => [`<${dsml}${other}>`, `</${dsml}${other}>`]),
      announces: [`<${dsml}function_calls>`, `<${dsml}tool_calls>`],
    },
    holdCalls: holdTaggedCalls({
      open: `${around.open}\n`,
      name: [invoke, '">\n'],
      field: (key, kind) => [`${parameter[0]}${key}" string="${kind === 'string'}">`, `${parameter[1]}\n`],
      close: `</${dsml}invoke>\n`,
      end: around.close,
    }),
  }
}

const field = { open: parameter[0], head: /([^"]{0,256})"(?: string="(true|false)")?>/y, close: parameter[1] }

/** The model says itself which of its arguments are texts. */
function dsmlCall(body: string, tools: readonly Tool[]): RawCall[] | null {
  const name = /^([^"<>]+)">/.exec(body)?.[1]
  if (name === undefined) return null
  const root = parametersOf(name, tools)
  const args: JsonObject = {}
  for (const { head, text } of fieldsIn(body, field)) {
    const [key = '', isText] = head
    const value = isText === 'true' ? text : isText === 'false' ? parseJson(text) : undefined
    setOwn(args, key, value ?? typedValue(text, propertyOf(root, key), root))
  }
  return [{ name, arguments: args }]
}
