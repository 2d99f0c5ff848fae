import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

interface Ranking {
  method: string
  results: { index: number; relevance_score: number; document?: { text: string }; truncated?: boolean }[]
  usage: { prompt_tokens: number; total_tokens: number }
}

let server: TestServer
const template = '<|im_start|>Does this answer {query}? {document}<|im_end|>'
const query = 'Why is the sky blue?'
const documents = ['The recipe asks for three eggs.', 'Air scatters the blue part of sunlight more than the red.', 'Stock prices fell on Tuesday.']

async function ranking(body: Record<string, unknown>, path = '/api/rerank'): Promise<Ranking> {
  const answer = await post(server.url, path, { query, documents, ...body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body as unknown as Ranking
}

async function randomReranker(more: { rerankTemplate?: string } = {}): Promise<Buffer> {
  await using folder = await temporaryFolder()
  const file = `${folder.path}/reranker.gguf`
  await makeModel(file, { shape: shapes['rerank-tiny'], type: 'f16', ...more })
  return await readFile(file)
}

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'judge', await randomReranker())
  await addModel(server.url, 'asked', await randomReranker({ rerankTemplate: template }))
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('reranking with an embedding model', () => {
  test('puts the document first that answers the query, and says by what', async () => {
    const { method, results, usage } = await ranking({ model: 'all-minilm' })
    expect([method, results[0]?.index]).toEqual(['embedding', 1])
    expect(results.map(({ relevance_score }) => relevance_score)).toEqual(results.map(({ relevance_score }) => relevance_score).toSorted((a, b) => b - a))
    expect(results[0]?.relevance_score).toBeGreaterThan((results[1]?.relevance_score ?? 1) + 0.3)
    expect(usage.prompt_tokens).toBeGreaterThan(20)
  })

  test('scores are the cosines of the vectors that /api/embed gives', async () => {
    const { results } = await ranking({ model: 'all-minilm' })
    const { body } = await post(server.url, '/api/embed', { model: 'all-minilm', input: [query, ...documents] })
    const [asked = [], ...rest] = body.embeddings as number[][]
    for (const { index, relevance_score } of results) {
      expect(relevance_score).toBeCloseTo(
        (rest[index] ?? []).reduce((sum, value, at) => sum + value * (asked[at] ?? 0), 0),
        3,
      )
    }
  })

  test('gives the best top_n, with their texts when they are wanted, at both addresses', async () => {
    const asked = { model: 'all-minilm', documents: documents.map((text) => ({ text })), top_n: 1, return_documents: true }
    for (const path of ['/api/rerank', '/v1/rerank']) {
      const { results } = await ranking(asked, path)
      expect(results).toEqual([{ index: 1, relevance_score: expect.any(Number), document: { text: documents[1] } }])
    }
  })

  test('says which documents were cut to what the model can read', async () => {
    const { results } = await ranking({ model: 'all-minilm', documents: ['blue sky '.repeat(400), 'blue sky'] })
    expect(results.map(({ index, truncated }) => [index, truncated]).toSorted()).toEqual([
      [0, true],
      [1, undefined],
    ])
  })
})

describe('reranking with a rank head', () => {
  test('judges each pair by itself, whatever stands beside it', async () => {
    const together = await ranking({ model: 'judge' })
    expect(together.method).toBe('rank-head')
    expect(new Set(together.results.map(({ relevance_score }) => relevance_score)).size).toBe(3)
    for (const { index, relevance_score } of together.results) {
      expect(relevance_score).toBeGreaterThan(0)
      expect(relevance_score).toBeLessThan(1)
      const alone = await ranking({ model: 'judge', documents: [documents[index]] })
      expect(alone.results[0]?.relevance_score).toBeCloseTo(relevance_score, 3)
    }
  })

  test('reads and judges the pairs as llama.cpp’s server does', async () => {
    const { results, usage } = await ranking({ model: 'judge' })
    // What its `/rerank` gave for the same file, before the logit is made a number from 0 to 1.
    const recorded = [-0.86613, -0.901519, -0.88729]
    expect(usage.prompt_tokens).toBe(62)
    for (const { index, relevance_score } of results) expect(Math.log(relevance_score / (1 - relevance_score))).toBeCloseTo(recorded[index] ?? 0, 2)
    expect(results.map(({ index }) => index)).toEqual([0, 2, 1])
  })

  test('cuts a document that is longer than the model reads, and refuses such a query', async () => {
    const { results } = await ranking({ model: 'judge', documents: ['word '.repeat(300)] })
    expect(results[0]?.truncated).toBe(true)
    const answer = await post(server.url, '/api/rerank', { model: 'judge', query: 'word '.repeat(300), documents })
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringMatching(/^the query takes \d+ of the 128 tokens/)])
  })
})

describe('reranking with a file that says how its head is asked', () => {
  const tokensOf = async (text: string) => ((await post(server.url, '/api/tokenize', { model: 'asked', text })).body.tokens as number[]).length

  test('query and document go into its template once, whatever they say themselves', async () => {
    const odd = 'Air {query} $& {document}.'
    const { usage } = await ranking({ model: 'asked', documents: [odd] })
    expect(usage.prompt_tokens).toBe(await tokensOf(`<|im_start|>Does this answer ${query}? ${odd}<|im_end|>`))
  })

  test('a long document is cut so that the template’s end is still there', async () => {
    const { results, usage } = await ranking({ model: 'asked', documents: ['Grüße 世界 '.repeat(60)] })
    expect(results[0]?.truncated).toBe(true)
    expect(usage.prompt_tokens).toBeGreaterThan(110)
    expect(usage.prompt_tokens).toBeLessThanOrEqual(128)
  })

  test('a query that leaves no room for the document is refused', async () => {
    const answer = await post(server.url, '/api/rerank', { model: 'asked', query: 'word '.repeat(300), documents })
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringMatching(/^the query takes \d+ of the 128 tokens/)])
  })
})

describe('reranking refused', () => {
  test('a chat model is named as what it is not', async () => {
    const text = '"cria" does not support rerank: it is neither a reranker nor an embedding model'
    expect(await post(server.url, '/api/rerank', { model: 'cria', query, documents })).toEqual({ status: 400, body: { error: text } })
    const answer = await post(server.url, '/v1/rerank', { model: 'cria', query, documents })
    expect(answer).toMatchObject({ status: 400, body: { error: { message: text, type: 'invalid_request_error' } } })
  })

  test.each([
    [{ model: 'nobody' }, 404, "model 'nobody' not found"],
    [{ model: '' }, 400, 'model is required'],
    [{ query: '' }, 400, 'query is required'],
    [{ documents: [] }, 400, 'documents must hold at least one text'],
    [{ documents: [7] }, 400, 'documents[0] has the wrong type: a number'],
    [{ top_n: 0 }, 400, 'top_n must be at least 1'],
  ])('%j', async (change, status, error) => {
    expect(await post(server.url, '/api/rerank', { model: 'all-minilm', query, documents, ...change })).toEqual({ status, body: { error } })
  })
})
