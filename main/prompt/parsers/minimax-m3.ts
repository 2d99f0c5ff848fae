import { AppError } from '../../errors.ts'
import { isJsonObject, type Json, type JsonObject, setOwn } from '../../lib/json.ts'
import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import { pointed } from '../json-schema/references.ts'
import { bound, repeated } from '../json-schema/scalars.ts'
import type { Tool } from '../messages.ts'
import { addRule, parametersOf as objectOf, triggerOf } from './call-grammar.ts'
import type { RawCall } from './calls.ts'
import type { Family } from './family.ts'
import { MarkedCallReader } from './marked-call-reader.ts'
import { rawBranches } from './raw-values.ts'
import { parametersOf, propertyOf, typedValue } from './typed-arguments.ts'

/** Stands before every tag, and in no text. */
const mark = ']<]minimax[>['
const section = { open: `${mark}<tool_call>`, close: `${mark}</tool_call>` }
const invoke = `${mark}<invoke name="`
const end = `${mark}</invoke>`
const deepest = 64

/** `]<]minimax[>[<invoke name="NAME">` with `]<]minimax[>[<K>V]<]minimax[>[</K>`, lists and objects in tags of their own: MiniMax M3. */
export const minimaxM3: Family = {
  name: 'minimax-m3',
  owns: (template) => template.includes(mark),
  format: {
    starts: [invoke],
    createReader: (tools) => new MarkedCallReader({ end }, (body) => nestedCall(body, tools)),
    silent: [section.open, section.close],
    announces: [section.open],
  },
  holdCalls(tools, { parallel }) {
    const rules: Rules = { root: `${literal(`${section.open}\n`)} call${parallel ? '+' : ''} ${literal(section.close)}` }
    rules.call = tools
      .map((tool, index) => {
        const root = objectOf(tool)
        return `${literal(`${invoke}${tool.function.name}">`)} ${elements(root, { rules, root, prefix: `t${index}-`, mark }, 0)} ${literal(`${end}\n`)}`
      })
      .join(' | ')
    return { gbnf: grammarText(rules), trigger: triggerOf(section.open) }
  },
}

interface Element {
  key: string
  text: string
  children: Element[]
}

function nestedCall(body: string, tools: readonly Tool[]): RawCall[] | null {
  const [head = '', ...pieces] = body.split(mark)
  const name = /^([^"<>]+)">\s*$/.exec(head)?.[1]
  const tree = name === undefined ? null : treeOf(pieces)
  if (name === undefined || tree === null) return null
  const root = parametersOf(name, tools)
  const args: JsonObject = {}
  for (const child of tree.children) setOwn(args, child.key, valueIn(child, propertyOf(root, child.key), root))
  return [{ name, arguments: args }]
}

/** The elements in tags that fit; null when they do not. */
function treeOf(pieces: readonly string[]): Element | null {
  const open: Element[] = [{ key: '', text: '', children: [] }]
  for (const piece of pieces) {
    const [, closing, key = '', text = ''] = /^<(\/?)([^<>]+)>([\s\S]*)$/.exec(piece) ?? []
    const current = open.at(-1) as Element
    if (closing === '/') {
      if (open.length === 1 || current.key !== key) return null
      open.pop()
    } else if (closing === '' && open.length <= deepest) {
      const element = { key, text, children: [] }
      current.children.push(element)
      open.push(element)
    } else return null
  }
  return open.length === 1 ? (open[0] as Element) : null
}

function valueIn({ text, children }: Element, schema: Json | undefined, root: JsonObject): Json {
  const stated = plain(schema, root)
  if (children.length === 0) {
    if (text === '' && stated.type === 'array') return []
    return text === '' && stated.type === 'object' ? {} : typedValue(text, schema, root)
  }
  const isList = children.every(({ key }) => key === 'item') && propertyOf(stated, 'item') === undefined
  if (isList) return children.map((child) => valueIn(child, stated.items, root))
  const value: JsonObject = {}
  for (const child of children) setOwn(value, child.key, valueIn(child, propertyOf(stated, child.key), root))
  return value
}

/** What a schema says of objects and lists, references followed and the alternative taken that says it. */
function plain(schema: Json | undefined, root: JsonObject, depth = 0): JsonObject {
  if (!isJsonObject(schema) || depth > deepest) return {}
  if (typeof schema.$ref === 'string') return plain(pointed(root, schema.$ref), root, depth + 1)
  const alternatives = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (!Array.isArray(alternatives)) return schema
  const found = alternatives.map((alternative) => plain(alternative, root, depth + 1))
  return found.find(({ type, properties, items }) => type === 'object' || type === 'array' || properties !== undefined || items !== undefined) ?? schema
}

type Place = Parameters<typeof rawBranches>[1]

/** The properties of an object, each in its tag. */
function elements(schema: JsonObject, place: Place, depth: number): string {
  const { properties, required } = schema
  if (properties === undefined && schema.additionalProperties !== false)
    throw new AppError('invalid-request', 'invalid JSON schema: an object that may hold anything has no form in tags')
  const needed = Array.isArray(required) ? required : []
  return Object.entries(isJsonObject(properties) ? properties : {})
    .map(([key, value], index) => {
      const body = `${literal(`${mark}<${key}>`)} (${element(value, { ...place, prefix: `${place.prefix}${index}-` }, depth + 1)}) ${literal(`${mark}</${key}>`)}`
      return `${addRule(place.rules, `${place.prefix}f`, body)}${needed.includes(key) ? '' : '?'}`
    })
    .join(' ')
}

function element(schema: Json, place: Place, depth: number): string {
  if (depth > deepest / 4) throw new AppError('invalid-request', 'invalid JSON schema: it is nested too deeply for a form in tags')
  const stated = plain(schema, place.root)
  if (stated.type === 'object' || stated.properties !== undefined) return elements(stated, place, depth)
  if (stated.type === 'array' || stated.items !== undefined) {
    const { items = true } = stated
    const item = `${literal(`${mark}<item>`)} (${element(items, { ...place, prefix: `${place.prefix}i-` }, depth + 1)}) ${literal(`${mark}</item>`)}`
    const one = addRule(place.rules, `${place.prefix}l`, item)
    return repeated(bound(stated, 'minItems', '#') ?? 0, bound(stated, 'maxItems', '#'), one, () => `(${one}{100})`)
  }
  return rawBranches(schema, place)
    .map(({ body }) => `(${body})`)
    .join(' | ')
}
