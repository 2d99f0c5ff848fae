import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import type { Schema } from '../json-schema/converter.ts'
import { type Rules, schemaRules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import type { Tool } from '../messages.ts'
import type { ToolGrammar } from './family.ts'

/** The schema of a tool's arguments: always of an object. */
export function parametersOf({ function: { parameters } }: Tool): JsonObject {
  return { type: 'object', ...(isJsonObject(parameters) && parameters) }
}

/** The arguments that a schema speaks of, those that it only demands included, and what any other may be; null: there is no other. */
export function argumentsIn({ properties, required, additionalProperties: additional }: JsonObject): {
  declared: { key: string; schema: Json; must: boolean }[]
  others: Json | null
} {
  const needed = Array.isArray(required) ? required.filter((key) => typeof key === 'string') : []
  const own = isJsonObject(properties) ? properties : {}
  const isOpen = additional === true || isJsonObject(additional) || (properties === undefined && additional !== false)
  const any: Json = isJsonObject(additional) ? additional : true
  const undeclared = needed.filter((key) => !Object.hasOwn(own, key)).map((key): [string, Json] => [key, any])
  const declared = [...Object.entries(own), ...undeclared].map(([key, schema]) => ({ key, schema, must: needed.includes(key) }))
  return { declared, others: isOpen ? any : null }
}

const nameLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_'

/** A rule's body for the name of an argument that is none of these, by the letters at which it leaves them. @param signs what it may hold beside letters, a hyphen last */
export function nameOtherThan(names: readonly string[], signs = ''): string {
  const all = [...nameLetters, ...signs]
  const onward = (letters: readonly string[]) => `[${letters.join('')}] [A-Za-z0-9_${signs}]{0,63}`
  const from = (rests: readonly string[], mayStop: boolean): string => {
    const branches = Map.groupBy(
      rests.filter((rest) => rest !== '' && all.includes(rest.charAt(0))),
      (rest) => rest.charAt(0),
    )
    const left = all.filter((letter) => !branches.has(letter) && (mayStop || !/\d/.test(letter)))
    const parts = Array.from(branches, ([letter, some]) => {
      const next = some.map((rest) => rest.slice(1))
      return `${literal(letter)} (${from(next, true)})`
    })
    return [...parts, onward(left), ...(mayStop && !rests.includes('') ? ['""'] : [])].join(' | ')
  }
  return `(${from(names, false)})`
}

/** Adds the rules of a schema in JSON and gives the name of the one that its values follow; references are within `root`. */
export function addSchema(rules: Rules, schema: Schema, prefix: string, root: Schema = schema): string {
  const { rule, rules: own } = schemaRules(schema, prefix, root)
  Object.assign(rules, own)
  return rule
}

/** Adds a rule under the first free name of this beginning and gives it. */
export function addRule(rules: Rules, prefix: string, body: string): string {
  let count = 0
  while ((rules[`${prefix}${count}`] ?? body) !== body) count++
  rules[`${prefix}${count}`] = body
  return `${prefix}${count}`
}

/** One alternative for each tool: what `before` says of its name, its arguments in JSON, and `after`. */
export function jsonArguments(tools: readonly Tool[], rules: Rules, before: (name: string) => string, after: string): string {
  return tools
    .map((tool, index) => `${before(tool.function.name)} ${addSchema(rules, parametersOf(tool), `t${index}-`)}${after === '' ? '' : ` ${literal(after)}`}`)
    .join(' | ')
}

/** Adds rules for text that holds the mark nowhere, one for each beginning of it that may just have been written; gives the first one's name. */
export function textWithout(mark: string, rules: Rules, base = 'text'): string {
  const letters = Array.from(mark)
  const name = (state: number) => (state === 0 ? base : `${base}-${state}`)
  for (const state of letters.keys()) {
    const seen = letters.slice(0, state)
    const onward = [...new Set(letters)].map((letter) => ({ letter, next: overlap(letters, [...seen, letter]) })).filter(({ next }) => next > 0)
    const moves = onward.filter(({ next }) => next < letters.length).map(({ letter, next }) => `${literal(letter)} ${name(next)}`)
    rules[name(state)] = ['', `[^${onward.map(({ letter }) => classLetter(letter)).join('')}] ${base}`, ...moves].join(' | ')
  }
  return name(0)
}

/** How many letters of the mark the text ends with. */
function overlap(mark: readonly string[], text: readonly string[]): number {
  let length = Math.min(mark.length, text.length)
  while (text.slice(text.length - length).some((letter, at) => letter !== mark[at])) length--
  return length
}

/** As a class of a grammar writes it. */
export function classLetter(letter: string): string {
  if (/[\p{L}\p{N}]/u.test(letter)) return letter
  const code = letter.codePointAt(0) as number
  return code < 0x80 ? `\\x${code.toString(16).padStart(2, '0')}` : letter
}

/** From where one of these texts begins. Every new token has the reply searched for it, so nothing stands around it: a text is found at once, `[\s\S]*` before it would be tried at every letter. */
export function triggerOf(...opens: string[]): ToolGrammar['trigger'] {
  return `(${opens.map(escaped).join('|')})`
}

/** A text as a regular expression has it. */
export function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}
