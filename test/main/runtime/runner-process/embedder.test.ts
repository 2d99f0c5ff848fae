import { describe, expect, test } from 'vitest'
import type { EmbedRequest } from '../../../../main/runtime/protocol.ts'
import { Embedder } from '../../../../main/runtime/runner-process/embedder.ts'
import { criaFile, minilmFile } from '../../../helpers/library.ts'
import { loadedModel } from './running-engine.ts'

const never = new AbortController().signal
const requestOf = (inputs: EmbedRequest['inputs'], more: Partial<EmbedRequest> = {}): EmbedRequest => ({
  inputs,
  contextLength: 256,
  truncate: true,
  batchSize: 512,
  threads: 1,
  adapters: [],
  ...more,
})

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, value, index) => sum + value * (y[index] as number), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

async function embedder(file = minilmFile): Promise<Embedder & Disposable> {
  const made = new Embedder(await loadedModel(file))
  return Object.assign(made, { [Symbol.dispose]: () => made.free() })
}

const sentences = Array.from({ length: 70 }, (_, number) => `Sentence ${number} speaks of ${['foxes', 'rain', 'the sea'][number % 3]}.`)

describe('Embedder', () => {
  // A model for chat with eight-bit weights and activations differs more between a row alone and a row among others.
  test.each<[string, string, number]>([
    ['all-minilm', minilmFile, 1e-3],
    ['a model for chat', criaFile, 0.02],
  ])('embeds many at once as it embeds each (%s)', async (_, file, most) => {
    using model = await embedder(file)
    const together = await model.embed(requestOf(sentences), never)
    for (const at of [0, 33, 69]) {
      const single = await model.embed(requestOf([sentences[at] as string]), never)
      expect(1 - cosine(single.embeddings[0] as number[], together.embeddings[at] as number[])).toBeLessThan(most)
    }
    expect(together.embeddings).toHaveLength(70)
  })

  test('puts like to like', async () => {
    using model = await embedder()
    const { embeddings } = await model.embed(requestOf(['A cat sits on the mat.', 'A kitten rests on a rug.', 'Interest rates rose sharply.']), never)
    const [cat, kitten, rates] = embeddings as [number[], number[], number[]]
    expect(cosine(cat, kitten)).toBeGreaterThan(cosine(cat, rates) + 0.2)
  })

  test('embeds an empty text among others', async () => {
    using model = await embedder()
    const { embeddings, tokens } = await model.embed(requestOf(['', 'a']), never)
    expect([tokens, embeddings.map((vector) => vector.every(Number.isFinite))]).toEqual([
      [2, 3],
      [true, true],
    ])
  })

  test('cuts a longer text, keeping the token that closes it', async () => {
    using model = await embedder()
    const words = 'word '.repeat(400)
    const cut = await model.embed(requestOf([words], { contextLength: 10 }), never)
    const fitting = await model.embed(requestOf(['word '.repeat(8)], { contextLength: 10 }), never)
    expect(cut.tokens).toEqual([10])
    expect(cosine(cut.embeddings[0] as number[], fitting.embeddings[0] as number[])).toBeCloseTo(1, 4)
  })

  test('never takes more than the model was trained for', async () => {
    using model = await embedder()
    const trained = (await loadedModel(minilmFile)).trainedContextLength
    const { tokens } = await model.embed(requestOf(['word '.repeat(2000)], { contextLength: 100_000 }), never)
    expect(tokens).toEqual([trained])
  })

  test('refuses a longer text with its figures when it must not cut', async () => {
    using model = await embedder()
    await expect(model.embed(requestOf(['word '.repeat(20)], { contextLength: 10, truncate: false }), never)).rejects.toMatchObject({
      code: 'context-exceeded',
      details: { promptTokens: 22, contextLength: 10 },
    })
  })

  test('embeds token ids, and refuses those that the vocabulary lacks', async () => {
    using model = await embedder()
    const text = await model.embed(requestOf(['hello']), never)
    const ids = await model.embed(requestOf([(await loadedModel(minilmFile)).tokenize('hello', { addSpecial: true, parseSpecial: true })]), never)
    expect(ids.embeddings).toEqual(text.embeddings)
    await expect(model.embed(requestOf([[99_999_999]]), never)).rejects.toMatchObject({ code: 'invalid-request' })
  })

  test('stops between decodes', async () => {
    using model = await embedder()
    await expect(model.embed(requestOf(sentences), AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
  })
})
