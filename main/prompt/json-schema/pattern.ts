import { literal } from './primitives.ts'

/** Why a regular expression has no rule. */
export class UnsupportedPattern extends Error {}

/** The expression has a rule, but none for texts of these lengths. */
export class UnsupportedLength extends UnsupportedPattern {}

/** How the texts that an expression matches are written. */
export interface TextSyntax {
  /** A rule for any character, and one for any but a line's end. */
  any: string
  dot: string
  /** Characters that no class may hold, as a class lists them. */
  outside: string
  write(char: string): string
  /** It is written as it is, so that a class may hold it. */
  isPlain(char: string): boolean
}

/** Texts inside the quotes of JSON. */
export const jsonText: TextSyntax = {
  any: 'char',
  dot: 'dot',
  outside: '"\\\\\\x7F\\x00-\\x1F',
  write: (char) => JSON.stringify(char).slice(1, -1),
  isPlain: (char) => char !== '"' && char !== '\\' && (char.codePointAt(0) as number) >= 0x20 && char !== '\x7f',
}

/** Texts that stand as they are. @param any a class of a grammar */
export function rawText(any: string): TextSyntax {
  const outside = any.slice(2, -1)
  return { any, dot: `[^${outside}\\r\\n]`, outside, write: (char) => char, isPlain: () => true }
}

const classes: Record<string, string> = { d: '0-9', w: 'A-Za-z0-9_', s: ' ' }
const negatedClasses: Record<string, string> = {
  D: '0-9',
  W: 'A-Za-z0-9_',
  S: ' \\u00A0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000\\uFEFF',
}
const maxDepth = 50
/** The engine refuses a larger count of one rule, and of a group the fewer the more rules it makes of it. */
const maxRepeats = 1999

/** How many characters a text may have. */
interface Lengths {
  least: number
  most: number
}

const anyLength: Lengths = { least: 0, most: Number.POSITIVE_INFINITY }

/** A part of an expression, and how long the texts are that it matches. */
interface Part extends Lengths {
  rule: string
}

/** A part that is repeated. */
interface Item {
  part: Part
  from: number
  to: number
}

/**
 * A rule for the inside of a JSON string that matches the expression; a missing anchor lets any text stand there.
 *
 * Alternatives, groups, classes, `\d \w \s`, counts and lazy counts; look-around, back references and word borders have no rule. Limits of length are held
 * where one run of characters takes up what the rest leaves, as in `^[a-z][a-z0-9]*$`.
 */
export function patternRule(pattern: string, syntax: TextSyntax = jsonText, lengths: Lengths = anyLength): string {
  const parser = new PatternParser(pattern, syntax, lengths)
  const { rule } = parser.alternatives(0, true)
  if (!parser.done) throw new UnsupportedPattern('unbalanced parentheses')
  return rule
}

class PatternParser {
  readonly #chars: string[]
  readonly #syntax: TextSyntax
  readonly #lengths: Lengths
  #at = 0

  constructor(pattern: string, syntax: TextSyntax, lengths: Lengths) {
    this.#chars = Array.from(pattern)
    this.#syntax = syntax
    this.#lengths = lengths
  }

  get done(): boolean {
    return this.#at >= this.#chars.length
  }

