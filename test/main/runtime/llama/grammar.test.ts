import { describe, expect, test } from 'vitest'
import { GrammarState, maxGrammarBytes } from '../../../../main/runtime/llama/grammar.ts'
import { loadedModel } from '../runner-process/running-engine.ts'

const nested = (depth: number) => `root ::= ${'('.repeat(depth)}"a"${')'.repeat(depth)}`

describe('GrammarState', () => {
  test('accepts what fits and refuses what does not', async () => {
    const model = await loadedModel()
    const state = new GrammarState(model, 'root ::= "yes"')
    const token = (text: string) => model.tokenize(text, { addSpecial: false, parseSpecial: false })[0] as number
    expect([state.accepts(token('y')), state.accepts(token('n'))]).toEqual([true, false])
    expect([state.acceptText('ye'), state.accepts(token('s')), state.accepts(token('y'))]).toEqual([true, true, false])
    state.free()
    state.free()
  })

  test('says no to a text that it refuses somewhere', async () => {
    const state = new GrammarState(await loadedModel(), 'root ::= "yes"')
    expect(state.acceptText('yeti')).toBe(false)
    state.free()
  })

  test('allows the end only where the grammar can end', async () => {
    const model = await loadedModel()
    const state = new GrammarState(model, 'root ::= "yes" "!"?')
    const end = model.tokenize('<|im_end|>', { addSpecial: false, parseSpecial: true })[0] as number
    const before = state.accepts(end)
    state.acceptText('yes')
    expect([before, state.accepts(end)]).toEqual([false, true])
    state.free()
  })

  test.each([
    ['is too large', `root ::= "${'a'.repeat(maxGrammarBytes)}"`, 'larger than 256 kB'],
    ['is nested too deep', nested(201), 'nested deeper than 200 levels'],
    ['repeats backwards', 'root ::= "a"{5,2}', 'the repetition {5,2} ends before it begins'],
    ['has a NUL', 'root ::= "\0"', 'NUL'],
    ['does not parse', 'root := "a"', 'does not parse'],
  ])('refuses a grammar that %s', async (_, gbnf, message) => {
    const model = await loadedModel()
    expect(() => new GrammarState(model, gbnf)).toThrow(message)
  })

  test.each([
    ['200 levels', nested(200)],
    ['parentheses in strings, classes and comments', `# ${'('.repeat(300)}\nroot ::= "${'('.repeat(300)}" [${'('.repeat(300)}] "\\"("`],
  ])('takes %s', async (_, gbnf) => {
    new GrammarState(await loadedModel(), gbnf).free()
  })
})
