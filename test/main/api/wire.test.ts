import { expect, test } from 'vitest'
import { RequestTrace } from '../../../main/api/trace.ts'
import { type Encoder, ndjson, started } from '../../../main/api/wire.ts'
import { AppError } from '../../../main/errors.ts'
import { Log } from '../../../main/lib/log.ts'
import type { RequestRecord } from '../../../main/requests/request-log.ts'

const records: RequestRecord[] = []
const trace = () => new RequestTrace({ method: 'POST', path: '/x', client: '' }, new Log('error'), (record) => records.push(record))
const plain: Encoder<string> = { encode: (event) => `${event}\n`, fail: ({ status, message }) => `${status} ${message}\n` }

async function* numbers(count: number, seen: { at: number }): AsyncGenerator<string> {
  for (let at = 0; at < count; at++) {
    seen.at = at
    yield 'x'.repeat(1024)
  }
}

test('events that come in one turn of the event loop leave in one write', async () => {
  async function* burst() {
    yield* ['a', 'b', 'c']
    await new Promise((resolve) => setTimeout(resolve, 20))
    yield 'd'
  }
  const chunks: string[] = []
  for await (const chunk of ndjson(burst(), plain, trace()).body!) chunks.push(Buffer.from(chunk).toString())
  expect(chunks).toEqual(['a\nb\nc\n', 'd\n'])
})

test('a reader that does not read holds the events back', async () => {
  const seen = { at: 0 }
  const reader = ndjson(numbers(10_000, seen), plain, trace()).body!.getReader()
  await reader.read()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(seen.at).toBeLessThan(1000)
  let bytes = 0
  for (let result = await reader.read(); !result.done; result = await reader.read()) bytes += result.value.length
  expect(seen.at).toBe(9999)
  expect(bytes).toBeGreaterThan(9000 * 1024)
})

test('a reader that goes away closes the events', async () => {
  let closed = false
  async function* endless() {
    try {
      for (;;) {
        yield 'a'
        await new Promise((resolve) => setImmediate(resolve))
      }
    } finally {
      closed = true
    }
  }
  const reader = ndjson(endless(), plain, trace()).body!.getReader()
  await reader.read()
  await reader.cancel()
  expect(closed).toBe(true)
  await expect.poll(() => records.at(-1)?.status).toBe(499)
})

test('an error is the last frame', async () => {
  async function* broken() {
    yield 'a'
    throw new AppError('runner-crashed', 'gone')
  }
  expect(await ndjson(broken(), plain, trace()).text()).toBe('a\n500 gone\n')
  expect(records.at(-1)).toMatchObject({ error: 'gone' })
})

test('started() throws what comes before the first event, and gives the first again', async () => {
  async function* events(...list: (string | Error)[]) {
    for (const event of list) {
      if (event instanceof Error) throw event
      yield event
    }
  }
  await expect(started(events('skip', new Error('x')), (event) => event === 'skip')).rejects.toThrow('x')
  const begun = await started(events('skip', 'a', 'b'), (event) => event === 'skip')
  const all: string[] = []
  for await (const event of begun) all.push(event)
  expect([begun.first, all]).toEqual(['a', ['a', 'b']])
  expect((await started(events())).first).toBeNull()
})
