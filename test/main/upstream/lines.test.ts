import { describe, expect, test } from 'vitest'
import { eventData, lines } from '../../../main/upstream/lines.ts'

const fail = (what: string) => new Error(`the engine ${what}`)

async function* cut(text: string, at: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let from = 0; from < bytes.length; from += at) yield bytes.subarray(from, from + at)
}

describe('lines()', () => {
  test('reads either line end, and characters that are cut anywhere', async () => {
    const text = 'a\r\nzwölf Boxkämpfer 🥊\n\n最后'
    for (let at = 1; at <= Buffer.byteLength(text); at++) {
      expect(await Array.fromAsync(lines(cut(text, at), fail))).toEqual(['a', 'zwölf Boxkämpfer 🥊', '', '最后'])
    }
  })

  test('gives a line as soon as it is whole', async () => {
    const source = Promise.withResolvers<void>()
    async function* slow() {
      yield Buffer.from('first\nsec')
      await source.promise
      yield Buffer.from('ond\n')
    }
    const reading = lines(slow(), fail)
    expect((await reading.next()).value).toBe('first')
    source.resolve()
    expect((await reading.next()).value).toBe('second')
  })

  test('refuses a line without an end', async () => {
    async function* endless() {
      for (;;) yield Buffer.alloc(1024 * 1024, 'a')
    }
    await expect(Array.fromAsync(lines(endless(), fail))).rejects.toThrow('the engine sends a line of more than 16 MB')
  })
})

describe('eventData()', () => {
  async function* of(...source: string[]) {
    yield* source
  }

  test('skips comments and other fields, joins the lines of one event', async () => {
    const source = of(': ping', '', 'event: delta', 'id: 7', 'data: {"a":', 'data:1}', '', 'retry: 3', '', 'data: [DONE]')
    expect(await Array.fromAsync(eventData(source, fail))).toEqual(['{"a":\n1}', '[DONE]'])
  })

  test('refuses an event without an end', async () => {
    async function* endless() {
      for (;;) yield `data: ${'a'.repeat(1024 * 1024)}`
    }
    await expect(Array.fromAsync(eventData(endless(), fail))).rejects.toThrow('the engine sends an event of more than 16 MB')
  })
})
