import type { Budget } from './budget.ts'
import { goJson } from './json.ts'
import { type Flags, formatScalar, noFlags, pad } from './scalar.ts'
import { GoBytes, GoList, GoMap, GoStruct, typeName, type Value } from './values.ts'

/** Go's `fmt.Sprint`: a blank between operands neither of which is a string. */
export function sprint(values: Value[], budget: Budget): string {
  const printer = new Printer(budget)
  for (const [i, value] of values.entries()) {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') printer.write(' ')
    printer.value(value, 'v', noFlags)
  }
  return printer.text
}

/** Go's `fmt.Sprintln`. */
export function sprintln(values: Value[], budget: Budget): string {
  const printer = new Printer(budget)
  for (const [i, value] of values.entries()) {
    if (i > 0) printer.write(' ')
    printer.value(value, 'v', noFlags)
  }
  printer.write('\n')
  return printer.text
}

/** Writes values as Go's `fmt` does, counting every character. */
export class Printer {
  text = ''
  readonly #budget: Budget

  constructor(budget: Budget) {
    this.#budget = budget
  }

  write(piece: string): void {
    this.#budget.write(piece.length)
    this.text += piece
  }

  /** A verb that does not fit the value's type becomes text, as in Go: `%!d(string=x)`. */
  value(value: Value, verb: string, flags: Readonly<Flags>): void {
    this.#budget.step()
    if (typeof value !== 'object' || value === null) this.#scalar(value, verb, flags)
    else if (verb === 'T') this.write(pad(typeName(value), flags))
    else if (!(value instanceof GoBytes) && value.printsAsJson && 'vsqxX'.includes(verb)) this.#scalar(this.#json(value), verb, flags)
    else this.#composite(value, verb, flags)
  }

  #scalar(value: string | number | bigint | boolean | null, verb: string, flags: Readonly<Flags>): void {
    const text = formatScalar(value, verb, flags)
    if (text !== null) this.write(text)
    else this.write(`%!${verb}(${value === null ? '<nil>' : `${typeName(value)}=${formatScalar(value, 'v', flags)}`})`)
  }

  #json(value: GoList | GoMap | GoStruct): string {
    return value instanceof GoMap && value.isNil ? '{}' : goJson(value, this.#budget)
  }

  #composite(value: GoList | GoMap | GoStruct | GoBytes, verb: string, flags: Readonly<Flags>): void {
    this.#budget.enter()
    if (value instanceof GoList) {
      this.#sequence('[', value.items, ']', (item) => this.#element(item, verb, flags))
    } else if (value instanceof GoMap) {
      this.#sequence('map[', value.sorted(), ']', ([key, item]) => {
        this.value(key, verb, flags)
        this.write(':')
        this.#element(item, verb, flags)
      })
    } else if (value instanceof GoStruct) {
      this.#sequence('{', [...value.fields], '}', ([name, item]) => {
        if (verb === 'v' && flags.plus) this.write(`${name}:`)
        this.#element(item, verb, flags)
      })
    } else if (verb === 'v' || verb === 'd') {
      this.#sequence('[', [...value.bytes], ']', (byte) => this.value(BigInt(byte), 'd', flags))
    } else {
      this.#scalar(Buffer.from(value.bytes).toString('latin1'), verb, flags)
    }
    this.#budget.leave()
  }

  #element(value: Value, verb: string, flags: Readonly<Flags>): void {
    if (value === null) this.write(pad('<nil>', flags))
    else this.value(value, verb, flags)
  }

  #sequence<T>(open: string, items: readonly T[], close: string, write: (item: T) => void): void {
    this.write(open)
    for (const [i, item] of items.entries()) {
      if (i > 0) this.write(' ')
      write(item)
    }
    this.write(close)
  }
}