  alternatives(depth: number, outermost: boolean): Part {
    if (depth > maxDepth) throw new UnsupportedPattern('it is nested too deep')
    const parts = [this.#sequence(depth, outermost)]
    while (this.#take('|')) parts.push(this.#sequence(depth, outermost))
    return {
      rule: parts.map(({ rule }) => rule).join(' | '),
      least: Math.min(...parts.map(({ least }) => least)),
      most: Math.max(...parts.map(({ most }) => most)),
    }
  }

  #sequence(depth: number, outermost: boolean): Part {
    const items: Item[] = []
    const anything: Item = { part: letter(this.#syntax.any), from: 0, to: Number.POSITIVE_INFINITY }
    const anchoredStart = outermost && this.#take('^')
    if (outermost && !anchoredStart) items.push(anything)
    let anchoredEnd = false
    while (!this.done && this.#peek() !== '|' && this.#peek() !== ')') {
      if (anchoredEnd) throw new UnsupportedPattern('"$" stands inside it')
      if (outermost && this.#take('$')) anchoredEnd = true
      else items.push(this.#quantified(this.#atom(depth)))
    }
    if (outermost && !anchoredEnd) items.push(anything)
    return joined(outermost ? within(items, this.#lengths) : items)
  }

  #quantified(part: Part): Item {
    const char = this.#peek()
    let counts = { from: 1, to: 1 }
    if (char === '*' || char === '+' || char === '?') {
      this.#at++
      counts = { from: char === '+' ? 1 : 0, to: char === '?' ? 1 : Number.POSITIVE_INFINITY }
    } else if (char === '{') counts = this.#count()
    else return { part, ...counts }
    // Lazy or greedy makes no difference to what matches.
    this.#take('?')
    return { part, ...counts }
  }

  #count(): { from: number; to: number } {
    const found = /^\{(\d*)(,?)(\d*)\}/.exec(this.#chars.slice(this.#at, this.#at + 16).join(''))
    if (found === null || found[1] === '') throw new UnsupportedPattern('a count in it is malformed')
    this.#at += found[0].length
    const [, from = '', comma = '', to = ''] = found
    if (Number(from) > maxRepeats || Number(to) > maxRepeats) throw new UnsupportedPattern(`it repeats more than ${maxRepeats} times`)
    return { from: Number(from), to: comma === '' ? Number(from) : to === '' ? Number.POSITIVE_INFINITY : Number(to) }
  }

  #atom(depth: number): Part {
    const char = this.#next()
    if (char === '.') return letter(this.#syntax.dot)
    if (char === '[') return letter(this.#class())
    if (char === '\\') return letter(this.#escape())
    if (char === '(') return this.#group(depth)
    if (char === '^' || char === '$') throw new UnsupportedPattern(`"${char}" stands inside it`)
    if (char === '*' || char === '+' || char === '?' || char === '{') throw new UnsupportedPattern(`"${char}" has nothing to repeat`)
    return letter(this.#text(char))
  }

  #group(depth: number): Part {
    if (this.#take('?')) {
      const kind = this.#next()
      if (kind === '<' && this.#peek() !== '=' && this.#peek() !== '!') while (this.#next() !== '>');
      else if (kind !== ':') throw new UnsupportedPattern('it looks around')
    }
    const part = this.alternatives(depth + 1, false)
    if (!this.#take(')')) throw new UnsupportedPattern('unbalanced parentheses')
    return { ...part, rule: `(${part.rule})` }
  }

  #escape(): string {
    const char = this.#next()
    const known = classes[char]
    if (known !== undefined) return `[${known}]`
    const negated = negatedClasses[char]
    if (negated !== undefined) return `[^${negated}${this.#syntax.outside}]`
    return this.#text(this.#escaped(char))
  }

  /** The character that an escape stands for. */
  #escaped(char: string): string {
    const control = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v' }[char]
    if (control !== undefined) return control
    if (char === 'x' || char === 'u') {
      const code = this.#chars.slice(this.#at, this.#at + (char === 'x' ? 2 : 4)).join('')
      if (!/^[0-9a-fA-F]+$/.test(code)) throw new UnsupportedPattern('an escape in it is malformed')
      this.#at += code.length
      return String.fromCharCode(Number.parseInt(code, 16))
    }
    if (/[A-Za-z0-9]/.test(char)) throw new UnsupportedPattern(`"\\${char}" has no rule`)
    return char
  }

  #class(): string {
    const negated = this.#take('^')
    let body = ''
    while (!this.#take(']')) {
      const char = this.#next()
      if (char === '\\') {
        const kind = this.#next()
        const known = classes[kind]
        if (negatedClasses[kind] !== undefined) throw new UnsupportedPattern(`"\\${kind}" stands in a class`)
        body += known ?? this.#classChar(this.#escaped(kind), negated)
      } else if (char === '-' && body !== '' && this.#peek() !== ']') body += '-'
      else body += this.#classChar(char, negated)
    }
    if (body === '') {
      if (negated) return this.#syntax.any
      throw new UnsupportedPattern('a class in it is empty')
    }
    return negated ? `[^${body}${this.#syntax.outside}]` : `[${body}]`
  }

  #classChar(char: string, negated: boolean): string {
    if (!this.#syntax.isPlain(char)) {
      // It never stands for itself, and leaving it out is what a negated class means anyway.
      if (negated) return ''
      throw new UnsupportedPattern('a class in it holds a character that JSON escapes')
    }
    const code = char.codePointAt(0) as number
    return code < 0x20 || code === 0x7f || /[\]\\"^-]/.test(char) ? `\\x${code.toString(16).padStart(2, '0')}` : char
  }

  #text(char: string): string {
    return literal(this.#syntax.write(char))
  }

  #peek(): string | undefined {
    return this.#chars[this.#at]
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new UnsupportedPattern('it ends too early')
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }
}

function letter(rule: string): Part {
  return { rule, least: 1, most: 1 }
}

/** The items with the one run of characters among them cut to the lengths, where that is needed and can be done. */
function within(items: Item[], { least, most }: Lengths): Item[] {
  const whole = joined(items)
  if (whole.least >= least && whole.most <= most) return items
  const [run, ...others] = items.filter(({ from, to, part }) => from !== to || part.least !== part.most)
  if (run === undefined || others.length > 0 || run.part.least !== 1 || run.part.most !== 1) throw new UnsupportedLength()
  const fixed = whole.least - run.from
  const cut = { ...run, from: Math.max(run.from, least - fixed), to: Math.min(run.to, most - fixed) }
  if (cut.from > cut.to || cut.from > maxRepeats || (cut.to > maxRepeats && cut.to !== Number.POSITIVE_INFINITY)) throw new UnsupportedLength()
  return items.map((item) => (item === run ? cut : item))
}

function joined(items: readonly Item[]): Part {
  if (items.length === 0) return { rule: '""', least: 0, most: 0 }
  const sum = (lengths: number[]) => lengths.reduce((total, length) => total + length, 0)
  return {
    rule: items.map(repetition).join(' '),
    least: sum(items.map(({ part, from }) => part.least * from)),
    most: sum(items.map(({ part, to }) => (part.most === 0 || to === 0 ? 0 : part.most * to))),
  }
}

function repetition({ part: { rule }, from, to }: Item): string {
  const count = to === Number.POSITIVE_INFINITY ? Math.max(1, from) : to
  if (rule.startsWith('(') && rulesIn(rule) * count > maxRepeats) throw new UnsupportedPattern('a group in it is repeated too often')
  return rule + suffix(from, to)
}

/** Rules that the engine makes of a group, at most: one for each group, name and repetition. */
function rulesIn(group: string): number {
  let count = 1
  for (const [token, from, to] of group.matchAll(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{(\d+),?(\d*)\}|[(*+?]|[a-z][a-z0-9-]*/g)) {
    if (token.startsWith('{')) count += Number(to || from) + 1
    else if (!/^["[]/.test(token)) count++
  }
  return count
}

function suffix(from: number, to: number): string {
  if (from === 1 && to === 1) return ''
  if (to !== Number.POSITIVE_INFINITY) return from === 0 && to === 1 ? '?' : `{${from},${to}}`
  return from === 0 ? '*' : from === 1 ? '+' : `{${from},}`
}
