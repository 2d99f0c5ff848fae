import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../helpers/endless.ts'
import { get, post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { atWork, runners } from '../helpers/processes.ts'
import { type Program, startProgram } from '../helpers/program.ts'

let program: Program
const pid = () => program.process.pid ?? 0
const question = { model: 'cria', prompt: 'What is the capital of France?', stream: false, options: { temperature: 0 } }

beforeAll(async () => {
  program = await startProgram()
  await addModel(program.url, 'cria', criaFile)
  await addEndlessModel(program.url, 'endless', { layers: 8 })
  await addEndlessModel(program.url, 'bystander', { layers: 4 })
})
afterAll(() => program?.[Symbol.asyncDispose]())

async function killRunners(): Promise<number> {
  const found = await runners(pid())
  for (const runner of found) process.kill(runner.pid, 'SIGKILL')
  return found.length
}

async function unloadAll(): Promise<void> {
  for (const { name } of (await get<{ models: { name: string }[] }>(program.url, '/api/ps')).models)
    await post(program.url, '/api/generate', { model: name, keep_alive: 0 })
  await expect.poll(async () => (await runners(pid())).length).toBe(0)
}

/** The server has noticed that every runner is gone. */
const noneLeft = () => expect.poll(async () => (await get<{ models: unknown[] }>(program.url, '/api/ps')).models).toEqual([])

const expectAnswers = async () =>
  expect(await post(program.url, '/api/generate', question)).toMatchObject({ status: 200, body: { response: 'The capital of France is Paris.' } })

describe('a runner that is killed', () => {
  test('again and again from outside: its model is never refused for that', async () => {
    await unloadAll()
    for (let round = 0; round < 3; round++) {
      const asked = post(program.url, '/api/generate', { model: 'endless', prompt: 'go on', stream: false })
      await expect.poll(async () => (await get<{ models: unknown[] }>(program.url, '/api/ps')).models.length).toBe(1)
      await expect.poll(killRunners).toBeGreaterThan(0)
      expect((await asked).status).toBe(500)
    }
    expect(await post(program.url, '/api/generate', { model: 'endless', prompt: 'go on', stream: false, options: { num_predict: 3 } })).toMatchObject({
      status: 200,
    })
  })

  test('while it loads: the caller gets an error status, the next request succeeds', async () => {
    await unloadAll()
    const asked = post(program.url, '/api/generate', { model: 'smollm2:135m', prompt: 'a', stream: false })
    await expect.poll(killRunners, { interval: 5 }).toBeGreaterThan(0)
    const answer = await asked
    expect([answer.status, typeof answer.body.error]).toEqual([500, 'string'])
    await expectAnswers()
  })

  test('while it reads the prompt: the caller gets an error status, the next request succeeds', async () => {
    await unloadAll()
    await post(program.url, '/api/generate', { model: 'smollm2:135m', prompt: '' })
    const [runner] = await runners(pid())
    const working = await atWork(runner?.pid ?? 0)
    const asked = post(program.url, '/api/generate', { model: 'smollm2:135m', prompt: 'word '.repeat(6000), stream: false, options: { num_ctx: 8192 } })
    await expect.poll(working).toBe(true)
    expect(await killRunners()).toBe(1)
    const answer = await asked
    expect([answer.status, typeof answer.body.error]).toEqual([500, 'string'])
    await expectAnswers()
  })

  test('while it writes: the stream ends with an error frame after the text so far, the next request succeeds', async () => {
    await unloadAll()
    const response = await fetch(`${program.url}/api/generate`, {
      method: 'POST',
      body: JSON.stringify({ model: 'endless', prompt: 'a', options: { temperature: 0, num_predict: -1 } }),
    })
    let text = ''
    let killed = 0
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (killed === 0) killed = await killRunners()
    }
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines[0]).toMatchObject({ model: 'endless', done: false })
    expect(lines.at(-1)).toEqual({ error: expect.any(String) })
    await noneLeft()
    await expectAnswers()
  })

  test('while it writes to an OpenAI client: the stream ends with an error event and [DONE] never comes', async () => {
    const response = await fetch(`${program.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'endless', messages: [{ role: 'user', content: 'a' }], stream: true, temperature: 0 }),
    })
    let text = ''
    let killed = 0
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (killed === 0) killed = await killRunners()
    }
    const events = text.trimEnd().split('\n\n')
    expect(JSON.parse(events.at(-1)?.replace(/^data: /, '') ?? '')).toMatchObject({ error: { message: expect.any(String), type: 'api_error' } })
    await noneLeft()
    await expectAnswers()
  })

  test.each([
    ['/v1/responses', { input: 'a' }, { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error' } } }],
    ['/v1/messages', { messages: [{ role: 'user', content: 'a' }], max_tokens: 100_000 }, { type: 'error', error: { type: 'api_error' }, request_id: 'lost' }],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'a' }], n: 3 }, { error: { type: 'api_error' } }],
  ])("while it writes to a client of %s: the stream ends with the dialect's own event", async (path, body, last) => {
    const response = await fetch(program.url + path, {
      method: 'POST',
      headers: { 'x-request-id': 'lost' },
      body: JSON.stringify({ model: 'endless', stream: true, temperature: 0, ...body }),
    })
    let text = ''
    let killed = 0
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk
      if (killed === 0 && /delta/.test(text)) killed = await killRunners()
    }
    const frame = text.trimEnd().split('\n\n').at(-1) ?? ''
    expect(JSON.parse(frame.slice(frame.indexOf('data: ') + 6))).toMatchObject(last)
    await noneLeft()
    await expectAnswers()
  })

  test('while it embeds: the caller gets an error status, the next request succeeds', async () => {
    await unloadAll()
    const input = Array.from({ length: 600 }, (_, index) => `sentence ${index} `.repeat(40))
    await post(program.url, '/api/embed', { model: 'all-minilm', input: 'warm' })
    const [runner] = await runners(pid())
    const working = await atWork(runner?.pid ?? 0)
    const asked = post(program.url, '/api/embed', { model: 'all-minilm', input })
    await expect.poll(working).toBe(true)
    expect(await killRunners()).toBe(1)
    const answer = await asked
    expect([answer.status >= 400, typeof answer.body.error]).toEqual([true, 'string'])
    expect((await post(program.url, '/api/embed', { model: 'all-minilm', input: 'again' })).status).toBe(200)
  })

  test('while it is idle: it leaves the list, the next request succeeds', async () => {
    await expectAnswers()
    await killRunners()
    await noneLeft()
    await expectAnswers()
  })

  test('leaves the other replies of the server alone', async () => {
    await unloadAll()
    await expectAnswers()
    const [other] = await runners(pid())
    const response = await fetch(`${program.url}/api/generate`, {
      method: 'POST',
      body: JSON.stringify({ model: 'bystander', prompt: 'a', options: { temperature: 0, num_predict: 2000 } }),
    })
    if (other) process.kill(other.pid, 'SIGKILL')
    const text = await response.text()
    expect(JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ done: true, done_reason: 'length' })
  })
})
