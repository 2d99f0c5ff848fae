import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { inOrder } from '../json-schema/in-order.ts'
import { literal } from '../json-schema/primitives.ts'
import { bound, repeated } from '../json-schema/scalars.ts'
import type { Tool } from '../messages.ts'
import { addRule, addSchema, argumentsIn, nameOtherThan, parametersOf, triggerOf } from './call-grammar.ts'
import type { HoldCalls } from './family.ts'
import { rawBranches } from './raw-values.ts'

/** Calls whose arguments stand one by one: `f(a=1, b="x")`, `call:f{a:1}`. */
interface FieldCalls {
  open: string
  close: string
  /** Several calls behind one mark, in brackets. */
  list: boolean
  /** What stands before a tool's name, between it and its arguments, and behind them. */
  name: [before: string, between: string, after: string]
  assign: string
  separator: string
  /** Marks that texts stand between; null: texts are JSON's. */
  quote: string | null
}

/** Holds calls of that form to the declared names and schemas. */
export function holdFieldCalls(form: FieldCalls): HoldCalls {
  const {
    open,
    close,
    list,
    name: [before, between, after],
    separator,
  } = form
  return (tools, { parallel }) => {
    const more = parallel ? `(${literal(separator)} call)*` : ''
    const rules: Rules = {
      root: `section${parallel && !list ? '+' : ''}`,
      section: `${literal(open)} ${list ? `"[" call ${more} "]"` : 'call'} ${literal(close)}`,
    }
    rules.call = tools
      .map((tool, index) => `${literal(before + tool.function.name + between)} ${argumentsOf(tool, `t${index}-`, form, rules)} ${literal(after)}`)
      .join(' | ')
    return { gbnf: grammarText(rules), trigger: triggerOf(open) }
  }
}

type Place = Omit<Parameters<typeof rawBranches>[1], 'mark'>

function argumentsOf(tool: Tool, prefix: string, form: FieldCalls, rules: Rules): string {
  const root = parametersOf(tool)
  return fields(root, { rules, root, prefix }, form)
}

/** Required arguments in their order, then any of the others in theirs. */
function fields(schema: JsonObject, place: Place, form: Pick<FieldCalls, 'assign' | 'separator' | 'quote'>): string {
  const { assign, separator } = form
  const { declared, others } = argumentsIn(schema)
  const field = (written: string, property: Json, step: string) =>
    `${written} ${literal(assign)} ${value(property, { ...place, prefix: `${place.prefix}${step}-` }, form)}`
  const parts = declared.map(({ key, schema: property, must }, index) => ({ must, body: field(literal(key), property, String(index)) }))
  const more = others === null ? '' : field(nameOtherThan(declared.map(({ key }) => key)), others, 'more')
  return inOrder(parts, { start: '', between: literal(separator), more }, (body) => addRule(place.rules, `${place.prefix}f`, body))
}

function value(schema: Json, place: Place, form: Pick<FieldCalls, 'assign' | 'separator' | 'quote'>): string {
  const { quote } = form
  if (quote === null) return pythonValue(schema, place)
  const inner = (part: Json, step: string) => value(part, { ...place, prefix: `${place.prefix}${step}-` }, form)
  const branches = rawBranches(schema, { ...place, mark: quote }).map(({ kind, body, schema: whole }) => {
    if (kind === 'string') return `${literal(quote)} (${body}) ${literal(quote)}`
    if (kind === 'object' && isJsonObject(whole?.properties)) return `"{" ${fields(whole, { ...place, prefix: `${place.prefix}o-` }, form)} "}"`
    if (kind !== 'array' || whole?.items === undefined || Array.isArray(whole.items) || whole.prefixItems !== undefined) return body
    const [least, most] = [bound(whole, 'minItems', '#') ?? 0, bound(whole, 'maxItems', '#')]
    if (most === 0) return '"[]"'
    const item = inner(whole.items, 'i')
    const other = addRule(place.rules, `${place.prefix}l`, `${literal(form.separator)} ${item}`)
    const others = repeated(Math.max(0, least - 1), most === null ? null : most - 1, other, () => `(${other}{100})`)
    const filled = addRule(place.rules, `${place.prefix}l`, `${item} ${others}`)
    return `"[" ${filled}${least > 0 ? '' : '?'} "]"`
  })
  return `(${branches.join(' | ')})`
}

/** As JSON, or where Python writes it differently as that. */
function pythonValue(schema: Json, place: Place): string {
  const json = addSchema(place.rules, isJsonObject(schema) || typeof schema === 'boolean' ? schema : {}, place.prefix, place.root)
  const others = rawBranches(schema, { ...place, prefix: `${place.prefix}p-`, mark: "'" }).flatMap(({ kind, body }) => {
    if (kind === 'boolean') return ['"True" | "False"']
    if (kind === 'null') return ['"None"']
    return kind === 'string' && body === 'text' ? [pythonText] : []
  })
  return `(${[json, ...others].join(' | ')})`
}

const pythonText = `"'" ([^'\\\\\\x00-\\x1F] | "\\\\" ['"\\\\nrt])* "'"`
