import { isJsonObject, type Json, type JsonObject } from '../../lib/json.ts'
import { alternativesOf } from './alternatives.ts'
import { anyText } from './any-text.ts'
import { inOrder } from './in-order.ts'
import { behindQuote, keyOtherThan, listed, objectOf, patternOf } from './keys.ts'
import { isConstraint, isOf, kindsOf, only, refuseUnknown } from './keywords.ts'
import { merge } from './merge.ts'
import { areDisjoint } from './one-of.ts'
import { literal, primitives } from './primitives.ts'
import { pointed } from './references.ts'
import { bound, number, refused, repeated, string } from './scalars.ts'

export type Schema = JsonObject | boolean

const maxDepth = 64
/** Rules that one schema may ask for: references with constraints of their own multiply. */
const maxRules = 10_000
/** Lists of so many values, none of them twice, need twice as many rules with each more. */
const maxDistinct = 7

/** Turns one schema and all that it refers to into rules; `rules` holds them by name. */
export class Converter {
  readonly rules: Record<string, string> = {}
  readonly #root: Schema
  readonly #prefix: string
  readonly #references = new Map<string, string>()
  /** How often a name was given, with a number from the second time on. */
  readonly #named = new Map<string, number>()
  #asked = 0

  constructor(root: Schema, prefix: string) {
    this.#root = root
    this.#prefix = prefix
  }

  /** The name of a rule for this schema. `path` is where it stands, for messages. */
  rule(schema: Json | undefined, name: string, path: string, depth: number): string {
    if (schema === true) return 'value'
    if (schema === false) throw refused(path, 'keyword "false" allows nothing')
    if (!isJsonObject(schema)) throw refused(path, 'it must be an object or a boolean')
    const body = this.#body(schema, name, path, depth)
    return primitives[body] === undefined ? this.#add(name, body) : body
  }

