import { expect, test } from 'vitest'
import { readConfig } from '../../../main/config.ts'
import { api, doneEvent, fails, notFound, post, promptEvent, says } from './services.ts'

const on = readConfig({ PADDOCK_METRICS: '1' })
const messages = [{ role: 'user', content: 'x' }]

async function scrape(app: ReturnType<typeof api>): Promise<string> {
  const answer = await app.request('/metrics', { headers: { host: 'localhost' } })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  return await answer.text()
}

/** Name and labels → value. */
function samples(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]))
}

test('/metrics is not there unless it is asked for', async () => {
  expect((await api().request('/metrics', { headers: { host: 'localhost' } })).status).toBe(404)
})

test('/metrics counts requests by route and status, and tokens and times by model', async () => {
  const app = api({ config: on, resident: () => [], chat: () => says(['a', 'b']), complete: () => fails(notFound) })
  await (await post(app, '/api/chat', { model: 'm', messages })).text()
  await (await post(app, '/v1/chat/completions', { model: 'm', messages })).text()
  await (await post(app, '/api/generate', { model: 'x', prompt: 'a' })).text()
  await (await app.request('/some/path', { headers: { host: 'localhost' } })).text()
  const of = (line: string) =>
    expect.objectContaining(Object.fromEntries(line.split('\n').map((one) => [one.slice(0, one.lastIndexOf(' ')), Number(one.split(' ').at(-1))])))
  await expect
    .poll(async () => samples(await scrape(app)))
    .toEqual(
      of(`paddock_info{version="1.2.3"} 1
paddock_requests_total{route="/api/chat",method="POST",status="200"} 1
paddock_requests_total{route="/v1/chat/completions",method="POST",status="200"} 1
paddock_requests_total{route="/api/generate",method="POST",status="404"} 1
paddock_requests_total{route="other",method="other",status="404"} 1
paddock_prompt_tokens_total{model="m:latest"} 14
paddock_cached_prompt_tokens_total{model="m:latest"} 6
paddock_completion_tokens_total{model="m:latest"} 4
paddock_prompt_seconds_total{model="m:latest"} 0.003
paddock_generation_seconds_total{model="m:latest"} 0.004
paddock_load_seconds_total{model="m:latest"} 0.0005
paddock_time_to_first_token_seconds_bucket{le="+Inf"} 2
paddock_time_to_first_token_seconds_count 2
paddock_models_loaded 0`),
    )
  expect(Object.keys(samples(await scrape(app))).filter((name) => name.includes('model="x"'))).toEqual([])
})

test('the buckets of the time to the first token add up', async () => {
  async function* slow() {
    yield promptEvent()
    await new Promise((resolve) => setTimeout(resolve, 30))
    yield { type: 'text' as const, text: 'a' }
    yield doneEvent()
  }
  const app = api({ config: on, resident: () => [], chat: slow })
  await post(app, '/api/chat', { model: 'm', messages, stream: false })
  const found = samples(await scrape(app))
  const buckets = Object.entries(found).flatMap(([name, value]) => (name.includes('_bucket') ? [value] : []))
  expect([buckets.at(0), buckets.at(-1)]).toEqual([0, 1])
  expect(buckets).toEqual(buckets.toSorted((a, b) => a - b))
  expect(found.paddock_time_to_first_token_seconds_sum).toBeGreaterThanOrEqual(0.029)
})

test('a model’s name cannot forge a line', async () => {
  const app = api({ config: on, resident: () => [], chat: () => says(['a']) })
  await post(app, '/api/chat', { model: 'a"} 1\nforged{b="\\', messages, stream: false })
  expect(await scrape(app)).toContain('paddock_prompt_tokens_total{model="a\\"} 1\\nforged{b=\\"\\\\"} 7\n')
})

test('every series says what it is, once, before its samples', async () => {
  const app = api({ config: on, resident: () => [], chat: () => says(['a']) })
  await post(app, '/api/chat', { model: 'm', messages, stream: false })
  const lines = (await scrape(app)).trimEnd().split('\n')
  const told: string[] = []
  for (const line of lines) {
    const [, kind, name = ''] = /^# (HELP|TYPE) (\S+) /.exec(line) ?? []
    if (kind === 'TYPE') told.push(name)
    else if (kind === undefined) expect(line).toMatch(new RegExp(`^${told.at(-1)}(_bucket|_sum|_count)?(\\{.*\\})? [\\d.e+-]+$`))
  }
  expect(new Set(told).size).toBe(told.length)
})

test('asking for /metrics leaves no trace in the request log', async () => {
  const paths: string[] = []
  const app = api({ config: on, resident: () => [], onRequest: ({ path }) => void paths.push(path) })
  await scrape(app)
  await app.request('/', { headers: { host: 'localhost' } })
  expect(paths).toEqual(['/'])
})

test('where keys are asked for, /metrics asks for one', async () => {
  const config = readConfig({ PADDOCK_METRICS: '1', PADDOCK_REQUIRE_KEY: '1' })
  expect((await api({ config }).request('/metrics', { headers: { host: 'localhost' } })).status).toBe(401)
})
