import { afterAll, describe, expect, test } from 'vitest'
import type { SamplingOptions } from '../../../../main/runtime/options.ts'
import { chat, greedy } from '../../../helpers/runner-requests.ts'
import { RunningEngine } from '../runner-process/running-engine.ts'

const story = 'Once upon a time there was a fox who lived in the'
const warm: SamplingOptions = { ...greedy, temperature: 1.3, seed: 42 }
const engine = await RunningEngine.start({ slots: 1 })
afterAll(() => engine[Symbol.dispose]())

async function write(sampling: SamplingOptions, prompt = story): Promise<string> {
  const { text } = await engine.write(prompt, { sampling, maxTokens: 48, stopAtEog: false, cachePrompt: false })
  return text
}

describe('sampling', () => {
  test('with the same seed writes the same', async () => {
    expect(await write(warm)).toBe(await write(warm))
  })

  test('with another seed writes something else', async () => {
    expect(await write(warm)).not.toBe(await write({ ...warm, seed: 43 }))
  })

  test('without a seed draws one', async () => {
    expect(await write({ ...warm, seed: null })).not.toBe(await write({ ...warm, seed: null }))
  })

  test('at temperature 0 takes the likeliest token, whatever the seed', async () => {
    expect(await write(greedy)).toBe(await write({ ...greedy, seed: 99 }))
  })

  test.each<[string, Partial<SamplingOptions>]>([
    ['topK 1', { topK: 1 }],
    ['topP near 0', { topP: 0.0001 }],
    ['minP 1', { minP: 1 }],
    ['a very small temperature', { temperature: 0.001 }],
  ])('with %s is greedy', async (_, options) => {
    expect(await write({ ...warm, ...options })).toBe(await write(greedy))
  })

  test.each<[string, Partial<SamplingOptions>]>([
    ['temperature', { temperature: 0.4 }],
    ['topK', { topK: 3 }],
    ['topP', { topP: 0.5 }],
    ['minP', { minP: 0.3 }],
    ['typicalP', { typicalP: 0.3 }],
    ['topNSigma', { topNSigma: 0.5 }],
    ['xtc', { xtcProbability: 1, xtcThreshold: 0.05 }],
    ['dynatemp', { dynatempRange: 1 }],
    ['repeatPenalty', { repeatPenalty: 1.8 }],
    ['presencePenalty', { presencePenalty: 2 }],
    ['frequencyPenalty', { frequencyPenalty: 2 }],
    ['dry', { dryMultiplier: 5, dryAllowedLength: 1 }],
    ['mirostat 1', { mirostat: 1 }],
    ['mirostat 2', { mirostat: 2 }],
    ['logitBias', { logitBias: [[300, 20]] }],
  ])('%s changes the text', async (_, options) => {
    expect(await write({ ...warm, ...options })).not.toBe(await write(warm))
  })

  test.each<[string, Partial<SamplingOptions>, Partial<SamplingOptions>]>([
    ['mirostatTau', { mirostat: 2, mirostatTau: 5 }, { mirostat: 2, mirostatTau: 0.5 }],
    ['mirostatEta', { mirostat: 2, mirostatEta: 0.1, mirostatTau: 2 }, { mirostat: 2, mirostatEta: 0.9, mirostatTau: 2 }],
    ['repeatLastN', { repeatPenalty: 1.8, repeatLastN: 64 }, { repeatPenalty: 1.8, repeatLastN: 2 }],
    ['xtcThreshold', { xtcProbability: 1, xtcThreshold: 0.01 }, { xtcProbability: 1, xtcThreshold: 0.3 }],
    ['dryPenaltyLastN', { dryMultiplier: 5, dryAllowedLength: 1, dryPenaltyLastN: -1 }, { dryMultiplier: 5, dryAllowedLength: 1, dryPenaltyLastN: 3 }],
    ['dynatempExponent', { dynatempRange: 1, dynatempExponent: 1 }, { dynatempRange: 1, dynatempExponent: 4 }],
  ])('%s changes the text', async (_, one, other) => {
    const repetitive = `${story} wood. The fox lived in the wood. The fox`
    expect(await write({ ...warm, ...one }, repetitive)).not.toBe(await write({ ...warm, ...other }, repetitive))
  })

  test('dryBase says how much dearer a longer repetition is', async () => {
    const { model } = engine.context
    const [lived] = model.tokenize(' lived', { addSpecial: false, parseSpecial: false }) as [number]
    const next = async (dryBase: number) => {
      const sampling: SamplingOptions = { ...greedy, dryMultiplier: 0.2, dryAllowedLength: 1, dryBase, logitBias: [[lived, 30]] }
      const { done } = await engine.write(`${' The fox lived in the wood.'.repeat(3)} The fox`, { sampling, maxTokens: 1, returnTokens: true })
      return done.tokens?.at(-1)
    }
    expect(await next(1)).toBe(lived)
    expect(await next(1000)).not.toBe(lived)
  })

  test('with no look back the penalties do nothing', async () => {
    expect(await write({ ...warm, repeatPenalty: 1.8, presencePenalty: 2, repeatLastN: 0 })).toBe(await write(warm))
  })

  test('sees the prompt when it penalises', async () => {
    const question = chat('What is the capital of France?')
    const { text } = await engine.write(question, { sampling: { ...greedy, presencePenalty: 50 }, maxTokens: 12 })
    expect(text).not.toContain('France')
  })

  test('with a bias of -100 never writes the token', async () => {
    const { model } = engine.context
    const the = model.tokenize('The', { addSpecial: false, parseSpecial: false })[0] as number
    const { text } = await engine.write(chat('What is the capital of France?'), { sampling: { ...greedy, logitBias: [[the, -100]] } })
    expect(text.startsWith('The')).toBe(false)
  })
})
