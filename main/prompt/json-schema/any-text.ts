import { literal } from './primitives.ts'

/** Fewer are listed as they are. */
const fewTexts = 16

/**
 * One of these texts. Many are written as a tree of their beginnings, as the engine looks at every alternative that may come next.
 *
 * @param add adds a rule and gives its name
 */
export function anyText(texts: readonly string[], add: (body: string) => string): string {
  if (texts.length <= fewTexts) return [...new Set(texts)].map(literal).join(' | ')
  const branches = Map.groupBy(new Set(texts), (text) => (text === '' ? '' : String.fromCodePoint(text.codePointAt(0) as number)))
  return Array.from(branches.values(), (branch) => {
    const shared = sharedBeginning(branch)
    if (branch.length === 1) return literal(shared)
    const rests = anyText(
      branch.map((text) => text.slice(shared.length)),
      add,
    )
    return `${literal(shared)} ${add(rests)}`
  }).join(' | ')
}

/** Whole characters only. */
function sharedBeginning([first = '', ...others]: readonly string[]): string {
  let length = 0
  for (const char of first) {
    if (!others.every((other) => other.startsWith(char, length))) break
    length += char.length
  }
  return first.slice(0, length)
}
