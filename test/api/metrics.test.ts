import { expect, test } from 'vitest'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer } from '../helpers/test-server.ts'

test('a real reply shows in /metrics: tokens, times, the model in memory; and in the request log under its id', async () => {
  await using server = await startTestServer({ env: { PADDOCK_METRICS: '1' } })
  await addModel(server.url, 'cria', criaFile)
  const value = async (series: string) => {
    const line = (await (await fetch(`${server.url}/metrics`)).text()).split('\n').find((one) => one.startsWith(`${series} `))
    return line === undefined ? null : Number(line.slice(series.length))
  }
  const reply = await fetch(`${server.url}/api/generate`, {
    method: 'POST',
    headers: { 'x-request-id': 'order-7' },
    body: JSON.stringify({ model: 'cria', prompt: 'Hello', options: { num_predict: 3 }, stream: false }),
  })
  const { prompt_eval_count: promptTokens, eval_count: completionTokens } = (await reply.json()) as Record<string, number>
  expect(reply.headers.get('x-request-id')).toBe('order-7')
  expect(await value('paddock_prompt_tokens_total{model="cria:latest"}')).toBe(promptTokens)
  expect(await value('paddock_completion_tokens_total{model="cria:latest"}')).toBe(completionTokens)
  expect(await value('paddock_load_seconds_total{model="cria:latest"}')).toBeGreaterThan(0)
  expect(await value('paddock_generation_seconds_total{model="cria:latest"}')).toBeGreaterThan(0)
  expect(await value('paddock_models_loaded')).toBe(1)
  expect(await value('paddock_requests_running{model="cria:latest"}')).toBe(0)
  expect(await value('paddock_model_memory_bytes{model="cria:latest"}')).toBeGreaterThan(3_000_000)
  expect(await value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000)

  const { promptTokens: embedded } = await server.services.embed(
    { model: 'all-minilm', input: ['hello'], truncate: true, dimensions: 0, normalize: 'always', options: {}, keepAliveMs: null },
    AbortSignal.timeout(10_000),
  )
  await post(server.url, '/v1/embeddings', { model: 'all-minilm', input: 'hello' })
  expect(await value('paddock_prompt_tokens_total{model="all-minilm:latest"}')).toBe(embedded)
  expect(server.services.requests.recent(10)).toContainEqual(expect.objectContaining({ id: 'order-7', path: '/api/generate', completionTokens }))
})

test('/openapi.json of a real server lists what it answers', async () => {
  await using server = await startTestServer()
  const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: Record<string, Record<string, unknown>> }
  for (const [path, operations] of Object.entries(paths)) {
    if (!('get' in operations)) continue
    const answer = await fetch(server.url + path.replace('{model}', 'all-minilm'))
    // Nothing has been kept under an id that nobody gave.
    expect([path, answer.status]).toEqual([path, path.includes('{id}') ? 404 : 200])
    await answer.arrayBuffer()
  }
  expect(Object.keys(paths)).not.toContain('/metrics')
})
