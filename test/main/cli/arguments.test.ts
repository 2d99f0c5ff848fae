import { describe, expect, test } from 'vitest'
import { type Flag, parseArguments } from '../../../main/cli/arguments.ts'

const flags: Flag[] = [
  { name: 'file', short: 'f', type: 'text', about: '' },
  { name: 'verbose', type: 'boolean', about: '' },
  { name: 'dimensions', type: 'number', about: '' },
  { name: 'think', type: 'text', bare: 'true', about: '' },
]

function parsed(...argv: string[]) {
  const args = parseArguments(argv, flags)
  return { words: args.words, file: args.flags.text('file'), verbose: args.flags.boolean('verbose'), think: args.flags.text('think') }
}

describe('parseArguments()', () => {
  test('takes flags before, between and after the words', () => {
    expect(parsed('--verbose', 'a', '--file', 'x', 'b')).toEqual({ words: ['a', 'b'], file: 'x', verbose: true, think: null })
  })

  test.each([[['--file=x']], [['--file', 'x']], [['-f', 'x']], [['-fx']], [['-f=x']]])('reads %j as the file x', (argv) => {
    expect(parsed(...argv).file).toBe('x')
  })

  test('keeps what follows -- as words', () => {
    expect(parsed('a', '--', '--verbose', '-1')).toMatchObject({ words: ['a', '--verbose', '-1'], verbose: null })
  })

  test('takes a lone dash as a word', () => {
    expect(parsed('-f', '-', '-')).toMatchObject({ words: ['-'], file: '-' })
  })

  test('switches a flag off that is given as false', () => {
    expect(parsed('--verbose=false').verbose).toBe(false)
  })

  test('takes no word for the value of a flag that can stand alone', () => {
    expect(parsed('--think', 'model')).toMatchObject({ words: ['model'], think: 'true' })
    expect(parsed('--think=low', 'model')).toMatchObject({ words: ['model'], think: 'low' })
  })

  test.each([
    [['--nope'], 'unknown flag: --nope'],
    [['-z'], "unknown shorthand flag: 'z' in -z"],
    [['--file'], 'flag needs an argument: --file'],
    [['--verbose=maybe'], 'invalid argument "maybe" for "--verbose" flag'],
    [['--dimensions', '1.5'], 'invalid argument "1.5" for "--dimensions" flag'],
  ])('refuses %j', (argv, message) => {
    expect(() => parseArguments(argv, flags)).toThrow(expect.objectContaining({ name: 'UsageError', message }))
  })
})
