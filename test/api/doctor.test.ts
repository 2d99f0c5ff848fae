import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addEndlessModel } from '../helpers/endless.ts'
import { postLines } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'
import { run } from '../main/cli/fake-terminal.ts'

interface Line {
  status: string
  result?: { id: string; status: string; claimed: boolean; evidence: string }
  summary?: { passed: number; failed: number; not_applicable: number; broken: string[] }
}

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addEndlessModel(server.url)
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** What cria was trained for, and a grammar sees to. */
const able = ['answer', 'stop', 'schema', 'thinking-on', 'thinking-off', 'call', 'tool-result', 'tool-required', 'no-call']

const ask = async (url: string, model: string) => (await postLines(url, '/api/doctor', { model })) as unknown as Line[]
const passed = (lines: Line[]) => lines.flatMap(({ result }) => (result?.status === 'passed' ? [result.id] : []))

describe('/api/doctor', { timeout: 120_000 }, () => {
  test('finds that cria does all that its template promises', async () => {
    const lines = await ask(server.url, 'cria')
    expect(passed(lines)).toEqual(expect.arrayContaining(able))
    expect(lines.at(-1)).toMatchObject({ status: 'success', summary: { broken: [], not_applicable: 0 } })
    expect(lines.find(({ result }) => result?.id === 'call')?.result?.evidence).toBe('get_weather({"city":"Paris"})')
  })

  test('finds the same of a model that lives in an engine elsewhere', async () => {
    await using far = await startTestServer()
    await addModel(far.url, 'cria', criaFile)
    await server.services.upstreams.add({ name: 'far', url: far.url, key: '', protocol: null }, AbortSignal.timeout(20_000))
    const lines = await ask(server.url, 'far/cria:latest')
    // An Ollama-compatible engine cannot be told that a tool must be called.
    expect(passed(lines)).toEqual(expect.arrayContaining(able.filter((id) => id !== 'tool-required')))
  })

  test('a model that is not there is a 404, one that cannot chat a 400', async () => {
    const statuses = ['nothing-here', 'all-minilm', ''].map(async (model) => {
      const response = await fetch(`${server.url}/api/doctor`, { method: 'POST', body: JSON.stringify({ model }) })
      return [response.status, ((await response.json()) as { error: string }).error]
    })
    expect(await Promise.all(statuses)).toEqual([
      [404, "model 'nothing-here' not found"],
      [400, '"all-minilm" does not support chat'],
      [400, 'model is required'],
    ])
  })

  test('hanging up ends it and frees the slot', async () => {
    const leaving = new AbortController()
    const response = await fetch(`${server.url}/api/doctor`, { method: 'POST', body: '{"model":"endless"}', signal: leaving.signal })
    await expect(async () => {
      for await (const bytes of response.body ?? []) if (Buffer.from(bytes).includes('checking')) leaving.abort()
    }).rejects.toThrow('abort')
    await expect.poll(() => server.slotsInUse()).toBe(0)
  })
})

describe('paddock doctor', { timeout: 120_000 }, () => {
  test('shows a table and a summary, and ends well for a model that keeps its promises', async () => {
    const { code, output, errors } = await run(['doctor', 'cria'], { url: server.url })
    expect(output).toMatch(/^CHECK {2,}RESULT {2,}TIME {2,}WHY\nanswers a question {2,}passed {2,}\d+\.\d s\n/)
    expect(output).toMatch(/\ncria: \d+ passed, \d failed, none of which its file promises\n$/)
    expect(errors).toContain('2 of 14: stops by itself')
    expect(code).toBe(0)
  })

  test('ends with 1 for a model that does not stop', async () => {
    const { code, output, errors } = await run(['doctor', 'endless'], { url: server.url })
    expect(output).toMatch(/\nstops by itself {2,}FAILED {2,}\d+\.\d s {2,}it went on until it was stopped\n/)
    expect(output).toMatch(/\ncalls a tool {2,}- {2,}its template has no tools\n/)
    expect([code, errors]).toEqual([1, expect.stringMatching(/Error: endless does not do what it is said to: (\S+, )*stop/)])
  })

  test('is honest about the model that ships', async () => {
    const { output } = await run(['doctor', 'smollm2:135m', '-v'], { url: server.url })
    expect(output).toMatch(/\nanswers by a JSON Schema {2,}passed /)
    expect(output).toMatch(/\nanswers by a JSON Schema:\n {2}\{.*\}\n/)
    expect(output).toMatch(/ 7 do not apply\n$/)
  })
})
