/** A flag of a command, as its help shows it. */
export interface Flag {
  name: string
  short?: string
  /** What it takes: nothing, a text or a whole number. */
  type: 'boolean' | 'text' | 'number'
  /** The value of a flag that is given without one (`--think`); it can then only be set as `--think=low`. */
  bare?: string
  /** Left out of the help: one part of the program tells another. */
  hidden?: true
  about: string
}

/** What was on the command line of one command. */
export interface Arguments {
  /** What is no flag, in order. */
  words: string[]
  flags: Flags
}

/** The flags that were given, by name. */
export class Flags {
  readonly #values: ReadonlyMap<string, string | boolean | number>

  constructor(values: ReadonlyMap<string, string | boolean | number>) {
    this.#values = values
  }

  text(name: string): string | null {
    const value = this.#values.get(name)
    return typeof value === 'string' ? value : null
  }

  number(name: string): number | null {
    const value = this.#values.get(name)
    return typeof value === 'number' ? value : null
  }

  /** True or false as given, null when it was not. */
  boolean(name: string): boolean | null {
    const value = this.#values.get(name)
    return typeof value === 'boolean' ? value : null
  }

  isOn(name: string): boolean {
    return this.boolean(name) === true
  }
}

/** The command line makes no sense; the message says what, the caller adds where help is. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads flags in any place among the words; `--` ends them. Throws a UsageError. */
export function parseArguments(argv: readonly string[], flags: readonly Flag[]): Arguments {
  const words: string[] = []
  const values = new Map<string, string | boolean | number>()
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    if (word === '--') {
      words.push(...argv.slice(i + 1))
      break
    }
    // A lone dash is a word: it stands for standard input.
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      continue
    }
    const [flag, attached] = word.startsWith('--') ? findLong(word, flags) : findShort(word, flags)
    let text = attached ?? (flag.type === 'boolean' ? 'true' : flag.bare)
    if (text === undefined) {
      text = argv[++i]
      if (text === undefined) throw new UsageError(`flag needs an argument: ${word}`)
    }
    values.set(flag.name, convert(flag, text))
  }
  return { words, flags: new Flags(values) }
}

function findLong(word: string, flags: readonly Flag[]): [Flag, string | undefined] {
  const equals = word.indexOf('=')
  const name = word.slice(2, equals < 0 ? undefined : equals)
  const flag = flags.find((known) => known.name === name)
  if (!flag) throw new UsageError(`unknown flag: --${name}`)
  return [flag, equals < 0 ? undefined : word.slice(equals + 1)]
}

/** `-f FILE`, `-fFILE` and `-f=FILE`. */
function findShort(word: string, flags: readonly Flag[]): [Flag, string | undefined] {
  const flag = flags.find((known) => known.short === word[1])
  if (!flag) throw new UsageError(`unknown shorthand flag: '${word[1]}' in ${word}`)
  const rest = word.slice(2)
  return [flag, rest === '' ? undefined : rest.replace(/^=/, '')]
}

function convert(flag: Flag, text: string): string | boolean | number {
  const invalid = () => new UsageError(`invalid argument ${JSON.stringify(text)} for "--${flag.name}" flag`)
  switch (flag.type) {
    case 'boolean':
      if (/^(1|t|true)$/i.test(text)) return true
      if (/^(0|f|false)$/i.test(text)) return false
      throw invalid()
    case 'number':
      if (!/^[+-]?\d+$/.test(text)) throw invalid()
      return Number(text)
    case 'text':
      return text
    default:
      return flag.type satisfies never
  }
}
