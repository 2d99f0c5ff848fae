import type { Budget } from './budget.ts'
import { Printer } from './print.ts'
import { type Flags, noFlags } from './scalar.ts'
import { typeName, type Value } from './values.ts'

/** Go's limit on a width or precision; past it the directive is an error. */
const maxNumber = 1_000_000

/** Go's `fmt.Sprintf`; like there, a directive that does not fit becomes text such as `%!d(string=x)`, never an error. */
export function sprintf(format: string, values: Value[], budget: Budget): string {
  const formatter = new Formatter(format, values, budget)
  formatter.run()
  return formatter.printer.text
}

class Formatter {
  readonly printer: Printer
  readonly #format: string
  readonly #values: Value[]
  readonly #budget: Budget
  #at = 0
  #next = 0
  /** `%[n]` was used, so values left over are no mistake. */
  #reordered = false
  #indexIsBad = false

  constructor(format: string, values: Value[], budget: Budget) {
    this.printer = new Printer(budget)
    this.#format = format
    this.#values = values
    this.#budget = budget
  }

  run(): void {
    for (;;) {
      this.#budget.step()
      const percent = this.#format.indexOf('%', this.#at)
      this.printer.write(this.#format.slice(this.#at, percent < 0 ? undefined : percent))
      if (percent < 0) break
      this.#at = percent + 1
      this.#directive()
    }
    if (!this.#reordered && this.#next < this.#values.length) this.#extra()
  }

  #directive(): void {
    this.#indexIsBad = false
    const flags: Flags = { ...noFlags }
    this.#flags(flags)
    this.#index()
    this.#width(flags)
    this.#precision(flags)
    this.#index()
    const code = this.#format.codePointAt(this.#at)
    const verb = code === undefined ? '' : String.fromCodePoint(code)
    this.#at += verb.length
    if (verb === '') this.printer.write('%!(NOVERB)')
    else if (verb === '%') this.printer.write('%')
    else if (this.#indexIsBad) this.printer.write(`%!${verb}(BADINDEX)`)
    else if (this.#next >= this.#values.length) this.printer.write(`%!${verb}(MISSING)`)
    else this.printer.value(this.#values[this.#next++] as Value, verb, flags)
  }

  #flags(flags: Flags): void {
    const names: Record<string, 'minus' | 'plus' | 'sharp' | 'space' | 'zero'> = { '-': 'minus', '+': 'plus', '#': 'sharp', ' ': 'space', '0': 'zero' }
    for (let name = names[this.#format[this.#at] ?? '']; name !== undefined; name = names[this.#format[++this.#at] ?? '']) flags[name] = true
  }

  #width(flags: Flags): void {
    if (this.#format[this.#at] !== '*') {
      flags.width = this.#number()
      return
    }
    const width = this.#star()
    if (width === null) this.printer.write('%!(BADWIDTH)')
    else {
      flags.width = Math.abs(width)
      if (width < 0) flags.minus = true
    }
  }

  #precision(flags: Flags): void {
    if (this.#format[this.#at] !== '.') return
    this.#at++
    this.#index()
    if (this.#format[this.#at] !== '*') {
      flags.precision = this.#number() ?? 0
      return
    }
    const precision = this.#star()
    if (precision === null) this.printer.write('%!(BADPREC)')
    else if (precision >= 0) flags.precision = precision
  }

  /** The value that `*` stands for. */
  #star(): number | null {
    this.#at++
    const value = this.#values[this.#next++]
    if (typeof value !== 'bigint' || value > maxNumber || value < -maxNumber) return null
    return Number(value)
  }

  #number(): number | null {
    const digits = /^\d+/.exec(this.#format.slice(this.#at, this.#at + 12))?.[0]
    if (digits === undefined) return null
    this.#at += digits.length
    return Number(digits) > maxNumber ? null : Number(digits)
  }

  #index(): void {
    if (this.#format[this.#at] !== '[') return
    this.#reordered = true
    const close = this.#format.indexOf(']', this.#at)
    if (close < 0) {
      this.#indexIsBad = true
      this.#at++
      return
    }
    const index = Number(/^\d{1,7}$/.exec(this.#format.slice(this.#at + 1, close))?.[0] ?? 0)
    this.#at = close + 1
    if (index < 1 || index > this.#values.length) this.#indexIsBad = true
    else this.#next = index - 1
  }

  #extra(): void {
    this.printer.write('%!(EXTRA ')
    for (const [i, value] of this.#values.slice(this.#next).entries()) {
      if (i > 0) this.printer.write(', ')
      if (value === null) this.printer.write('<nil>')
      else {
        this.printer.write(`${typeName(value)}=`)
        this.printer.value(value, 'v', noFlags)
      }
    }
    this.printer.write(')')
  }
}
