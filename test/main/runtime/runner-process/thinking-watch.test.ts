import { describe, expect, test } from 'vitest'
import type { Grammar, ThinkingLimit } from '../../../../main/runtime/protocol.ts'
import { ThinkingWatch, type Tokenizer } from '../../../../main/runtime/runner-process/thinking-watch.ts'
import { chat, greedy } from '../../../helpers/runner-requests.ts'
import { RunningEngine } from './running-engine.ts'

const question = 'What is the weather in Paris?'
const limitOf = (tokens: number, more: Partial<ThinkingLimit> = {}): ThinkingLimit => ({
  tokens,
  open: '<think>',
  end: '</think>',
  opened: false,
  anywhere: false,
  closings: ['\nEnough.\n</think>'],
  ...more,
})
const json: Grammar = {
  gbnf: 'root ::= "{\\"city\\":\\"" [A-Za-z]{1,8} "\\"}"',
  begin: { kind: 'after-thinking', open: '<think>', close: '</think>', opened: false },
}
/** Two replies to one prompt are alike to the last token when both read it anew: one that is cached may round otherwise. */
const shown = { showSpecial: true, maxTokens: 120, cachePrompt: false }

describe('a limit on thinking', () => {
  test('closes the block when its tokens are used, and the reply goes on', async () => {
    using engine = await RunningEngine.start()
    const free = (await engine.write(chat(question, true), shown)).text
    const { text } = await engine.write(chat(question, true), { ...shown, thinkingLimit: limitOf(4) })
    const [, thinking = '', answer = ''] = /^<think>([\s\S]*)\nEnough\.\n<\/think>([\s\S]*)$/.exec(text) ?? []
    const thought = engine.context.model.tokenize(thinking, { addSpecial: false, parseSpecial: true })
    expect([free.startsWith(`<think>${thinking}`), thought.length, answer.trim() !== '']).toEqual([true, 4, true])
  })

  test('changes nothing where the model thinks less', async () => {
    using engine = await RunningEngine.start()
    const free = (await engine.write(chat(question, true), shown)).text
    expect((await engine.write(chat(question, true), { ...shown, thinkingLimit: limitOf(100) })).text).toBe(free)
  })

  test('of nothing closes the block as soon as it opens', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat(question, true), { ...shown, thinkingLimit: limitOf(0, { closings: ['\n</think>'] }) })
    expect(text).toMatch(/^<think>\n<\/think>[\s\S]*\w/)
  })

  test('of nothing closes a block that the prompt has opened before the model writes', async () => {
    using engine = await RunningEngine.start()
    const prompt = `${chat(question, true)}<think>\n`
    const { text } = await engine.write(prompt, { ...shown, thinkingLimit: limitOf(0, { opened: true, closings: ['\n</think>'] }) })
    expect(text).toMatch(/^\n<\/think>[\s\S]*\w/)
  })

  test('leaves a reply that does not think as it is', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat('What is the capital of France?'), { ...shown, thinkingLimit: limitOf(0) })
    expect(text).toBe('The capital of France is Paris.')
  })

  test('lets a grammar begin behind the block that it closed', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat(question, true), { ...shown, grammar: json, thinkingLimit: limitOf(3) })
    expect(text).toMatch(/^<think>[\s\S]*Enough\.\n<\/think>\s*\{"city":"[A-Za-z]{1,8}"\}$/)
  })

  test('does not cut a call that a grammar holds inside the block', async () => {
    using engine = await RunningEngine.start()
    const grammar: Grammar = { gbnf: 'root ::= "The" " one and only."', begin: { kind: 'on-trigger', patterns: ['(The)'] } }
    const sampling = {
      ...greedy,
      logitBias: [[engine.context.model.tokenize('The', { addSpecial: false, parseSpecial: false })[0] as number, 5]] as [number, number][],
    }
    const { text } = await engine.write(`${chat('What is the capital of France?')}<think>`, {
      ...shown,
      sampling,
      grammar,
      thinkingLimit: limitOf(2, { opened: true }),
    })
    expect(text.trim()).toBe('The one and only.')
  })

  test('counts what it closes with among the tokens of the reply', async () => {
    using engine = await RunningEngine.start()
    const { events, done } = await engine.write(chat(question, true), { ...shown, thinkingLimit: limitOf(4) })
    const counted = events.reduce((sum, event) => sum + (event.type === 'text' ? event.tokens : 0), 0)
    expect(done.stats.completionTokens - counted).toBeLessThanOrEqual(1)
  })
})

describe('ThinkingWatch', () => {
  /** One token a character. */
  const letters: Tokenizer = {
    piece: (token) => ({ bytes: Buffer.from(String.fromCodePoint(token)), text: String.fromCodePoint(token) }),
    tokenize: (text) => Array.from(text, (char) => char.codePointAt(0) as number),
  }
  /** What is written when the model goes on with `texts`, one after each closed block. */
  function written(limit: ThinkingLimit, texts: string[]): string {
    const watch = new ThinkingWatch(letters, limit)
    const waiting = texts.map((text) => letters.tokenize(text, { addSpecial: false, parseSpecial: true }))
    let all = ''
    let forcing = false
    for (;;) {
      const forced = watch.next()
      if (forcing && forced === null) waiting.shift()
      forcing = forced !== null
      const token = forced ?? waiting[0]?.shift()
      if (token === undefined) return all
      watch.see(token)
      all += String.fromCodePoint(token)
    }
  }
  const harmony = (tokens: number) => limitOf(tokens, { open: '[a]', end: '[e]', anywhere: true, closings: ['[e][s]', '[e][f]'] })

  test('bounds all blocks of a reply together where they may stand anywhere', () => {
    // What ends a block counts as well.
    expect(written(harmony(8), ['[a]12[e][c]to you[e][a]34567', 'done'])).toBe('[a]12[e][c]to you[e][a]345[e][s]done')
  })

  test('closes a later block by the last of its closings', () => {
    expect(written(harmony(3), ['[a]1234', '[a]5', 'end'])).toBe('[a]123[e][s][a][e][f]end')
  })

  test('a block counts at the beginning only, where the family has it so', () => {
    expect(written(limitOf(1), ['word <think>a long thought</think>'])).toBe('word <think>a long thought</think>')
  })
})
