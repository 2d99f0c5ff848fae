import { AppError } from '../../errors.ts'
import type { Json, JsonObject } from '../../lib/json.ts'
import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import type { Tool } from '../messages.ts'
import { addRule, argumentsIn, nameOtherThan, parametersOf, textWithout, triggerOf } from './call-grammar.ts'
import type { HoldCalls } from './family.ts'
import { type Branch, type Kind, rawBranches } from './raw-values.ts'

/** Calls that stand in tags throughout, texts among their arguments bare. */
interface TaggedCalls {
  /** A rule's body for what may stand before the calls where one must come first. */
  lead?: string
  /** Once, before all calls; '' when there is no such text. */
  open: string
  /** Around the tool's name. */
  name: [before: string, after: string]
  /** Before each call, though models forget it. */
  outer?: string
  /** Around a value of that kind. */
  field(key: string, kind: Kind): [before: string, after: string]
  close: string
  /** What a model may write between two calls. */
  separator?: string
  /** Once, behind all calls. */
  end?: string
  /** Line breaks around the tags may be left out. */
  loose?: boolean
  /** A stretch in which texts may hold what ends them; without it they cannot. */
  quotation?: [open: string, close: string]
  /** What begins the calls; unless said, all that stands before the first name. */
  triggers?: string[]
}

/** Keywords of which arguments that stand one by one can make nothing. */
const wholeOnly = ['anyOf', 'oneOf', 'allOf', '$ref', 'enum', 'const', 'not', 'if', 'patternProperties', 'propertyNames', 'dependentRequired']

/** Holds calls of that form to the declared names and schemas. */
export function holdTaggedCalls(form: TaggedCalls): HoldCalls {
  const { lead = '', open, name, outer = '', close, separator = '', end = '', triggers = [(open + (open === '' ? name[0] : '')).trimEnd()] } = form
  return (tools, { parallel }) => {
    const rules: Rules = {}
    const text = (value: string) => written(value, form.loose === true)
    const others = parallel ? `(${separator === '' ? '' : `${literal(separator)}? `}call)*` : ''
    rules.root = `${lead} ${text(open)} call ${others} ${text(end)}`
    const before = outer === '' ? '' : `(${literal(outer)})? `
    const alternatives = tools
      .map((tool, index) => `${text(name[0] + tool.function.name + name[1])} ${fields(tool, `t${index}-`, form, rules)} ${text(close)}`)
      .join(' | ')
    rules.call = before === '' ? alternatives : `${before}(${alternatives})`
    return { gbnf: grammarText(rules), trigger: triggerOf(...triggers) }
  }
}

/** The arguments of a tool in the order of its schema, those that need not be there each on its own. */
function fields(tool: Tool, prefix: string, form: TaggedCalls, rules: Rules): string {
  const parameters = parametersOf(tool)
  const found = wholeOnly.find((keyword) => parameters[keyword] !== undefined)
  if (found !== undefined)
    throw new AppError('invalid-request', `invalid JSON schema at #: keyword "${found}" cannot be honoured for arguments that stand one by one`)
  const { declared, others } = argumentsIn(parameters)
  const parts = declared.map(({ key, schema, must }, index) => {
    const body = field(literal(key), schema, `${prefix}${index}-`, parameters, form, rules)
    return `${addRule(rules, `${prefix}f`, body)}${must ? '' : '?'}`
  })
  if (others === null) return parts.join(' ')
  const name = nameOtherThan(
    declared.map(({ key }) => key),
    '.-',
  )
  return [...parts, `${addRule(rules, `${prefix}f`, field(name, others, `${prefix}more-`, parameters, form, rules))}*`].join(' ')
}

/** One argument under a name of this rule. */
function field(name: string, schema: Json, prefix: string, root: JsonObject, form: TaggedCalls, rules: Rules): string {
  const [, after] = form.field('', 'string')
  const mark = form.quotation === undefined ? after.trim() : after.slice(0, 1)
  const groups = Map.groupBy(rawBranches(schema, { rules, root, prefix, mark }), ({ kind }) => form.field('\0', kind).join('\0'))
  return Array.from(groups.values(), (branches) => {
    const { kind } = branches[0] as Branch
    const [before, behind] = form.field('\0', kind)
    const around = before.split('\0').map((part) => written(part, form.loose === true))
    return `${around.join(` ${name} `)} (${bodies(branches, form, rules)}) ${written(behind, form.loose === true)}`
  }).join(' | ')
}

/** A text that may be anything leaves the other ways of writing nothing to say. */
function bodies(branches: Branch[], { quotation }: TaggedCalls, rules: Rules): string {
  const free = branches.find(({ body }) => body === 'text')
  const kept = (free ? [free] : branches).map(({ body }) => body)
  const hasText = branches.some(({ kind }) => kind === 'string')
  if (quotation !== undefined && hasText && free !== undefined) {
    const [open, close] = quotation
    kept.push(`${literal(open)} ${textWithout(close, rules, 'quoted')} ${literal(close)}`)
  }
  return kept.join(' | ')
}

function written(text: string, loose: boolean): string {
  if (!loose) return text === '' ? '' : literal(text)
  return text
    .split(/(\n)/)
    .filter((part) => part !== '')
    .map((part) => (part === '\n' ? '"\\n"?' : literal(part)))
    .join(' ')
}
