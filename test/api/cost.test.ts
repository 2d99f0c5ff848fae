import { afterAll, beforeAll, expect, test } from 'vitest'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

let server: TestServer
/** What the server has asked of its child processes since it was last emptied. */
const asked: string[] = []
const turns = (count: number) => Array.from({ length: count }, (_, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: 'a' }))

beforeAll(async () => {
  server = await startTestServer({
    watch: (child, { type }) => {
      if (child === 'template-process') asked.push('render')
      else if (child === 'runner-process') asked.push(type ?? 'unknown')
    },
  })
  await addModel(server.url, 'cria', criaFile)
  // The first request of a model loads it, and finds out how its template writes thinking.
  await chat(turns(1))
})
afterAll(() => server?.[Symbol.asyncDispose]())

async function chat(messages: object[], more: object = {}) {
  const { status, body } = await post(server.url, '/api/chat', { model: 'cria', messages, stream: false, options: { temperature: 0, num_predict: 4 }, ...more })
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

/** What one chat asks of the child processes. */
async function cost(messages: object[], more?: object): Promise<{ asked: Record<string, number>; body: Record<string, unknown> }> {
  asked.length = 0
  const body = await chat(messages, more)
  return { asked: Object.fromEntries(['render', 'tokenize', 'generate', 'context'].map((kind) => [kind, asked.filter((one) => one === kind).length])), body }
}

test('a chat of 200 messages that fits is rendered once and tokenised once', async () => {
  const { asked, body } = await cost(turns(199))
  expect([asked, 'truncation' in body]).toEqual([{ render: 1, tokenize: 1, generate: 1, context: 0 }, false])
  expect(body.prompt_eval_count).toBeGreaterThan(800)
})

test('its next turn as well, and it reads the new messages only', async () => {
  const first = await cost(turns(197))
  const next = await cost(turns(199))
  expect(next.asked).toEqual({ render: 1, tokenize: 1, generate: 1, context: 0 })
  expect(next.body.prompt_eval_cached_count).toBeGreaterThan(Number(first.body.prompt_eval_count) * 0.95)
})

test('one that does not fit is rendered three times at most', async () => {
  const { asked, body } = await cost(turns(599))
  expect([asked.render! <= 3, asked.tokenize! <= 4, asked.generate, 'truncation' in body]).toEqual([true, true, 1, true])
})

test('the tokens that were counted are those that are read', async () => {
  const { body } = await cost(turns(5))
  const rendered = (await chat(turns(5), { _debug_render_only: true }))._debug_info as { rendered_template: string }
  const { body: counted } = await post(server.url, '/api/tokenize', { model: 'cria', text: rendered.rendered_template, add_special: true })
  expect((counted.tokens as number[]).length).toBe(body.prompt_eval_count)
})
