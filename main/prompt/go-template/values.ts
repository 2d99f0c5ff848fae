import type { Json } from '../../lib/json.ts'

/**
 * What a template computes with. Go's int is a bigint and its float64 a number, so that `1` and `1.0` stay apart; null is
 * Go's nil. Maps and structs keep their fields in a Map: no name that a template writes reaches a property of JavaScript.
 */
export type Value = string | boolean | bigint | number | null | GoList | GoMap | GoStruct | GoBytes

/** How a value that has a String method in Go prints: as its JSON. */
interface Traits {
  printsAsJson?: boolean
  /** The JSON of this value where it is not that of its fields. */
  source?: Json
}

/** A slice of Go. */
export class GoList {
  readonly type: string
  readonly items: readonly Value[]
  readonly isNil: boolean
  readonly printsAsJson: boolean

  constructor(type: string, items: readonly Value[] | null, traits: Traits = {}) {
    this.type = type
    this.items = items ?? []
    this.isNil = items === null
    this.printsAsJson = traits.printsAsJson ?? false
  }

  slice(start: number, end: number): GoList {
    return new GoList(this.type, this.items.slice(start, end), { printsAsJson: this.printsAsJson })
  }
}

/** A map of Go with string keys; what is not in it reads as `zero`. */
export class GoMap {
  readonly type: string
  readonly entries: ReadonlyMap<string, Value>
  readonly isNil: boolean
  readonly zero: Value
  readonly printsAsJson: boolean
  readonly source: Json | undefined

  constructor(type: string, entries: ReadonlyMap<string, Value> | null, traits: Traits & { zero?: Value } = {}) {
    this.type = type
    this.entries = entries ?? new Map()
    this.isNil = entries === null
    this.zero = traits.zero ?? null
    this.printsAsJson = traits.printsAsJson ?? false
    this.source = traits.source
  }

  get(key: string): Value {
    return this.entries.get(key) ?? this.zero
  }

  /** Entries by key, as Go ranges over a map and prints it. */
  sorted(): [string, Value][] {
    return [...this.entries].sort(([a], [b]) => compareBytes(a, b))
  }
}

/** A struct of Go: a name that is not a field is an error. */
export class GoStruct {
  readonly type: string
  readonly fields: ReadonlyMap<string, Value>
  readonly methods: ReadonlyMap<string, () => Value>
  readonly printsAsJson: boolean
  readonly source: Json | undefined

  constructor(type: string, fields: Record<string, Value>, traits: Traits & { methods?: Record<string, () => Value> } = {}) {
    this.type = type
    this.fields = new Map(Object.entries(fields))
    this.methods = new Map(Object.entries(traits.methods ?? {}))
    this.printsAsJson = traits.printsAsJson ?? false
    this.source = traits.source
  }
}

/** A picture or sound of a message. */
export class GoBytes {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** The name of the value's type as Go writes it in errors and for `%T`. */
export function typeName(value: Value): string {
  if (value === null) return '<nil>'
  if (value instanceof GoList || value instanceof GoMap || value instanceof GoStruct) return value.type
  if (value instanceof GoBytes) return 'api.ImageData'
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'boolean':
      return 'bool'
    case 'bigint':
      return 'int'
    default:
      return 'float64'
  }
}

/** Go's template truth: everything but the zero value of its type; a struct is always true. */
export function isTrue(value: Value): boolean {
  if (value === null) return false
  if (value instanceof GoList) return value.items.length > 0
  if (value instanceof GoMap) return value.entries.size > 0
  if (value instanceof GoBytes) return value.bytes.length > 0
  if (value instanceof GoStruct) return true
  return typeof value === 'number' ? value !== 0 : Boolean(value)
}

/** A JSON value as Go decodes it into an `any`: numbers are float64, objects are maps. */
export function fromJson(json: Json): Value {
  if (Array.isArray(json)) return new GoList('[]interface {}', json.map(fromJson))
  if (typeof json !== 'object' || json === null) return json
  return new GoMap('map[string]interface {}', new Map(Object.entries(json).map(([key, value]) => [key, fromJson(value)])))
}

/** Go's order of strings, which is that of their UTF-8 bytes and so of their code points. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
