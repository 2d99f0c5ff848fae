import { random } from './random-weights.ts'

/** What a rule may be: texts of the grammar's language are drawn from it. */
type Node =
  | { type: 'text'; text: string }
  | { type: 'class'; ranges: [from: number, to: number][]; negated: boolean }
  | { type: 'rule'; name: string }
  | { type: 'sequence'; items: Node[] }
  | { type: 'choice'; options: Node[] }
  | { type: 'repeat'; item: Node; least: number; most: number }

/** Letters that negated classes are drawn from: those that markup, JSON and Python care about, and others. */
const letters = [...'ab1 <>/"\'\\[]{}()=,:|\n\té日｜▁🦙']

/** Draws texts of a grammar's language at random, the same for the same seed; deep in recursion the shortest ways are taken. */
export class GrammarSampler {
  readonly #rules = new Map<string, Node>()
  readonly #heights = new Map<string, number>()

  constructor(gbnf: string) {
    for (const line of gbnf.split('\n')) {
      const [, name, body] = /^([a-z][a-z0-9-]*) ::= ?(.*)$/.exec(line) ?? []
      if (name !== undefined && body !== undefined) this.#rules.set(name, new RuleReader(body).choice())
    }
    this.#measure()
  }

  draw(seed: number): string {
    const next = random(seed)
    let steps = 0
    const write = (node: Node, depth: number): string => {
      const isLong = ++steps > 400 || depth > 60
      switch (node.type) {
        case 'text':
          return node.text
        case 'class':
          return letterOf(node, next)
        case 'rule':
          return write(this.#rule(node.name), depth + 1)
        case 'sequence':
          return node.items.map((item) => write(item, depth + 1)).join('')
        case 'choice': {
          const shortest = Math.min(...node.options.map((option) => this.#height(option)))
          const options = isLong ? node.options.filter((option) => this.#height(option) === shortest) : node.options
          return write(options[Math.floor(next() * options.length)] as Node, depth + 1)
        }
        case 'repeat': {
          const most = isLong ? node.least : Math.min(node.most, node.least + 3)
          const count = node.least + Math.floor(next() * (most - node.least + 1))
          return Array.from({ length: count }, () => write(node.item, depth + 1)).join('')
        }
        default:
          return node satisfies never
      }
    }
    return write(this.#rule('root'), 0)
  }

  #rule(name: string): Node {
    const rule = this.#rules.get(name)
    if (rule === undefined) throw new Error(`the grammar has no rule ${name}`)
    return rule
  }

  /** How deep each rule is at least, from the leaves up. */
  #measure(): void {
    for (let changed = true; changed; ) {
      changed = false
      for (const [name, node] of this.#rules) {
        const height = this.#height(node)
        if (height < (this.#heights.get(name) ?? Number.POSITIVE_INFINITY)) {
          this.#heights.set(name, height)
          changed = true
        }
      }
    }
  }

  #height(node: Node): number {
    switch (node.type) {
      case 'rule':
        return 1 + (this.#heights.get(node.name) ?? Number.POSITIVE_INFINITY)
      case 'sequence':
        return Math.max(0, ...node.items.map((item) => this.#height(item)))
      case 'choice':
        return Math.min(...node.options.map((option) => this.#height(option)))
      case 'repeat':
        return node.least === 0 ? 0 : this.#height(node.item)
      default:
        return 0
    }
  }
}

function letterOf({ ranges, negated }: { ranges: [number, number][]; negated: boolean }, next: () => number): string {
  if (!negated) {
    const [from, to] = ranges[Math.floor(next() * ranges.length)] as [number, number]
    return String.fromCodePoint(from + Math.floor(next() * (to - from + 1)))
  }
  const free = letters.filter((letter) => !ranges.some(([from, to]) => (letter.codePointAt(0) as number) >= from && (letter.codePointAt(0) as number) <= to))
  return free[Math.floor(next() * free.length)] as string
}

class RuleReader {
  readonly #chars: string[]
  #at = 0

  constructor(body: string) {
    this.#chars = [...body]
  }

  choice(): Node {
    const options = [this.#sequence()]
    while (this.#peek() === '|') {
      this.#at++
      options.push(this.#sequence())
    }
    return options.length === 1 ? (options[0] as Node) : { type: 'choice', options }
  }

  #sequence(): Node {
    const items: Node[] = []
    for (;;) {
      while (this.#peek() === ' ') this.#at++
      const char = this.#peek()
      if (char === undefined || char === '|' || char === ')') return { type: 'sequence', items }
      items.push(this.#repeated(this.#item(char)))
    }
  }

  #item(char: string): Node {
    if (char === '(') {
      this.#at++
      const inner = this.choice()
      this.#at++
      return inner
    }
    if (char === '"') return this.#text()
    if (char === '[') return this.#class()
    const name = /^[a-z][a-z0-9-]*/.exec(this.#chars.slice(this.#at, this.#at + 200).join(''))?.[0]
    if (name === undefined) throw new Error(`no rule can begin with ${char}`)
    this.#at += name.length
    return { type: 'rule', name }
  }

  #repeated(item: Node): Node {
    const found = /^(?:[*+?]|\{(\d+)(,?)(\d*)\})/.exec(this.#chars.slice(this.#at, this.#at + 16).join(''))
    if (found === null) return item
    this.#at += found[0].length
    const [sign, least, comma, most] = found
    if (sign === '*') return { type: 'repeat', item, least: 0, most: Number.POSITIVE_INFINITY }
    if (sign === '+') return { type: 'repeat', item, least: 1, most: Number.POSITIVE_INFINITY }
    if (sign === '?') return { type: 'repeat', item, least: 0, most: 1 }
    return { type: 'repeat', item, least: Number(least), most: comma === '' ? Number(least) : most === '' ? Number.POSITIVE_INFINITY : Number(most) }
  }

  #text(): Node {
    this.#at++
    let text = ''
    while (this.#peek() !== '"') text += this.#letter()
    this.#at++
    return { type: 'text', text }
  }

  #class(): Node {
    this.#at++
    const negated = this.#peek() === '^'
    if (negated) this.#at++
    const ranges: [number, number][] = []
    while (this.#peek() !== ']') {
      const from = this.#letter().codePointAt(0) as number
      const isRange = this.#peek() === '-' && this.#chars[this.#at + 1] !== ']'
      if (isRange) this.#at++
      ranges.push([from, isRange ? (this.#letter().codePointAt(0) as number) : from])
    }
    this.#at++
    return { type: 'class', ranges, negated }
  }

  #letter(): string {
    const char = this.#chars[this.#at++]
    if (char !== '\\') return char as string
    const kind = this.#chars[this.#at++] as string
    const width = { x: 2, u: 4, U: 8 }[kind]
    if (width === undefined) return { n: '\n', r: '\r', t: '\t' }[kind] ?? kind
    const code = Number.parseInt(this.#chars.slice(this.#at, this.#at + width).join(''), 16)
    this.#at += width
    return String.fromCodePoint(code)
  }

  #peek(): string | undefined {
    return this.#chars[this.#at]
  }
}
