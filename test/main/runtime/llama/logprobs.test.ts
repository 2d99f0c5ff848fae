import { describe, expect, test } from 'vitest'
import { logprobs } from '../../../../main/runtime/llama/logprobs.ts'
import { chat, greedy } from '../../../helpers/runner-requests.ts'
import { RunningEngine } from '../runner-process/running-engine.ts'

describe('logprobs()', () => {
  test('gives probabilities that add up to one, the best first', () => {
    const { top } = logprobs(Float32Array.of(1, 3, 2, -4, 3), 0, 5)
    expect(top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 6)
    expect(top.map(({ token }) => token)).toEqual([1, 4, 2, 0, 3])
  })

  test('gives the token its own, among the best or not', () => {
    const { logprob, top } = logprobs(Float32Array.of(0, 0, 0, 0), 3, 1)
    expect([logprob, top.length]).toEqual([Math.log(0.25), 1])
  })

  test('survives logits that would overflow', () => {
    expect(logprobs(Float32Array.of(1000, 0), 0, 0)).toEqual({ logprob: 0, top: [] })
  })
})

describe('the log-probabilities of a reply', () => {
  const scoresOf = async (engine: RunningEngine, more: object) => {
    const { events, text } = await engine.write(chat('What is the capital of France?'), { topLogprobs: 3, ...more })
    return { text, scores: events.flatMap((event) => (event.type === 'text' ? (event.logprobs ?? []) : [])) }
  }

  test('belong to its tokens, which make up its text', async () => {
    using engine = await RunningEngine.start()
    const { text, scores } = await scoresOf(engine, {})
    expect(scores.map(({ token }) => token).join('')).toBe(text)
    expect(scores.every(({ token, logprob, top }) => top.length === 3 && top[0]?.token === token && top[0].logprob === logprob)).toBe(true)
  })

  test('do not depend on the sampling', async () => {
    using engine = await RunningEngine.start()
    const plain = await scoresOf(engine, { maxTokens: 1, cachePrompt: false })
    const warm = await scoresOf(engine, { maxTokens: 1, cachePrompt: false, sampling: { ...greedy, temperature: 2, topK: 5 } })
    expect(warm.scores[0]?.top).toEqual(plain.scores[0]?.top)
  })

  test('end with the text when a stop string cuts it', async () => {
    using engine = await RunningEngine.start()
    const { text, scores } = await scoresOf(engine, { stop: [' of'] })
    expect(text).toBe('The capital')
    expect(scores.map(({ token }) => token).join('')).toBe('The capital')
  })

  test('are given with alternatives of none when none are asked for', async () => {
    using engine = await RunningEngine.start()
    const { scores } = await scoresOf(engine, { topLogprobs: 0 })
    expect(scores.every(({ top, logprob }) => top.length === 0 && logprob <= 0)).toBe(true)
  })
})