  #add(name: string, body: string): string {
    const base =
      name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '')
        .slice(0, 60) || 'rule'
    const clean = this.#prefix + (/^[a-z]/.test(base) ? base : `r-${base}`)
    let unique = clean
    while (primitives[unique] !== undefined || unique === 'root' || (this.rules[unique] ?? body) !== body) {
      const count = (this.#named.get(clean) ?? 1) + 1
      this.#named.set(clean, count)
      unique = `${clean}-${count}`
    }
    this.rules[unique] = body
    return unique
  }

  #body(schema: JsonObject, name: string, path: string, depth: number): string {
    if (depth > maxDepth) throw refused(path, `it is nested deeper than ${maxDepth} levels`)
    if (++this.#asked > maxRules) throw refused(path, `it needs more than ${maxRules} rules`)
    refuseUnknown(schema, path)
    if (schema.$ref !== undefined) return this.#reference(schema, name, path, depth)
    const parts = schema.allOf
    if (parts !== undefined) {
      if (!Array.isArray(parts)) throw refused(path, 'keyword "allOf" must be an array')
      const { allOf: _, ...rest } = schema
      return this.#body(
        [rest, ...parts].map((part) => this.#resolved(part, path)).reduce((all, part) => merge(all, part, path), {}),
        name,
        path,
        depth + 1,
      )
    }
    const cases = alternativesOf(schema, path)
    if (cases !== null) return cases.map((one, at) => this.rule(one, `${name}-case-${at}`, path, depth + 1)).join(' | ')
    for (const keyword of ['anyOf', 'oneOf']) if (schema[keyword] !== undefined) return this.#union(schema, keyword, name, path, depth)
    if (schema.nullable === true) {
      const { nullable: _, ...rest } = schema
      return `${this.rule(rest, `${name}-some`, path, depth + 1)} | null`
    }
    if (schema.const !== undefined) return literal(JSON.stringify(schema.const))
    if (schema.enum !== undefined) return this.#enumeration(schema, name, path)
    const kinds = kindsOf(schema, path)
    if (kinds.length === 0) return 'value'
    if (kinds.length > 1) return kinds.map((type) => this.rule({ ...only(schema, type), type }, `${name}-${type}`, path, depth + 1)).join(' | ')
    return this.#typed(schema, kinds[0] as string, name, path, depth)
  }

  #typed(schema: JsonObject, type: string, name: string, path: string, depth: number): string {
    switch (type) {
      case 'object':
        return this.#object(schema, name, path, depth)
      case 'array':
        return this.#array(schema, name, path, depth)
      case 'string':
        return string(schema, path)
      case 'integer':
        return number(schema, true, path, (rule, body) => this.#add(`${name}-${rule}`, body))
      case 'number':
        return number(schema, false, path, (rule, body) => this.#add(`${name}-${rule}`, body))
      default:
        return type
    }
  }

  /** Rules that are reached by name may be reached from inside themselves. */
  #reference(schema: JsonObject, name: string, path: string, depth: number): string {
    const { $ref: pointer, ...rest } = schema
    const constraints = Object.keys(rest).filter((keyword) => isConstraint(keyword))
    if (constraints.length > 0) return this.#body(merge(this.#resolved({ $ref: pointer as Json }, path), rest, path), name, path, depth + 1)
    const text = reference(pointer, path)
    const known = this.#references.get(text)
    if (known !== undefined) return known
    const target = this.#target(text, path)
    const own = this.#add(`ref-${text.split('/').at(-1)?.replace('#', 'root') ?? ''}`, `pending ${text}`)
    this.#references.set(text, own)
    if (isJsonObject(target) && typeof target.$ref === 'string' && this.#references.has(target.$ref))
      throw refused(text, `keyword "$ref" goes in a circle at ${text}`)
    this.rules[own] = this.rule(target, own, text, depth + 1)
    return own
  }

  /** A schema without a reference at its top, for merging. */
  #resolved(part: Json, path: string): JsonObject {
    let current = part
    for (let hops = 0; isJsonObject(current) && current.$ref !== undefined; hops++) {
      if (hops > maxDepth) throw refused(path, 'keyword "$ref" goes in a circle')
      const { $ref: pointer, ...rest } = current
      const target = this.#target(reference(pointer, path), path)
      if (target === true) current = rest
      else if (isJsonObject(target)) current = Object.keys(rest).length === 0 ? target : merge(target, rest, path)
      else current = target
    }
    if (current === true) return {}
    if (!isJsonObject(current)) throw refused(path, 'a part of "allOf" allows nothing')
    return current
  }

  #target(pointer: string, path: string): Json {
    if (!pointer.startsWith('#')) throw refused(path, `keyword "$ref" may only refer to this schema, not to ${JSON.stringify(pointer)}`)
    const target = pointed(this.#root as Json, pointer)
    if (target === undefined) throw refused(path, `keyword "$ref" refers to ${JSON.stringify(pointer)}, which is not there`)
    return target
  }

  #union(schema: JsonObject, keyword: string, name: string, path: string, depth: number): string {
    const { [keyword]: alternatives, ...rest } = schema
    if (!Array.isArray(alternatives) || alternatives.length === 0) throw refused(path, `keyword "${keyword}" must be a list of schemas`)
    const constrained = Object.keys(rest).some((key) => isConstraint(key))
    if (keyword === 'oneOf') this.#refuseOverlap(alternatives, path)
    return alternatives
      .map((alternative, at) => {
        const whole = constrained ? merge(this.#resolved(alternative, path), rest, path) : alternative
        return this.rule(whole, `${name}-${at}`, `${path}/${keyword}/${at}`, depth + 1)
      })
      .join(' | ')
  }

  #refuseOverlap(alternatives: readonly Json[], path: string): void {
    const choices = alternatives.filter((alternative) => alternative !== false).map((alternative) => this.#resolved(alternative, path))
    for (const [at, choice] of choices.entries()) {
      const other = choices.findIndex((earlier, before) => before < at && !areDisjoint(earlier, choice))
      if (other >= 0)
        throw refused(path, `keyword "oneOf": a value may be of choice ${other} and of choice ${at} at once; use "anyOf", or tell them apart by a property`)
    }
  }

  #enumeration(schema: JsonObject, name: string, path: string): string {
    const { enum: values } = schema
    if (!Array.isArray(values) || values.length === 0) throw refused(path, 'keyword "enum" must be a list of values')
    const kinds = kindsOf(schema, path, false)
    const allowed = kinds.length === 0 ? values : values.filter((value) => kinds.some((kind) => isOf(value, kind)))
    if (allowed.length === 0) throw refused(path, 'keyword "enum" has no value of this type')
    return anyText(
      allowed.map((value) => JSON.stringify(value)),
      (body) => this.#add(`${name}-text`, body),
    )
  }

  #object(schema: JsonObject, name: string, path: string, depth: number): string {
    const properties = schema.properties ?? {}
    if (!isJsonObject(properties)) throw refused(path, 'keyword "properties" must be an object')
    const required = schema.required ?? []
    if (!Array.isArray(required)) throw refused(path, 'keyword "required" must be an array')
    const forbidden = Object.keys(properties).find((key) => properties[key] === false && required.includes(key))
    if (forbidden !== undefined) throw refused(`${path}/properties/${forbidden}`, 'keyword "false" allows nothing')
    const additional = schema.additionalProperties
    const matched = patternOf(schema, Object.keys(properties), path)
    const open = matched !== null || additional === true || isJsonObject(additional)
    const undeclared = required.filter((key): key is string => typeof key === 'string' && !Object.hasOwn(properties, key))
    if (matched !== null && undeclared.length > 0)
      throw refused(path, `keyword "patternProperties" cannot be held for ${JSON.stringify(undeclared[0])}, which has no declaration`)
    const extra: Json = matched?.schema ?? (open ? (additional as Json) : true)
    const declared = [...Object.entries(properties).filter(([, value]) => value !== false), ...undeclared.map((key): [string, Json] => [key, extra])]
    const otherKey = this.#otherKey(schema, [...Object.keys(properties), ...undeclared], matched?.pattern ?? null, path)
    const keyword = matched === null ? 'additionalProperties' : 'patternProperties'
    const others = open ? this.rule(extra, `${name}-additional`, `${path}/${keyword}`, depth + 1) : 'value'
    if (declared.length === 0) return !open && (additional === false || schema.properties !== undefined) ? '"{" space "}"' : objectOf(otherKey, others)
    const fields = declared.map(([key, value]) => {
      const held = this.rule(value, `${name}-${key}`, `${path}/properties/${key}`, depth + 1)
      return { body: `${literal(JSON.stringify(key).slice(1))} space ":" space ${held}`, must: required.includes(key) }
    })
    const more = open ? `${behindQuote(otherKey)} space ":" space ${others}` : ''
    const pairs = inOrder(fields, { start: '"\\""', between: '"," space "\\""', more }, (body) => this.#add(`${name}-kv`, body))
    return `"{" space ${pairs} space "}"`
  }

  /** A rule for keys that are none of the declared ones. */
  #otherKey({ propertyNames: names }: JsonObject, declared: string[], pattern: string | null, path: string): string {
    if (names === undefined || names === true) return pattern === null ? keyOtherThan(declared) : string({ pattern }, path)
    const free = isJsonObject(names) ? listed(names)?.filter((name) => typeof name === 'string' && !declared.includes(name)) : undefined
    if (pattern !== null || declared.length > 0 || !isJsonObject(names) || free?.length === 0)
      throw refused(path, 'keyword "propertyNames" can be honoured only where no property is declared')
    return free === undefined
      ? this.rule({ ...names, type: 'string' }, 'key', `${path}/propertyNames`, 1)
      : `(${free.map((name) => literal(JSON.stringify(name))).join(' | ')})`
  }

  /** A list in which none of the values comes twice. */
  #distinct(values: Json[], least: number, most: number, name: string): string {
    const known = new Map<number, string>()
    const after = (used: number, count: number): string => {
      const found = known.get(used)
      if (found !== undefined) return found
      const next = count >= most ? [] : values.flatMap((value, at) => (used & (1 << at) ? [] : [{ value, used: used | (1 << at) }]))
      const parts = next.map((one) => `${count === 0 ? '' : '"," space '}${literal(JSON.stringify(one.value))} ${after(one.used, count + 1)}`)
      const rule = this.#add(`${name}-but-${used}`, [...(count >= least ? ['""'] : []), ...parts].join(' | '))
      known.set(used, rule)
      return rule
    }
    return `"[" space ${after(0, 0)} space "]"`
  }

  #array(schema: JsonObject, name: string, path: string, depth: number): string {
    const prefix = Array.isArray(schema.items) ? schema.items : (schema.prefixItems ?? [])
    if (!Array.isArray(prefix)) throw refused(path, 'keyword "prefixItems" must be an array')
    const items = Array.isArray(schema.items) ? false : (schema.items ?? prefix.length === 0)
    const least = bound(schema, 'minItems', path) ?? 0
    const most = bound(schema, 'maxItems', path)
    if (schema.uniqueItems === true && (most === null || most > 1)) {
      const values = prefix.length === 0 && isJsonObject(items) ? listed(this.#resolved(items, path)) : null
      if (values === null || values.length > maxDistinct)
        throw refused(path, `keyword "uniqueItems" can be honoured for items of up to ${maxDistinct} listed values only`)
      if (least > values.length) throw refused(path, 'keyword "uniqueItems" leaves fewer values than "minItems" asks for')
      return this.#distinct(values, least, most ?? values.length, name)
    }
    const heads = prefix.map((item, at) => this.rule(item, `${name}-${at}`, `${path}/prefixItems/${at}`, depth + 1))
    const kept = most === null ? heads : heads.slice(0, most)
    if (items === false && least > kept.length) throw refused(path, 'keyword "minItems" asks for more items than "prefixItems" has')
    const more = items === false || (most !== null && most <= heads.length) ? null : this.rule(items, `${name}-item`, `${path}/items`, depth + 1)
    if (kept.length === 0 && more === null) return '"[" space "]"'
    if (kept.length === 0) {
      const others = this.#others(more as string, Math.max(0, least - 1), most === null ? null : most - 1, name)
      const filled = this.#add(`${name}-items`, `${more} ${others}`)
      return `"[" space ${filled}${least === 0 ? '?' : ''} space "]"`
    }
    const tail = more === null ? '' : ` ${this.#others(more, Math.max(0, least - kept.length), most === null ? null : most - kept.length, name)}`
    return `"[" space ${kept.join(' "," space ')}${tail} space "]"`
  }

  /** Items behind another one. */
  #others(item: string, least: number, most: number | null, name: string): string {
    const other = this.#add(`${name}-other`, `"," space ${item}`)
    return repeated(least, most, other, () => this.#add(`${name}-hundred`, `${other}{100}`))
  }
}

function reference(pointer: Json | undefined, path: string): string {
  if (typeof pointer !== 'string') throw refused(path, 'keyword "$ref" must be a string')
  return pointer
}
