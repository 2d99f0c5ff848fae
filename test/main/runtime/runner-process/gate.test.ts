import { describe, expect, test } from 'vitest'
import type { Grammar } from '../../../../main/runtime/protocol.ts'
import { judge } from '../../../../main/runtime/runner-process/gate.ts'
import { chat, greedy } from '../../../helpers/runner-requests.ts'
import { RunningEngine } from './running-engine.ts'

const thinking: Grammar['begin'] = { kind: 'after-thinking', open: '<think>', close: '</think>', opened: false }
const inside: Grammar['begin'] = { ...thinking, opened: true }
const letters = 'root ::= [A-Z]+'
const json = 'root ::= "{\\"city\\":\\"" [A-Za-z]{1,8} "\\"}"'
const tool = 'What is the weather in Paris?'

describe('judge', () => {
  test.each<[string, Grammar['begin'], string, string, unknown]>([
    ['holds from the start', { kind: 'start' }, '', '', { state: 'held' }],
    ['waits while the tag is unfinished', thinking, '', ' <thi', { state: 'undecided' }],
    ['waits for what follows white space', thinking, '', '\n', { state: 'undecided' }],
    ['holds when the reply begins otherwise', thinking, '', '<tool', { state: 'held' }],
    ['is free inside the tags', thinking, '', '<think>I muse', { state: 'free' }],
    ['holds what follows the closing tag', thinking, '', '<think>I muse</think>\n\n{', { state: 'rest', rest: '{' }],
    ['is free from the start when the prompt opens the block', inside, '', 'I muse', { state: 'free' }],
    ['holds after the block that the prompt opens', inside, '', 'I muse</think>', { state: 'rest', rest: '' }],
    ['is free without a trigger', { kind: 'on-trigger', patterns: [] }, '<tool>', 'some text', { state: 'free' }],
    ['holds from the trigger itself without a group', { kind: 'on-trigger', patterns: [] }, '<tool>', 'some <tool>{', { state: 'rest', rest: '<tool>{' }],
    ['holds from the first group on', { kind: 'on-trigger', patterns: [] }, '<tool>(\\{)', 'some <tool>{', { state: 'rest', rest: '{' }],
  ])('%s', (_, begin, pattern, text, verdict) => {
    expect(judge(begin, pattern === '' ? [] : [new RegExp(pattern, 'd')], text)).toEqual(verdict)
  })
})

describe('a grammar', () => {
  test('that starts at once holds the whole reply', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat('What is the capital of France?'), { grammar: { gbnf: letters, begin: { kind: 'start' } }, maxTokens: 10 })
    expect(text).toMatch(/^[A-Z]+$/)
  })

  test('ends the reply where it ends', async () => {
    using engine = await RunningEngine.start()
    const { text, done } = await engine.write(chat('What is the sun?'), { grammar: { gbnf: 'root ::= "yes" | "no"', begin: { kind: 'start' } } })
    expect([['yes', 'no'].includes(text), done.reason]).toEqual([true, 'stop'])
  })

  test('that starts after thinking leaves the thinking free', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat(tool, true), { grammar: { gbnf: json, begin: thinking }, maxTokens: 120, showSpecial: true })
    expect(text).toMatch(/^<think>[\s\S]*[a-z][\s\S]*<\/think>\s*\{"city":"[A-Za-z]{1,8}"\}$/)
  })

  test('that starts after thinking holds a reply that does not think from its first token', async () => {
    using engine = await RunningEngine.start()
    const { text } = await engine.write(chat('What is the capital of France?'), { grammar: { gbnf: json, begin: thinking }, maxTokens: 60 })
    expect(text).toMatch(/^\{"city":"[A-Za-z]{1,8}"\}$/)
  })

  test('that starts after thinking takes back tokens that only looked like the tag', async () => {
    using engine = await RunningEngine.start()
    const { model } = engine.context
    // The first token is made to be '<', which the tag begins with, and the tag's own tokens are forbidden.
    const open = model.tokenize('<', { addSpecial: false, parseSpecial: false })[0] as number
    const think = model.tokenize('<think>', { addSpecial: false, parseSpecial: true })[0] as number
    const sampling = {
      ...greedy,
      logitBias: [
        [think, -100],
        [open, 12],
      ] as [number, number][],
    }
    const { text, done } = await engine.write(chat('What is the capital of France?'), { grammar: { gbnf: letters, begin: thinking }, sampling, maxTokens: 8 })
    expect(text).toMatch(/^[A-Z]+$/)
    expect(done.stats.completionTokens).toBe(8)
  })

  test('that starts inside an open block holds what follows it', async () => {
    using engine = await RunningEngine.start()
    const prompt = `${chat(tool, true)}<think>`
    const { text } = await engine.write(prompt, { grammar: { gbnf: json, begin: inside }, maxTokens: 120, showSpecial: true })
    expect(text).toMatch(/^[\s\S]*<\/think>\s*\{"city":"[A-Za-z]{1,8}"\}$/)
  })

  test('that waits for the thinking to end lets no reply end in it', async () => {
    using engine = await RunningEngine.start()
    const end = engine.context.model.tokenize('<|im_end|>', { addSpecial: false, parseSpecial: true })[0] as number
    // A model that would rather end than think on.
    const sampling = { ...greedy, logitBias: [[end, 50]] as [number, number][] }
    const { text } = await engine.write(`${chat(tool, true)}<think>`, { grammar: { gbnf: json, begin: inside }, sampling, maxTokens: 120, showSpecial: true })
    expect(text).toMatch(/^[\s\S]*<\/think>\s*\{"city":"[A-Za-z]{1,8}"\}$/)
  })

  test('that starts on a trigger holds from there on', async () => {
    using engine = await RunningEngine.start()
    const grammar: Grammar = { gbnf: 'root ::= "France" " " [0-9]+ "."', begin: { kind: 'on-trigger', patterns: ['(France)'] } }
    const { text } = await engine.write(chat('What is the capital of France?'), { grammar, maxTokens: 30 })
    expect(text).toMatch(/^The capital of France [0-9]+\.?$/)
  })

  test('that is never triggered changes nothing', async () => {
    using engine = await RunningEngine.start()
    const grammar: Grammar = { gbnf: 'root ::= "zebra"', begin: { kind: 'on-trigger', patterns: ['(zebra)'] } }
    expect((await engine.write(chat('What is the capital of France?'), { grammar })).text).toBe('The capital of France is Paris.')
  })

  test('whose trigger comes with text that it refuses passes over that token', async () => {
    using engine = await RunningEngine.start()
    const grammar: Grammar = { gbnf: 'root ::= "Q"', begin: { kind: 'on-trigger', patterns: ['(F)'] } }
    const { text, done } = await engine.write(chat('What is the capital of France?'), { grammar, maxTokens: 30 })
    expect([text.includes('France'), ['stop', 'length'].includes(done.reason)]).toEqual([false, true])
  })

  test('gives the same text with a seed at any temperature', async () => {
    using engine = await RunningEngine.start()
    const write = () =>
      engine.write(chat('What is the sun?'), {
        grammar: { gbnf: letters, begin: { kind: 'start' } },
        sampling: { ...greedy, temperature: 1.5, seed: 7 },
        maxTokens: 12,
        cachePrompt: false,
      })
    expect((await write()).text).toBe((await write()).text)
  })
})
