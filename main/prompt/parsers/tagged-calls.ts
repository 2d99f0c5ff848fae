import type { Tool } from '../messages.ts'
import type { RawCall } from './calls.ts'
import { typedArguments } from './typed-arguments.ts'

/** How an argument stands in tags. */
export interface FieldTags {
  open: string
  /** Sticky, from behind `open` to the text: its first group is the key. Bounded, as a reply may hold nothing but openings. */
  head: RegExp
  close: string
  /** What may follow the last argument, beside the end. */
  until?: string
  /** Marks that a text may stand between; then it holds everything but these and `close` together. */
  quotation?: readonly [open: string, close: string]
}

export interface Field {
  /** The groups of `head`: the key first. */
  head: readonly (string | undefined)[]
  text: string
}

/** The arguments in a call; looks at each character once. A text may hold its closing tag where nothing that could follow an argument follows. */
export function fieldsIn(body: string, { open, head, close, until, quotation }: FieldTags): Field[] {
  const fields: Field[] = []
  let mayBeQuoted = quotation !== undefined
  for (let at = body.indexOf(open); at >= 0; at = body.indexOf(open, at)) {
    head.lastIndex = at + open.length
    const found = head.exec(body)
    if (found === null) {
      at += open.length
      continue
    }
    const from = head.lastIndex
    if (mayBeQuoted && quotation !== undefined && body.startsWith(quotation[0], from)) {
      const to = closingAt(body, from, quotation[1] + close, open, until)
      // None follows any later opening either.
      if (to < 0) mayBeQuoted = false
      else {
        fields.push({ head: found.slice(1), text: body.slice(from + quotation[0].length, to) })
        at = to + quotation[1].length + close.length
        continue
      }
    }
    const to = closingAt(body, from, close, open, until)
    if (to < 0) break
    fields.push({ head: found.slice(1), text: body.slice(from, to) })
    at = to + close.length
  }
  return fields
}

/** The first closing tag that is followed by what may follow an argument; -1 when there is none. */
function closingAt(body: string, from: number, close: string, open: string, until: string | undefined): number {
  for (let at = body.indexOf(close, from); at >= 0; at = body.indexOf(close, at + close.length)) {
    let next = at + close.length
    while (/\s/.test(body[next] ?? '')) next++
    if (next === body.length || body.startsWith(open, next) || (until !== undefined && body.startsWith(until, next))) return at
  }
  return -1
}

/** A call that stands in tags: its name up to `nameEnd`, then its arguments. */
export function keyedCall(body: string, nameEnd: string, tags: FieldTags, tools: readonly Tool[]): RawCall[] | null {
  const at = body.indexOf(nameEnd)
  return namedCall(at < 0 ? body : body.slice(0, at), at < 0 ? [] : fieldsIn(body.slice(at), tags), tools)
}

/** null when the text names nothing. */
export function namedCall(head: string, fields: readonly Field[], tools: readonly Tool[]): RawCall[] | null {
  const name = head.trim()
  if (!/^[\w.:/-]+$/.test(name)) return null
  const written = fields.map(({ head: [key = ''], text }) => [key.trim(), text] as const)
  return [{ name, arguments: typedArguments(written, name, tools) }]
}
