/** A field of an object or a call, and whether it must stand there. */
export interface OrderedField {
  body: string
  must: boolean
}

/**
 * Fields in their order, those that must stand and any of the others, as one rule for each: the grammar grows with their number, and what parts two of them is read once.
 *
 * @param start stands before the first field, `between` before each other one
 * @param more what may follow the last, any number of times
 * @param add adds a rule and gives the name that it got
 */
export function inOrder(
  fields: readonly OrderedField[],
  { start, between, more = '' }: { start: string; between: string; more?: string },
  add: (body: string) => string,
): string {
  let next = ''
  if (more !== '') {
    const one = add(more)
    next = add(`${one} (${between} ${one})*`)
  }
  let demands = false
  for (const { body, must } of fields.toReversed()) {
    const after = next === '' ? '' : demands ? ` ${between} ${next}` : ` (${between} ${next})?`
    next = add(`${body}${after}${must || next === '' ? '' : ` | ${next}`}`)
    demands ||= must
  }
  if (next === '') return ''
  return demands ? `${start} ${next}` : `(${start} ${next})?`
}
