import { expect, test } from 'vitest'
import type { EmbeddingRequest } from '../../../../main/generation/events.ts'
import { api, post } from '../services.ts'

function embedding(vectors: number[][]) {
  const seen: EmbeddingRequest[] = []
  const app = api({
    embed: async (request) => {
      seen.push(request)
      return { embeddings: request.input.length === 0 ? [] : vectors, promptTokens: 8, totalMs: 2, loadMs: 1 }
    },
  })
  return { app, seen }
}

test('vectors come with few digits: those of their 32-bit floats', async () => {
  const { app } = embedding([[0.010524813085794449, -0.5, 0, 0.1]])
  const answer = await post(app, '/api/embed', { model: 'm', input: 'a' })
  const text = await answer.text()
  expect(text).toContain('"embeddings":[[0.010524813,-0.5,0,0.1]]')
  expect(JSON.parse(text)).toMatchObject({ model: 'm', total_duration: 2_000_000, load_duration: 1_000_000, prompt_eval_count: 8 })
})

test('short digits are the same 32-bit floats', async () => {
  const values = Array.from({ length: 2000 }, (_, index) => Math.sin(index * 12.9898) * 10 ** ((index % 24) - 12))
  const { app } = embedding([values])
  const { embeddings } = (await (await post(app, '/api/embed', { model: 'm', input: 'a' })).json()) as { embeddings: number[][] }
  expect(embeddings[0]?.map(Math.fround)).toEqual(values.map(Math.fround))
})

test.each([[undefined], [''], [[]], [null]])('input %j loads the model and gives no vector', async (input) => {
  const { app, seen } = embedding([[1]])
  expect(await (await post(app, '/api/embed', { model: 'm', input })).json()).toEqual({ model: 'm', embeddings: [] })
  expect(seen[0]?.input).toEqual([])
})

test('an empty string inside a list is embedded', async () => {
  const { app, seen } = embedding([[1], [2]])
  await post(app, '/api/embed', { model: 'm', input: ['a', ''], truncate: false, dimensions: 4, keep_alive: 60 })
  expect(seen).toEqual([{ model: 'm', input: ['a', ''], truncate: false, dimensions: 4, normalize: 'always', options: {}, keepAliveMs: 60_000 }])
})

test.each([[5], [['a', 5]], [{}], [true]])('input %j is refused', async (input) => {
  const answer = await post(api(), '/api/embed', { model: 'm', input })
  expect([answer.status, await answer.json()]).toEqual([400, { error: 'invalid input type' }])
})

test('the old route gives one vector, or none for an empty prompt', async () => {
  const { app, seen } = embedding([[0.25, 0.5]])
  expect(await (await post(app, '/api/embeddings', { model: 'm', prompt: 'a' })).json()).toEqual({ embedding: [0.25, 0.5] })
  expect(await (await post(app, '/api/embeddings', { model: 'm' })).json()).toEqual({ embedding: [] })
  expect(seen.map(({ input, normalize }) => [input, normalize])).toEqual([
    [['a'], 'as-peer'],
    [[], 'as-peer'],
  ])
  expect((await post(app, '/api/embeddings', {})).status).toBe(400)
})
