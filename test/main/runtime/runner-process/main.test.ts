import { once } from 'node:events'
import { expect, test } from 'vitest'
import type { ContextInfo, EmbedResult, LoadedInfo } from '../../../../main/runtime/protocol.ts'
import { criaFile, minilmFile } from '../../../helpers/library.ts'
import { chat, contextOf, loadOptionsOf, requestOf } from '../../../helpers/runner-requests.ts'
import { ForkedRunner } from './forked-runner.ts'

test('a forked runner loads, makes a context and writes a reply', async () => {
  await using runner = await new ForkedRunner().start()
  const { text, done, events } = await runner.reply(requestOf(chat('What is the capital of France?')))
  expect(text).toBe('The capital of France is Paris.')
  expect(done).toMatchObject({ reason: 'stop', stopString: null, stats: { cachedTokens: 0, cutTokens: 0 } })
  expect(events[0]).toMatchObject({ type: 'prompt', evaluatedTokens: 0 })
})

test('a forked runner tokenises and detokenises', async () => {
  await using runner = await new ForkedRunner().start()
  const tokens = await runner.call<number[][]>({ type: 'tokenize', texts: ['<|im_start|>héllo 🦊'], addSpecial: false, parseSpecial: true })
  expect(await runner.call({ type: 'detokenize', tokens: tokens[0] as number[] })).toBe('<|im_start|>héllo 🦊')
})

test('a forked runner goes on after a cancelled reply', async () => {
  await using runner = await new ForkedRunner().start({ slots: 1 })
  const endless = runner.send({ type: 'generate', request: requestOf('Once upon a time', { maxTokens: -1, stopAtEog: false }) })
  await runner.next((message) => (message.type === 'step' && message.events.some(([, event]) => event.type === 'text') ? true : undefined))
  runner.cancel(endless)
  const { text } = await runner.reply(requestOf(chat('What is the capital of France?')))
  expect(text).toBe('The capital of France is Paris.')
})

test('a runner ends when the server goes', async () => {
  await using runner = await new ForkedRunner().start()
  const exit = once(runner.child, 'exit')
  runner.child.disconnect()
  await exit
})

test('a forked runner tells what it loaded', async () => {
  await using runner = new ForkedRunner()
  const info = await runner.call<LoadedInfo>({ type: 'load', options: loadOptionsOf(criaFile) })
  expect(info).toMatchObject({
    trainedContextLength: 2048,
    vocabularySize: 2048,
    layers: 4,
    hasDecoder: true,
    hasEncoder: false,
    rewindable: true,
    devices: ['CPU'],
  })
  expect(info.memory.weights.CPU).toBeGreaterThan(3_000_000)
  expect(runner.messages.some((message) => message.type === 'progress' && message.fraction === 1)).toBe(true)
})

test('a context of another length serves new replies while running ones end on the old', async () => {
  await using runner = await new ForkedRunner().start({ contextLength: 256 })
  const request = requestOf('Once upon a time', { maxTokens: 400, stopAtEog: false })
  const old = runner.send({ type: 'generate', request })
  await runner.next((message) => (message.type === 'step' && message.events.some(([, event]) => event.type === 'text') ? true : undefined))
  const info = await runner.call<ContextInfo>({ type: 'context', options: contextOf({ contextLength: 1024 }) })
  const fresh = await runner.reply({ ...request, shift: false })
  const first = await runner.end(old)
  expect(info.contextLength).toBe(1024)
  expect({ old: first.done.stats.shifts > 0, new: [fresh.done.stats.shifts, fresh.done.stats.completionTokens] }).toEqual({ old: true, new: [0, 400] })
})

test('the same context asked for again is the one there is', async () => {
  await using runner = await new ForkedRunner().start()
  await runner.reply(requestOf('Once upon a time', { maxTokens: 5, stopAtEog: false }))
  await runner.call({ type: 'context', options: contextOf() })
  const { done } = await runner.reply(requestOf('Once upon a time', { maxTokens: 1 }))
  expect(done.stats.cachedTokens).toBe(done.stats.promptTokens - 1)
})

