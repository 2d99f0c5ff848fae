import { afterAll, beforeAll, expect, test } from 'vitest'
import { addEndlessModel } from '../helpers/endless.ts'
import { get, post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { long } from '../helpers/long.ts'
import { family, runners, totalResident } from '../helpers/processes.ts'
import { type Program, startProgram } from '../helpers/program.ts'
import { random } from '../helpers/random-weights.ts'

const durationMs = long ? 60_000 : 8_000
/** V8 lets its heap grow for some twenty thousand requests before it settles. */
const warmUpMs = long ? 30_000 : 3_000
const clients = 64
/** What all processes together may gain after the warm-up; a request that left its buffers behind would pass it many times over. */
const growthBytes = (long ? 96 : 160) * 1e6

let program: Program
beforeAll(async () => {
  program = await startProgram({ env: { OLLAMA_NUM_PARALLEL: '4' } })
  await addModel(program.url, 'cria', criaFile)
  await addEndlessModel(program.url)
})
afterAll(() => program?.[Symbol.asyncDispose]())

type Outcome = 'answered' | 'hung up' | string

const requests: { path: string; body: Record<string, unknown>; complete: (text: string) => boolean }[] = [
  {
    path: '/api/generate',
    body: { model: 'cria', prompt: 'What is the capital of Italy?', options: { temperature: 0 } },
    complete: (text) => /"done":true/.test(text),
  },
  { path: '/api/generate', body: { model: 'endless', prompt: 'a', options: { num_predict: 60 } }, complete: (text) => /"done":true/.test(text) },
  {
    path: '/api/chat',
    body: { model: 'cria', messages: [{ role: 'user', content: 'What is 2 + 3?' }], options: { temperature: 0 } },
    complete: (text) => /"done":true/.test(text),
  },
  {
    path: '/v1/chat/completions',
    body: { model: 'cria', messages: [{ role: 'user', content: 'Who are you?' }], stream: true, max_tokens: 20 },
    complete: (text) => text.trimEnd().endsWith('[DONE]'),
  },
  {
    path: '/api/embed',
    body: { model: 'all-minilm', input: ['a short text', 'and another one'] },
    complete: (text) => JSON.parse(text).embeddings.length === 2,
  },
]

/** One request, read to its end or left after a part of it. */
async function ask(index: number, leaves: boolean, leaveMs: number): Promise<Outcome> {
  const { path, body, complete } = requests[index % requests.length] as (typeof requests)[number]
  const leave = new AbortController()
  const timer = leaves ? setTimeout(() => leave.abort(), leaveMs) : undefined
  try {
    const response = await fetch(program.url + path, { method: 'POST', body: JSON.stringify(body), signal: leave.signal })
    const text = await response.text()
    return response.status === 200 && complete(text) ? 'answered' : `${path} ${response.status}: ${text.slice(0, 200)}`
  } catch (error) {
    return leave.signal.aborted ? 'hung up' : `${path}: ${String(error)}`
  } finally {
    clearTimeout(timer)
  }
}

async function load(forMs: number, seed: number): Promise<Map<Outcome, number>> {
  const end = performance.now() + forMs
  const outcomes = new Map<Outcome, number>()
  const client = async (number: number) => {
    const next = random(seed + number)
    while (performance.now() < end) {
      const outcome = await ask(Math.floor(next() * requests.length), number % 3 === 0, next() * 150)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  return outcomes
}

test(
  `${clients} clients at once for ${durationMs / 1000} s, a third of them hanging up: every other request is answered, nothing stays behind`,
  async () => {
    await load(warmUpMs, 1)
    const before = totalResident(await family(program.process.pid ?? 0))
    const outcomes = await load(durationMs, 1000)
    const after = totalResident(await family(program.process.pid ?? 0))

    expect([...outcomes.keys()].filter((outcome) => outcome !== 'answered' && outcome !== 'hung up')).toEqual([])
    expect(outcomes.get('answered')).toBeGreaterThan(clients)
    expect(outcomes.get('hung up')).toBeGreaterThan(0)
    expect(after - before, `resident bytes: ${before} before, ${after} after`).toBeLessThan(growthBytes)

    // A slot or lease that was not given back would keep its runner in memory.
    for (const model of ['cria', 'endless', 'all-minilm']) await post(program.url, '/api/generate', { model, keep_alive: 0 })
    await expect.poll(async () => (await get<{ models: unknown[] }>(program.url, '/api/ps')).models, { timeout: 10_000 }).toEqual([])
    await expect.poll(async () => (await runners(program.process.pid ?? 0)).length, { timeout: 10_000 }).toBe(0)
  },
  warmUpMs + durationMs * 2 + 60_000,
)
