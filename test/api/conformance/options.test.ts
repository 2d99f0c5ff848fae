import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../../helpers/endless.ts'
import { get, post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { makeModel, shapes } from '../../helpers/make-gguf.ts'
import { runners } from '../../helpers/processes.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'

// Rows of the checklist in the protocol's reference (ollama-api §15), quoted, that the recorded exchanges do not prove.

let server: TestServer
interface Loaded {
  name: string
  context_length: number
  expires_at: string
}
const generate = (body: Record<string, unknown>, url = server.url) => post(url, '/api/generate', { stream: false, ...body })
const loaded = async (name: string, url = server.url) => (await get<{ models: Loaded[] }>(url, '/api/ps')).models.find((model) => model.name === name)
const pids = async () => (await runners(process.pid)).map(({ pid }) => pid)

beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'small', criaFile, { parameters: { num_ctx: 512 } })
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

describe('options', () => {
  test('num_ctx priority request > model > env > what fits', async () => {
    await using other = await startTestServer({ env: { OLLAMA_CONTEXT_LENGTH: '768' } })
    await addModel(other.url, 'cria', criaFile)
    await addModel(other.url, 'small', criaFile, { parameters: { num_ctx: 512 } })
    const lengths: (number | undefined)[] = []
    for (const [model, options] of [
      ['small', { num_ctx: 300 }],
      ['small', {}],
      ['cria', {}],
    ] as const) {
      await generate({ model, keep_alive: 0 }, other.url)
      await generate({ model, options }, other.url)
      lengths.push((await loaded(`${model}:latest`, other.url))?.context_length)
      await generate({ model, keep_alive: 0 }, other.url)
    }
    expect(lengths).toEqual([300, 512, 768])
  })

  test('num_ctx is clamped to what the model was trained for', async () => {
    await generate({ model: 'cria', options: { num_ctx: 100_000 } })
    expect((await loaded('cria:latest'))?.context_length).toBe(2048)
  })

  test('another num_ctx, larger or smaller, keeps the runner (P2)', async () => {
    await generate({ model: 'endless', options: { num_ctx: 1024 } })
    const before = await pids()
    await generate({ model: 'endless', prompt: 'a', options: { num_ctx: 2048, num_predict: 2 } })
    await generate({ model: 'endless', prompt: 'a', options: { num_ctx: 512, num_predict: 2 } })
    expect(await pids()).toEqual(before)
  })

  test('repeat_last_n:0 is forwarded: no penalty', async () => {
    const text = async (options: Record<string, unknown>) =>
      (await generate({ model: 'endless', prompt: 'a', options: { temperature: 0, num_predict: 40, ...options } })).body.response
    const plain = await text({})
    expect([(await text({ repeat_penalty: 5, repeat_last_n: 0 })) === plain, (await text({ repeat_penalty: 5, repeat_last_n: 64 })) === plain]).toEqual([
      true,
      false,
    ])
  })

  test.each([
    ['top_k', { top_k: 1, temperature: 1 }, 'equals greedy'],
    ['top_p', { top_p: 0.0001, temperature: 1 }, 'equals greedy'],
    ['min_p', { min_p: 0.9999, temperature: 1 }, 'equals greedy'],
    ['temperature', { temperature: 1.5, seed: 1 }, 'differs'],
    ['presence_penalty', { temperature: 0, presence_penalty: 20 }, 'differs'],
    ['frequency_penalty', { temperature: 0, frequency_penalty: 20 }, 'differs'],
    ['mirostat', { temperature: 1, mirostat: 2, seed: 1 }, 'differs'],
    ['logit_bias', { temperature: 0, logit_bias: { 5: 0 } }, 'is accepted'],
  ])('%s changes what it should: %j %s', async (_, options, effect) => {
    const ask = async (given: Record<string, unknown>) =>
      (await generate({ model: 'endless', prompt: 'a', options: { num_predict: 40, seed: 1, ...given } })).body.response
    const greedy = await ask({ temperature: 0 })
    const text = await ask(options)
    if (effect === 'equals greedy') expect(text).toBe(greedy)
    else if (effect === 'differs') expect(text).not.toBe(greedy)
    else expect(typeof text).toBe('string')
  })

  test('an unknown option is ignored, a wrong type is refused by its name', async () => {
    expect((await generate({ model: 'cria', prompt: 'a', options: { wibble: 1, num_predict: 1 } })).status).toBe(200)
    expect(await generate({ model: 'cria', prompt: 'a', options: { num_ctx: 'many' } })).toEqual({
      status: 400,
      body: { error: 'option "num_ctx" must be of type integer' },
    })
  })
})