test('a request that comes while a context is made begins on it', async () => {
  await using runner = new ForkedRunner()
  await runner.call({ type: 'load', options: loadOptionsOf(criaFile) })
  runner.send({ type: 'context', options: contextOf() })
  const { text } = await runner.reply(requestOf(chat('What is the capital of France?')))
  expect(text).toBe('The capital of France is Paris.')
})

test('a context that cannot be made leaves the one there was', async () => {
  await using runner = await new ForkedRunner().start()
  const impossible = contextOf({ kvCacheType: 'q4_0', flashAttention: false })
  const running = runner.send({ type: 'generate', request: requestOf('Once upon a time', { maxTokens: 300, stopAtEog: false }) })
  await expect(runner.call({ type: 'context', options: impossible })).rejects.toMatchObject({ code: 'load-failed' })
  await runner.end(running)
  await expect(runner.call({ type: 'context', options: impossible })).rejects.toMatchObject({ code: 'load-failed' })
  expect((await runner.reply(requestOf(chat('What is the capital of France?')))).text).toBe('The capital of France is Paris.')
})

test('a context is no longer than the model was trained for', async () => {
  await using runner = await new ForkedRunner().start()
  const info = await runner.call<ContextInfo>({ type: 'context', options: contextOf({ contextLength: 1_000_000, slots: 1 }) })
  expect(info.contextLength).toBe(2048)
})

test('a forked runner refuses a file that is no model, in its own words', async () => {
  await using runner = new ForkedRunner()
  await expect(runner.call({ type: 'load', options: loadOptionsOf(import.meta.filename) })).rejects.toMatchObject({ code: 'invalid-model' })
})

test('a load can be cancelled', async () => {
  await using runner = new ForkedRunner()
  const id = runner.send({ type: 'load', options: loadOptionsOf(minilmFile) })
  runner.cancel(id)
  const error = await runner.next((message) => (message.type === 'error' && message.id === id ? message.error : undefined))
  expect(error.code).toBe('cancelled')
})

test('errors cross the border with their figures', async () => {
  await using runner = await new ForkedRunner().start()
  await expect(runner.reply(requestOf('word '.repeat(300), { contextLength: 64 }))).rejects.toMatchObject({
    code: 'context-exceeded',
    details: { contextLength: 64 },
  })
})

test('a model that only embeds refuses to write', async () => {
  await using runner = new ForkedRunner()
  await runner.call({ type: 'load', options: loadOptionsOf(minilmFile) })
  await expect(runner.call({ type: 'context', options: contextOf() })).rejects.toMatchObject({ code: 'invalid-request' })
  const request = { inputs: ['hello', ''], contextLength: 256, truncate: true, batchSize: 512, threads: 1, adapters: [] }
  const { embeddings } = await runner.call<EmbedResult>({ type: 'embed', request })
  expect(embeddings.map(({ length }) => length)).toEqual([384, 384])
})

test('what replies bring side by side comes in one message, and text waits a little for more', async () => {
  await using runner = await new ForkedRunner().start({ slots: 4 })
  const ids = ['a', 'b', 'c', 'd'].map((text) => runner.send({ type: 'generate', request: requestOf(text, { maxTokens: 60, stopAtEog: false }) }))
  await Promise.all(ids.map((id) => runner.end(id)))
  const steps = runner.messages.filter((message) => message.type === 'step')
  const events = steps.flatMap((message) => message.events)
  expect(steps.some((message) => new Set(message.events.map(([id]) => id)).size === 4)).toBe(true)
  expect(steps.length).toBeLessThan(events.length / 3)
})

test('a running runner is heard each second, with what it does', async () => {
  await using runner = await new ForkedRunner().start({ slots: 1 })
  const request = requestOf('Once upon a time', { maxTokens: -1, stopAtEog: false })
  const ids = [runner.send({ type: 'generate', request }), runner.send({ type: 'generate', request })]
  const beat = await runner.next((message) => (message.type === 'heartbeat' && message.running > 0 ? message : undefined))
  expect(beat).toMatchObject({ running: 1, queued: 1 })
  for (const id of ids) runner.cancel(id)
  await runner.next((message) => (message.type === 'heartbeat' && message !== beat && message.running + message.queued === 0 ? true : undefined))
})
