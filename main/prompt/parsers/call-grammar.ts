import { isJsonObject, type JsonObject } from '../../lib/json.ts'
import type { Schema } from '../json-schema/converter.ts'
import { type Rules, schemaRules } from '../json-schema/grammar.ts'
import { literal } from '../json-schema/primitives.ts'
import type { Tool } from '../messages.ts'
import type { ToolGrammar } from './family.ts'

/** The schema of a tool's arguments: always of an object. */
export function parametersOf({ function: { parameters } }: Tool): JsonObject {
  return { type: 'object', ...(isJsonObject(parameters) && parameters) }
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
