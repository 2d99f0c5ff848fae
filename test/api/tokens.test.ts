import { afterAll, beforeAll, expect, test } from 'vitest'
import { get, post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

let server: TestServer
const tokens = async (body: Record<string, unknown>) => (await post(server.url, '/api/tokenize', { model: 'cria', ...body })).body.tokens as number[]
const textOf = async (ids: number[]) => (await post(server.url, '/api/detokenize', { model: 'cria', tokens: ids })).body

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(() => server?.[Symbol.asyncDispose]())

test('a text comes back from its tokens, many bytes a character included', async () => {
  const text = 'Grüße, 世界 🦙!\n\tok'
  expect(await textOf(await tokens({ text }))).toEqual({ text, content: text })
})

test('content is another name for text', async () => {
  expect(await tokens({ content: 'hello' })).toEqual(await tokens({ text: 'hello' }))
})

test('add_special puts around a text what the vocabulary asks for', async () => {
  const { body } = await post(server.url, '/api/tokenize', { model: 'all-minilm', text: 'hello', add_special: true })
  const inner = await post(server.url, '/api/tokenize', { model: 'all-minilm', text: 'hello' })
  expect(body.tokens).toEqual([101, ...(inner.body.tokens as number[]), 102])
})

test('parse_special: false spells the text of a special token out', async () => {
  const parsed = await tokens({ text: '<|im_start|>' })
  expect(parsed).toHaveLength(1)
  expect((await tokens({ text: '<|im_start|>', parse_special: false })).length).toBeGreaterThan(1)
  expect((await textOf(parsed)).text).toBe('<|im_start|>')
})

test('an empty text has no tokens, and no tokens are an empty text', async () => {
  expect(await tokens({ text: '' })).toEqual([])
  expect(await textOf([])).toEqual({ text: '', content: '' })
})

test('a model that is loaded for its vocabulary gets no context, and one that has a context keeps it', async () => {
  const cria = async () => {
    const { models } = await get<{ models: { name: string; size: number; context_length: number }[] }>(server.url, '/api/ps')
    return models.find(({ name }) => name === 'cria:latest')
  }
  await post(server.url, '/api/generate', { model: 'cria', keep_alive: 0 })
  await expect.poll(cria).toBeUndefined()
  await tokens({ text: 'a' })
  const bare = await cria()
  await post(server.url, '/api/generate', { model: 'cria', prompt: 'a', options: { num_ctx: 64, num_predict: 1 }, stream: false })
  expect((await cria())?.size).toBeGreaterThan(bare?.size ?? Number.POSITIVE_INFINITY)
  await tokens({ text: 'a' })
  expect((await cria())?.context_length).toBe(64)
})

test.each([
  ['/api/detokenize', { tokens: [1_000_000] }, 400, /^token 1000000 is not in the vocabulary of "cria": its ids go from 0 to \d+$/],
  ['/api/detokenize', { tokens: [-1] }, 400, /^token -1 is not in the vocabulary/],
  ['/api/detokenize', { tokens: [1.5] }, 400, /^tokens\[0\] must be a whole number, not 1.5$/],
  ['/api/detokenize', {}, 400, /^tokens must be an array, not absent$/],
  ['/api/tokenize', {}, 400, /^text is required$/],
  ['/api/tokenize', { text: 7 }, 400, /^text must be a string, not a number$/],
  ['/api/tokenize', { text: 'a', model: '' }, 400, /^model is required$/],
  ['/api/tokenize', { text: 'a', model: 'nobody' }, 404, /^model 'nobody' not found$/],
])('%s %j is refused in the native dialect', async (path, body, status, error) => {
  expect(await post(server.url, path, { model: 'cria', ...body })).toEqual({ status, body: { error: expect.stringMatching(error) } })
})
