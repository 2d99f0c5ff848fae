import type { JsonObject } from '../../lib/json.ts'
import { grammarText, type Rules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import { addSchema, jsonArguments, parametersOf, triggerOf } from './call-grammar.ts'
import type { HoldCalls } from './family.ts'

/** Calls that are JSON objects. */
interface JsonCalls {
  /** It may write the list's bracket itself. */
  open: string
  close: string
  /** How several stand: in a list behind one mark, or each behind its own; or in lines behind one. */
  list: boolean | 'lines'
  /** The schema of one call; unless said, `{name, arguments}`. */
  call?: (name: string, parameters: JsonObject) => JsonObject
  /** Regular expression whose first group begins the calls; unless said, `open` in any place. */
  trigger?: string
}

/** Holds calls that are JSON objects to the declared names and schemas. */
export function holdJsonCalls({ open, close, list, call = callSchema('name', 'arguments'), trigger = triggerOf(open) }: JsonCalls): HoldCalls {
  return (tools, { parallel }) => {
    const begins = open === '' ? '' : `${literal(open)} space `
    const ends = close === '' ? '' : ` space ${literal(close)}`
    const bracket = open.endsWith('[') ? '' : '"[" space '
    const items =
      list === true ? `${bracket}call ${parallel ? '(space "," space call)* ' : ''}space "]"` : `call${parallel && list === 'lines' ? ' (space call)*' : ''}`
    const rules: Rules = { root: `section ${parallel && list === false ? '(space section)*' : ''}`, section: `${begins}${items}${ends}` }
    rules.call = tools
      .map((tool, index) => {
        const parameters = parametersOf(tool)
        return addSchema(rules, call(tool.function.name, parameters), `t${index}-`, parameters)
      })
      .join(' | ')
    return { gbnf: grammarText(rules), trigger }
  }
}

/** The schema of calls with these keys; `before` and `after` are properties around them, which a model may leave out unless `required` names them. */
export function callSchema(
  nameKey: string,
  argumentsKey: string,
  { before = {}, after = {}, required = [] }: { before?: JsonObject; after?: JsonObject; required?: string[] } = {},
) {
  return (name: string, parameters: JsonObject): JsonObject => ({
    type: 'object',
    properties: { ...before, [nameKey]: { const: name }, [argumentsKey]: parameters, ...after },
    required: [...required, nameKey, argumentsKey],
    additionalProperties: false,
  })
}

/** Calls whose name stands before their arguments. */
interface NamedCalls {
  open: string
  between: string
  close: string
  /** The prompt may have written `open`. */
  prompted?: boolean
  /** Around all calls together. */
  section?: { open: string; close: string }
  /** What a model may write between two calls. */
  separator?: string
}

/** Holds calls in the form `open` NAME `between` `{arguments}` `close`. */
export function holdNamedCalls({ open, between, close, prompted = false, section, separator = '' }: NamedCalls): HoldCalls {
  return (tools, { parallel }) => {
    const rules: Rules = {}
    const first = `${literal(open)}${prompted ? '?' : ''} call`
    const others = parallel ? ` (${separator === '' ? '' : `${literal(separator)}? `}${literal(open)} call)*` : ''
    rules.root = section === undefined ? `${first}${others}` : `${literal(section.open)} ${first}${others} ${literal(section.close)}`
    rules.call = jsonArguments(tools, rules, (name) => literal(name + between), close)
    return { gbnf: grammarText(rules), trigger: triggerOf(section?.open ?? open) }
  }
}