describe('keep_alive', () => {
  test.each([
    ['42', 42, 42],
    ['42.5', 42.5, 42.5],
    ['"42m"', '42m', 2520],
  ])('JSON keep_alive: %s', async (_, keep_alive, seconds) => {
    await generate({ model: 'cria', keep_alive })
    const left = (Date.parse((await loaded('cria:latest'))?.expires_at ?? '') - Date.now()) / 1000
    expect(Math.abs(left - seconds)).toBeLessThan(5)
  })

  test.each([-1, -3.14, '-1m'])('JSON keep_alive: %j is for ever', async (keep_alive) => {
    await generate({ model: 'cria', keep_alive })
    expect(new Date((await loaded('cria:latest'))?.expires_at ?? 0).getFullYear()).toBeGreaterThan(2100)
  })

  test('OLLAMA_KEEP_ALIVE holds where the request says nothing', async () => {
    await using other = await startTestServer({ env: { OLLAMA_KEEP_ALIVE: '90' } })
    await addModel(other.url, 'cria', criaFile)
    await generate({ model: 'cria' }, other.url)
    const left = (Date.parse((await loaded('cria:latest', other.url))?.expires_at ?? '') - Date.now()) / 1000
    expect(Math.abs(left - 90)).toBeLessThan(5)
  })

  test('a model whose time is up leaves by itself', async () => {
    await generate({ model: 'cria', prompt: 'a', keep_alive: '100ms', options: { num_predict: 1 } })
    await expect.poll(() => loaded('cria:latest'), { timeout: 5000 }).toBeUndefined()
  })
})

describe('scheduler', () => {
  test('parallel requests to one model all complete', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => generate({ model: 'endless', prompt: 'a', options: { num_predict: 20 } })))
    expect(answers.map(({ status, body }) => [status, body.eval_count])).toEqual(Array(12).fill([200, 20]))
  })

  test('two models loaded together when they fit', async () => {
    await generate({ model: 'cria', keep_alive: '5m' })
    await generate({ model: 'endless', keep_alive: '5m' })
    expect([(await loaded('cria:latest')) !== undefined, (await loaded('endless:latest')) !== undefined]).toEqual([true, true])
  })

  test('queue overflow → 503 server busy…; others succeed', async () => {
    await using other = await startTestServer({ env: { OLLAMA_MAX_QUEUE: '2', OLLAMA_NUM_PARALLEL: '1' } })
    await addEndlessModel(other.url)
    await generate({ model: 'endless' }, other.url)
    const answers = await Promise.all(Array.from({ length: 12 }, () => generate({ model: 'endless', prompt: 'a', options: { num_predict: 1000 } }, other.url)))
    const refused = answers.filter(({ status }) => status === 503)
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 503]))
    expect(refused[0]?.body).toEqual({ error: 'server busy, please try again.  maximum pending requests exceeded' })
  })

  test('cancelled request before load leaves no runner reference', async () => {
    await generate({ model: 'smollm2:135m', keep_alive: 0 })
    const leave = new AbortController()
    const asked = post(server.url, '/api/generate', { model: 'smollm2:135m', prompt: 'a' }, leave.signal).catch(() => null)
    await new Promise((resolve) => setTimeout(resolve, 30))
    leave.abort()
    await asked
    await generate({ model: 'smollm2:135m', keep_alive: 0 })
    await expect.poll(() => loaded('smollm2:135m')).toBeUndefined()
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })

  test('a smaller model makes room for another when only one may stay', async () => {
    await using folder = await temporaryFolder()
    await using other = await startTestServer({ env: { OLLAMA_MAX_LOADED_MODELS: '1' } })
    const file = `${folder.path}/other.gguf`
    await makeModel(file, { shape: shapes.tiny, type: 'f16', seed: 99 })
    await addModel(other.url, 'cria', criaFile)
    await addModel(other.url, 'other', file)
    await generate({ model: 'cria' }, other.url)
    await generate({ model: 'other' }, other.url)
    expect((await get<{ models: Loaded[] }>(other.url, '/api/ps')).models.map(({ name }) => name)).toEqual(['other:latest'])
  })

  test('a long prompt does not starve a running reply', async () => {
    const running = fetch(`${server.url}/api/generate`, {
      method: 'POST',
      body: JSON.stringify({ model: 'smollm2:135m', prompt: 'Count:', options: { temperature: 0, num_predict: 60, num_ctx: 4096 } }),
    })
    const gaps: number[] = []
    let last = 0
    const reading = (async () => {
      for await (const _ of (await running).body ?? []) {
        const now = performance.now()
        if (last > 0) gaps.push(now - last)
        last = now
      }
    })()
    await expect.poll(() => gaps.length, { timeout: 10_000 }).toBeGreaterThan(3)
    const started = performance.now()
    await generate({ model: 'smollm2:135m', prompt: 'word '.repeat(700), options: { num_predict: 1, num_ctx: 4096 } })
    const promptMs = performance.now() - started
    await reading
    expect(Math.max(...gaps)).toBeLessThan(promptMs)
  })
})
