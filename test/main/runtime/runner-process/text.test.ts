import { describe, expect, test } from 'vitest'
import { TextStream, type Vocabulary } from '../../../../main/runtime/runner-process/text.ts'

const special = ['<|user|>', '<|end|>']

/** A vocabulary whose token n stands for these bytes; those of `special` are control tokens. */
function vocabulary(tokens: readonly (string | number[])[]): Vocabulary {
  return {
    piece(token, shown) {
      const entry = tokens[token] as string | number[]
      const bytes = typeof entry === 'string' ? Buffer.from(entry) : Uint8Array.from(entry)
      if (typeof entry === 'string' && special.includes(entry) && !shown) return { bytes: new Uint8Array(0), text: '' }
      return { bytes, text: typeof entry === 'string' ? entry : null }
    },
  }
}

function write(tokens: readonly (string | number[])[], { stop = [] as string[], showSpecial = false } = {}) {
  const stream = new TextStream(vocabulary(tokens), { stop, showSpecial })
  const pieces = tokens.map((_, token) => stream.push(token))
  return { pieces, rest: stream.end(), stopString: stream.stopString }
}

const fox = [...Buffer.from('🦊')]

describe('TextStream', () => {
  test('gives whole characters only', () => {
    expect(write(['a', fox.slice(0, 1), fox.slice(1, 3), fox.slice(3), 'b'])).toEqual({ pieces: ['a', '', '', '🦊', 'b'], rest: '', stopString: null })
  })

  test('gives text at once after a character that came in pieces', () => {
    expect(write([fox.slice(0, 2), fox.slice(2), 'b', 'c']).pieces).toEqual(['', '🦊', 'b', 'c'])
  })

  test('replaces a character that is never finished', () => {
    expect(write(['a', fox.slice(0, 2)])).toMatchObject({ pieces: ['a', ''], rest: '\uFFFD' })
  })

  test('replaces a character that another interrupts', () => {
    expect(write([fox.slice(0, 2), 'b']).pieces).toEqual(['', '\uFFFDb'])
  })

  test('keeps a byte order mark', () => {
    expect(write([[0xef, 0xbb, 0xbf], 'a']).pieces.join('')).toBe('\uFEFFa')
  })

  test('holds back what could begin a stop string, and gives it when it does not', () => {
    expect(write(['on', 'e S', 'TO', 'XY'], { stop: ['STOP'] })).toEqual({ pieces: ['on', 'e ', '', 'STOXY'], rest: '', stopString: null })
  })

  test('ends before a stop string that spans tokens', () => {
    expect(write(['one S', 'TO', 'P two', 'three'], { stop: ['STOP'] })).toEqual({ pieces: ['one ', '', '', ''], rest: '', stopString: 'STOP' })
  })

  test('ends before the stop string that comes first', () => {
    expect(write(['a b c'], { stop: ['c', 'b'] })).toEqual({ pieces: ['a '], rest: '', stopString: 'b' })
  })

  test('gives what is held when the reply ends', () => {
    expect(write(['one ST'], { stop: ['STOP'] })).toEqual({ pieces: ['one '], rest: 'ST', stopString: null })
  })

  test('finds a stop string of several bytes a character', () => {
    expect(write(['x', fox.slice(0, 2), fox.slice(2), 'y'], { stop: ['🦊y'] })).toEqual({ pieces: ['x', '', '', ''], rest: '', stopString: '🦊y' })
  })

  test('ignores empty stop strings', () => {
    expect(write(['a'], { stop: [''] })).toEqual({ pieces: ['a'], rest: '', stopString: null })
  })

  test('shows special tokens when asked to', () => {
    expect([write(['a', '<|user|>', 'b']).pieces.join(''), write(['a', '<|user|>', 'b'], { showSpecial: true }).pieces.join('')]).toEqual(['ab', 'a<|user|>b'])
  })

  test('stops at a special token that is not shown', () => {
    expect(write(['a <', '<|user|>', 'b'], { stop: ['<|user|>'] })).toEqual({ pieces: ['a ', '<', ''], rest: '', stopString: '<|user|>' })
  })
})
