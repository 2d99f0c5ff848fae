import { AppError } from '../../errors.ts'
import { Converter, type Schema } from './converter.ts'
import { primitives } from './primitives.ts'

const maxGrammarChars = 256 * 1024

/**
 * The GBNF grammar of a JSON Schema: properties in their order, objects closed unless `additionalProperties` says otherwise, white space bounded.
 *
 * @throws `invalid-request` naming the place and the keyword that no grammar can honour
 */
export function schemaToGrammar(schema: Schema): string {
  const { rule, rules } = schemaRules(schema)
  return grammarText({ root: rule, ...rules })
}

/** Rules of a grammar by their names, without those that every grammar may use. */
export type Rules = Record<string, string>

/**
 * The rules of a schema and the name of the one that its values follow, for a grammar of several parts.
 *
 * @param prefix begins the names of its own rules, so that they are no other part's
 * @param root what references are within
 */
export function schemaRules(schema: Schema, prefix = '', root: Schema = schema): { rule: string; rules: Rules } {
  try {
    const converter = new Converter(root, prefix)
    const rule = converter.rule(schema, 'schema', '#', 0)
    refuseCircles(converter.rules)
    return { rule, rules: converter.rules }
  } catch (error) {
    // Values of `enum`, `const` and `default` may be nested as deep as the body of a request allows.
    if (error instanceof RangeError) throw new AppError('invalid-request', 'invalid JSON schema: it is nested too deeply', { cause: error })
    throw error
  }
}

/** Any JSON object: `format: "json"`. */
export const jsonGrammar: string = grammarText({ root: 'object' })

/** A grammar made here that holds after a thinking block, whose white space it lets pass. */
export function withLeadingSpace(grammar: string): string {
  return grammar.replace(/^root ::= (.*)$/m, (_, body: string) => `root ::= space (${body})`)
}

/** A schema that is one of its own alternatives says nothing, and the engine refuses a rule that begins with itself. */
function refuseCircles(rules: Rules): void {
  const finished = new Set<string>()
  const open = new Set<string>()
  const visit = (name: string): void => {
    const body = rules[name]
    if (body === undefined || finished.has(name)) return
    if (open.has(name)) throw new AppError('invalid-request', 'invalid JSON schema: keyword "$ref" leads back to itself without anything in between')
    open.add(name)
    if (/^[a-z0-9-]+( \| [a-z0-9-]+)*$/.test(body)) for (const alternative of body.split(' | ')) visit(alternative)
    open.delete(name)
    finished.add(name)
  }
  for (const name of Object.keys(rules)) visit(name)
}

/** The rules as text, with the primitives that they name. Throws `invalid-request` for more than the runner takes. */
export function grammarText(rules: Rules): string {
  const all = new Map(Object.entries(rules))
  for (const body of all.values()) {
    for (const name of namesIn(body)) {
      const primitive = primitives[name]
      if (primitive !== undefined && !all.has(name)) all.set(name, primitive)
    }
  }
  if (!all.has('space')) all.set('space', primitives.space as string)
  const text = Array.from(all, ([name, body]) => `${name} ::= ${body}\n`).join('')
  if (text.length > maxGrammarChars) throw new AppError('invalid-request', `invalid JSON schema: its grammar is larger than ${maxGrammarChars / 1024} kB`)
  return text
}

/** Rule names of a body: what stands outside literals and classes. */
function namesIn(body: string): string[] {
  return body.replace(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g, ' ').match(/[a-z][a-z0-9-]*/g) ?? []
}
