import type { Tool } from '../messages.ts'
import { callFromObject, type RawCall } from './calls.ts'
import { ChosenReader } from './chosen-reader.ts'
import type { Family } from './family.ts'
import { callsFrom, JsonCallReader } from './json-call-reader.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { holdTaggedCalls } from './tagged-call-grammar.ts'
import { type Field, fieldsIn, namedCall } from './tagged-calls.ts'

const functionOpen = '<function='
const functionClose = '</function>'
const quotation = { open: '<parameter=', close: '</parameter>' }
const functions = /<function=([\s\S]*?)(?:<\/function>\s*(?=<function=|$)|$)/g
const field = { ...quotation, head: /([^>\n]{1,256})>/y, until: functionClose }

/** `<tool_call>\n<function=NAME>\n<parameter=K>\nV\n</parameter>\n</function>\n</tool_call>`: Qwen3-Coder, Qwen3.5, Nemotron 3, Step 3.5. */
export const qwenXml: Family = {
  name: 'qwen-xml',
  owns: (template) => template.includes('<tool_call>') && template.includes(functionOpen) && template.includes('<parameter='),
  format: formatOf('<tool_call>', '</tool_call>', (text) => text.replace(/^\n/, '').replace(/\n$/, '')),
  holdCalls: holdTaggedCalls({
    open: '',
    outer: '<tool_call>\n',
    name: [functionOpen, '>\n'],
    field: (key) => [`<parameter=${key}>\n`, '\n</parameter>\n'],
    close: `${functionClose}\n</tool_call>`,
    separator: '\n',
    triggers: ['<tool_call>', functionOpen],
  }),
}

/** The same between `<seed:tool_call>` marks, values without lines of their own: Seed-OSS. */
export const seed: Family = {
  name: 'seed',
  owns: (template) => template.includes('<seed:tool_call>'),
  format: formatOf('<seed:tool_call>', '</seed:tool_call>', (text) => text),
  holdCalls: holdTaggedCalls({
    open: '',
    outer: '<seed:tool_call>\n',
    name: [functionOpen, '>\n'],
    field: (key) => [`<parameter=${key}>`, '</parameter>\n'],
    close: `${functionClose}\n</seed:tool_call>`,
    separator: '\n',
    triggers: ['<seed:tool_call>', functionOpen],
  }),
}

/** Models forget the outer mark, or write JSON into it as those before them. */
function formatOf(open: string, close: string, toText: (text: string) => string): Family['format'] {
  return {
    starts: [open, functionOpen],
    createReader: (tools, start) =>
      start === functionOpen
        ? new MarkedCallReader({ end: functionClose, quotation, tail: close }, (body) => calls(`${functionOpen}${body}${functionClose}`, tools, toText))
        : new ChosenReader((text) => {
            if (text.startsWith('{') || text.startsWith('[')) return new JsonCallReader(close, (value) => callsFrom(value, (item) => callFromObject(item)))
            if (text.startsWith(functionOpen))
              return new MarkedCallReader({ end: close, quotation, whole: functionClose }, (body) => calls(body, tools, toText))
            return functionOpen.startsWith(text) ? undefined : null
          }),
  }
}

function calls(body: string, tools: readonly Tool[], toText: (text: string) => string): RawCall[] | null {
  const found = Array.from(body.trim().matchAll(functions), ([, inner = '']) => {
    const [head = '', ...pieces] = inner.split(quotation.open)
    const isClosed = pieces.length < inner.split(quotation.close).length
    const fields = isClosed ? fieldsIn(inner, field) : unclosed(pieces)
    return namedCall(
      split(head, '>')[0],
      fields.map((one) => ({ ...one, text: toText(one.text) })),
      tools,
    )
  })
  return found.length > 0 && found.every((call) => call !== null) ? found.flat() : null
}

/** A model that forgets to close an argument goes on with the next one. */
function unclosed(pieces: readonly string[]): Field[] {
  return pieces.flatMap((piece) => {
    const [key, text] = split(piece, '>')
    return text === null ? [] : [{ head: [key], text: split(split(text, functionClose)[0], quotation.close)[0] }]
  })
}

function split(text: string, mark: string): [before: string, after: string | null] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + mark.length)]
}
