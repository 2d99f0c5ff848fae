import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { deviations, type Exchange, type Scenario } from '../helpers/golden.ts'
import type { Answer } from '../helpers/http.ts'

const folder = path.resolve(import.meta.dirname, '../fixtures/golden')
const read = (name: string) => (JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as Scenario).steps
const exchanges = ['general', 'generate', 'chat', 'embed', 'library', 'anthropic', 'openai', 'origins'].flatMap(read)

/** A recorded answer as it went over the wire. */
function answerOf({ response }: Exchange): Answer {
  const text =
    response.text ??
    response.lines?.map((line) => `${JSON.stringify(line)}\n`).join('') ??
    response.events?.map(({ data }) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`).join('') ??
    JSON.stringify(response.body)
  return { status: response.status, headers: response.headers, text }
}

const found = (exchange: Exchange, answer: Answer) => deviations(exchange, answer, '/models').map(({ at }) => at)
const exchange = (scenario: string, id: string) => read(scenario).find((step) => step.id === id) as Exchange
const changed = (from: Exchange, before: string, after: string) => {
  const answer = answerOf(from)
  expect(answer.text).toContain(before)
  return found(from, { ...answer, text: answer.text.replaceAll(before, after) })
}

test('deviations() finds none between a recording and itself', () => {
  const odd = exchanges.map((step) => [step.id, found(step, answerOf(step))]).filter(([, list]) => list?.length !== 0)
  expect(odd).toEqual([])
})

test('deviations() finds another word, count, key, status and header', () => {
  const plain = exchange('generate', 'plain')
  expect(changed(plain, 'Paris', 'Rome')).toEqual(['body.response'])
  expect(changed(plain, '"eval_count":12', '"eval_count":13')).toEqual(['body.eval_count'])
  expect(changed(plain, '"done_reason":"stop",', '')).toEqual(['body.done_reason'])
  expect(found(plain, { ...answerOf(plain), status: 500 })).toEqual(['status'])
  expect(found(plain, { ...answerOf(plain), headers: {} })).toEqual(['headers.content-type'])
})

test('deviations() lets times, ids and further keys be', () => {
  const plain = exchange('generate', 'plain')
  expect(changed(plain, '"done":true', '"done":true,"cached":3')).toEqual([])
  const chat = exchange('openai', 'chat')
  expect(changed(chat, 'chatcmpl-', 'chatcmpl-1')).toEqual([])
})

test('deviations() compares what a stream adds up to, not its chunks', () => {
  const stream = exchange('generate', 'stream')
  expect(changed(stream, '"response":" F"', '"response":" Fran"').length).toBeGreaterThan(0)
  const merged = answerOf(stream)
    .text.replace(/.*"response":"ran".*\n/, '')
    .replace('"response":"ce"', '"response":"rance"')
  expect(found(stream, { ...answerOf(stream), text: merged })).toEqual([])
})

test('deviations() compares the blocks and the end of an Anthropic stream, wherever a ping stands', () => {
  const stream = exchange('anthropic', 'tool-stream')
  const blocks = ['stream.blocks[0].pieces', 'stream.blocks[0].name', 'stream.end.delta.stop_reason', 'stream.types[4]']
  expect([
    changed(stream, 'Paris', 'Rome'),
    changed(stream, 'get_weather', 'weather'),
    changed(stream, '"stop_reason":"tool_use"', '"stop_reason":"end_turn"'),
    changed(stream, '"type":"message_delta"', '"type":"message_end"').slice(-1),
  ]).toEqual(blocks.map((at) => [at]))
  expect(changed(stream, 'data: {"type":"content_block_stop"', 'data: {"type":"ping"}\n\ndata: {"type":"content_block_stop"')).toEqual([])
})

test('deviations() compares vectors by their angle', () => {
  const embed = exchange('embed', 'dimensions')
  expect(changed(embed, '0.15366796', '0.1537')).toEqual([])
  expect(changed(embed, '0.15366796', '0.9').length).toBe(1)
})

test('deviations() wants an error text where the peer quotes its own machinery, and the same text elsewhere', () => {
  expect(changed(exchange('generate', 'model-number'), 'json: cannot unmarshal number into', 'our own words:')).toEqual([])
  expect(changed(exchange('generate', 'unknown-model'), 'not found', 'missing')).toEqual(['body.error'])
})
