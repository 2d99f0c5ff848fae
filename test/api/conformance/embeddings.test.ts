import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, that the recorded exchanges do not prove.

let server: TestServer
interface Embedded {
  embeddings: number[][]
  prompt_eval_count: number
}
const embed = (body: Record<string, unknown>) => post(server.url, '/api/embed', { model: 'all-minilm', ...body })
async function vectors(body: Record<string, unknown>): Promise<Embedded> {
  const answer = await embed(body)
  expect(answer.status, JSON.stringify(answer.body).slice(0, 500)).toBe(200)
  return answer.body as unknown as Embedded
}
const cosine = (a: number[] = [], b: number[] = []) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0) / (Math.hypot(...a) * Math.hypot(...b))

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('embeddings', () => {
  test('all-minilm: 384 dims, "why is the sky blue?" → prompt_eval_count 8', async () => {
    const { embeddings, prompt_eval_count } = await vectors({ input: 'why is the sky blue?' })
    expect([embeddings.map((vector) => vector.length), prompt_eval_count]).toEqual([[384], 8])
  })

  test('batch of inputs keeps order and sums counts; similar sentences closer than unrelated ones (cosine)', async () => {
    const input = ['The cat sits on the mat.', 'A cat is sitting on a rug.', 'Stock prices fell sharply today.']
    const singly = await Promise.all(input.map((text) => vectors({ input: text })))
    const { embeddings, prompt_eval_count } = await vectors({ input })
    expect(embeddings.map((vector, index) => cosine(vector, singly[index]?.embeddings[0]) > 0.999)).toEqual([true, true, true])
    expect(prompt_eval_count).toBe(singly.reduce((sum, one) => sum + one.prompt_eval_count, 0))
    expect(cosine(embeddings[0], embeddings[1])).toBeGreaterThan(cosine(embeddings[0], embeddings[2]) + 0.3)
  })

  test('dimensions slices and renormalises; norm ≈ 1', async () => {
    const [whole] = (await vectors({ input: 'a text' })).embeddings
    const [part] = (await vectors({ input: 'a text', dimensions: 32 })).embeddings
    expect([part?.length, Math.hypot(...(part ?? [])).toFixed(4), cosine(part, whole?.slice(0, 32)) > 0.9999]).toEqual([32, '1.0000', true])
  })

  test('truncation: over-long default → success equal to truncated input', async () => {
    const long = await vectors({ input: 'fox '.repeat(2000) })
    const cut = await vectors({ input: 'fox '.repeat(510) })
    expect([long.prompt_eval_count, cosine(long.embeddings[0], cut.embeddings[0]) > 0.9999]).toEqual([512, true])
  })

  test('num_ctx:1 → input after truncation exceeds maximum context length', async () => {
    expect(await embed({ input: 'a b c', options: { num_ctx: 1 } })).toEqual({
      status: 400,
      body: { error: 'input after truncation exceeds maximum context length' },
    })
  })

  test('batches of truncated inputs work; one bad element → 4xx for the batch', async () => {
    const input = ['short', 'fox '.repeat(1000), 'fox '.repeat(900)]
    const { embeddings } = await vectors({ input })
    expect(embeddings.map((vector) => vector.length)).toEqual([384, 384, 384])
    expect(await embed({ input, truncate: false })).toEqual({ status: 400, body: { error: 'the input length exceeds the context length' } })
  })

  test('token counts exact for empty-ish, unicode and long inputs', async () => {
    const counts = await Promise.all([' ', 'a', 'Zürich 東京 🦙', 'fox '.repeat(100)].map(async (text) => (await vectors({ input: [text] })).prompt_eval_count))
    expect(counts).toEqual([2, 3, 6, 102])
  })

  test('num_ctx:0 is as if nothing was said', async () => {
    const [asked, plain] = [await vectors({ input: 'a b c', options: { num_ctx: 0 } }), await vectors({ input: 'a b c' })]
    expect([asked.prompt_eval_count, cosine(asked.embeddings[0], plain.embeddings[0])]).toEqual([plain.prompt_eval_count, expect.closeTo(1, 5)])
  })

  test('legacy endpoint: others than bge-m3/nomic normalised', async () => {
    const { body } = await post(server.url, '/api/embeddings', { model: 'all-minilm', prompt: 'why is the sky blue?' })
    const vector = body.embedding as number[]
    expect([vector.length, Math.hypot(...vector)]).toEqual([384, expect.closeTo(1, 4)])
    expect(cosine(vector, (await vectors({ input: 'why is the sky blue?' })).embeddings[0])).toBeCloseTo(1, 5)
  })

  test('a chat model embeds too', async () => {
    const { status, body } = await post(server.url, '/api/embed', { model: 'cria', input: ['hello', 'hello'] })
    const { embeddings } = body as unknown as Embedded
    expect([status, embeddings.map((vector) => [vector.length, Math.hypot(...vector).toFixed(3)])]).toEqual([
      200,
      [
        [256, '1.000'],
        [256, '1.000'],
      ],
    ])
    expect(cosine(embeddings[0], embeddings[1])).toBeGreaterThan(0.999)
  })

  test('a hundred inputs come back in their order', async () => {
    const input = Array.from({ length: 100 }, (_, index) => `number ${index}`)
    const { embeddings } = await vectors({ input })
    const [seventh] = (await vectors({ input: input[7] })).embeddings
    expect([embeddings.length, cosine(embeddings[7], seventh) > 0.999]).toEqual([100, true])
  })
})

describe('OpenAI embeddings', () => {
  const create = (body: Record<string, unknown>) => post(server.url, '/v1/embeddings', { model: 'all-minilm', ...body })

  test('float/base64/FLOAT/Base64; base64 decodes to the same floats', async () => {
    const [plain, upper, packed, mixed] = await Promise.all(
      ['float', 'FLOAT', 'base64', 'Base64'].map(
        async (encoding_format) => ((await create({ input: 'a text', encoding_format })).body.data as { embedding: unknown }[])[0]?.embedding,
      ),
    )
    const bytes = Buffer.from(String(packed), 'base64')
    const floats = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
    expect([upper, mixed]).toEqual([plain, packed])
    expect(floats.length).toBe(384)
    expect(floats.every((value, index) => Math.abs(value - ((plain as number[])[index] ?? 9)) < 1e-6)).toBe(true)
  })

  test('single and batch; usage counts', async () => {
    const single = await create({ input: 'why is the sky blue?' })
    const batch = await create({ input: ['why is the sky blue?', 'a'] })
    expect([single.body.usage, batch.body.usage]).toEqual([
      { prompt_tokens: 8, total_tokens: 8 },
      { prompt_tokens: 11, total_tokens: 11 },
    ])
  })
})
