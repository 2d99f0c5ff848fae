/** What crosses between Node, the preload script's world and the page: plain data, and functions where a side keeps them. */
export interface Codec {
  /** Throws for what Electron could not clone either. */
  encode(value: unknown, keep?: (fn: AnyFunction) => number): string
  decode(text: string, make?: (id: number) => AnyFunction): unknown
}
export type AnyFunction = (...args: unknown[]) => unknown

/** Stands alone: its source text also runs in the page. */
export function createCodec(): Codec {
  type Coded = string | number | boolean | null | [tag: string, ...rest: unknown[]]

  function put(value: unknown, keep?: (fn: AnyFunction) => number): Coded {
    if (value === undefined) return ['undefined']
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : ['number', Object.is(value, -0) ? '-0' : String(value)]
    if (typeof value === 'bigint') return ['bigint', String(value)]
    if (typeof value === 'function' && keep !== undefined) return ['function', keep(value as AnyFunction)]
    if (typeof value !== 'object') throw new TypeError('An object could not be cloned.')
    if (Array.isArray(value)) return ['array', ...value.map((item) => put(item, keep))]
    if (value instanceof Date) return ['date', value.getTime()]
    if (value instanceof Error) return ['error', value.name, value.message]
    if (value instanceof Uint8Array) return ['bytes', ...value]
    if (value instanceof Promise || value instanceof WeakMap) throw new TypeError('An object could not be cloned.')
    return ['object', ...Object.entries(value).map(([key, item]) => [key, put(item, keep)])]
  }

  function get(coded: Coded, make?: (id: number) => AnyFunction): unknown {
    if (!Array.isArray(coded)) return coded
    const [tag, ...rest] = coded
    switch (tag) {
      case 'undefined':
        return undefined
      case 'number':
        return Number(rest[0])
      case 'bigint':
        return BigInt(rest[0] as string)
      case 'function':
        return make?.(rest[0] as number)
      case 'array':
        return rest.map((item) => get(item as Coded, make))
      case 'date':
        return new Date(rest[0] as number)
      case 'error':
        return Object.assign(new Error(rest[1] as string), { name: rest[0] })
      case 'bytes':
        return Uint8Array.from(rest as number[])
      case 'object':
        return Object.fromEntries((rest as [string, Coded][]).map(([key, item]) => [key, get(item, make)]))
      default:
        throw new Error(`unknown tag ${tag}`)
    }
  }

  return {
    encode: (value, keep) => JSON.stringify(put(value, keep)),
    decode: (text, make) => get(JSON.parse(text), make),
  }
}
