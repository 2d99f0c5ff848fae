import { expect, test } from 'vitest'
import { chat, greedy, requestOf } from '../../../helpers/runner-requests.ts'
import { RunningEngine } from './running-engine.ts'

const story = 'Once upon a time there was a fox who lived in the'
const longPrompt = (words: number) => `${'word '.repeat(words)}\n`
const endless = { stopAtEog: false, maxTokens: 60 }

test('a reply ends with the stop token, which is not written', async () => {
  using engine = await RunningEngine.start()
  const { text, done } = await engine.write(chat('What is the capital of France?'))
  expect({ text, reason: done.reason, stopString: done.stopString }).toEqual({ text: 'The capital of France is Paris.', reason: 'stop', stopString: null })
})

test('maxTokens ends a reply with length', async () => {
  using engine = await RunningEngine.start()
  const { done } = await engine.write(story, { maxTokens: 5, stopAtEog: false })
  expect(done).toMatchObject({ reason: 'length', stats: { completionTokens: 5 } })
})

test('maxTokens 0 evaluates the prompt and writes nothing', async () => {
  using engine = await RunningEngine.start()
  const { text, done } = await engine.write(story, { maxTokens: 0 })
  expect({ text, reason: done.reason, tokens: done.stats.completionTokens }).toEqual({ text: '', reason: 'length', tokens: 0 })
})

test('a stop string ends a reply across token borders and is not written', async () => {
  using engine = await RunningEngine.start()
  const { text, done } = await engine.write(chat('What is the capital of France?'), { stop: ['of Fra'] })
  expect({ text, reason: done.reason, stopString: done.stopString }).toEqual({ text: 'The capital ', reason: 'stop', stopString: 'of Fra' })
})

test('returnTokens gives prompt and reply without the token that ended it', async () => {
  using engine = await RunningEngine.start()
  const { model } = engine.context
  const prompt = chat('What is the capital of France?')
  const { done } = await engine.write(prompt, { returnTokens: true })
  expect(model.detokenize(done.tokens ?? [])).toBe(`${prompt}The capital of France is Paris.`)
})

test('a prompt of token ids is taken as it is', async () => {
  using engine = await RunningEngine.start()
  const tokens = engine.context.model.tokenize(chat('What is the capital of France?'), { addSpecial: true, parseSpecial: true })
  expect((await engine.write(tokens)).text).toBe('The capital of France is Paris.')
})

test('the tokens of the text events add up to those of the reply', async () => {
  using engine = await RunningEngine.start()
  const { events, done } = await engine.write(story, { ...endless, stopAtEog: true, stop: ['zzz'] })
  const counted = events.reduce((sum, event) => sum + (event.type === 'text' ? event.tokens : 0), 0)
  expect(done.stats.completionTokens - counted).toBeLessThanOrEqual(1)
})

test('showSpecial writes special tokens', async () => {
  using engine = await RunningEngine.start()
  const more = { maxTokens: 30, stopAtEog: false }
  const shown = await engine.write(chat('What is the capital of France?'), { ...more, showSpecial: true })
  const hidden = await engine.write(chat('What is the capital of France?'), more)
  expect([shown.text.includes('<|im_start|>'), hidden.text.includes('<|im_start|>')]).toEqual([true, false])
})

test('a prefix that is cached gives what a fresh evaluation gives', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  const fresh = await engine.write(chat('What is the capital of France?'))
  await engine.write(chat('What is the capital of Italy?'))
  const cached = await engine.write(chat('What is the capital of France?'))
  expect(cached.text).toBe(fresh.text)
  expect(cached.done.stats.cachedTokens).toBeGreaterThan(5)
})

test('a second turn evaluates only what is new', async () => {
  using engine = await RunningEngine.start()
  const first = chat('What is the capital of France?')
  const { text } = await engine.write(first)
  const { done } = await engine.write(`${first}${text}<|im_end|>\n${chat('And of Italy?')}`)
  const firstTokens = engine.context.model.tokenize(first + text, { addSpecial: true, parseSpecial: true }).length
  expect(done.stats.cachedTokens).toBeGreaterThanOrEqual(firstTokens - 1)
})

test('cachePrompt false starts afresh and leaves nothing', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  await engine.write(story, { ...endless, cachePrompt: false })
  const { done } = await engine.write(story, { ...endless, cachePrompt: true })
  expect(done.stats.cachedTokens).toBe(0)
})

test.each([false, true])('a prefix shared with a running reply gives what a fresh evaluation gives (unified: %s)', async (unified) => {
  using engine = await RunningEngine.start({ slots: 2, contextLength: 512, unified, cells: 1024 })
  const before = ['Spain', 'Italy', 'Japan', 'Egypt'].map((country) => `${chat(`What is the capital of ${country}?`)}It is.<|im_end|>\n`).join('')
  const prompt = before + chat('What is the capital of France?')
  const fresh = await engine.write(prompt, { cachePrompt: false })
  const other = await engine.submit(requestOf(`${before}${story}`, { maxTokens: 100, stopAtEog: false }))
  await engine.next(other, ({ type }) => type === 'text')
  const shared = await engine.write(prompt)
  expect(shared.done.stats.cachedTokens).toBeGreaterThan(64)
  expect(shared.text).toBe(fresh.text)
  await engine.end(other)
})

test('another chat that began alike keeps its cells', async () => {
  using engine = await RunningEngine.start({ slots: 2, contextLength: 512 })
  const system = longPrompt(100)
  const first = `${system}${longPrompt(30)}The first chat: ${longPrompt(100)}`
  await engine.write(first, { maxTokens: 1 })
  await engine.write(`${system}Something else`, { maxTokens: 1 })
  const { done } = await engine.write(first, { maxTokens: 1 })
  expect(done.stats.cachedTokens).toBe(done.stats.promptTokens - 1)
})

test('a full context drops half of what is not kept and goes on', async () => {
  using engine = await RunningEngine.start({ slots: 1, contextLength: 256 })
  const { done } = await engine.write(story, { maxTokens: 400, stopAtEog: false, contextLength: 96, keep: 4 })
  expect(done).toMatchObject({ reason: 'length', stats: { completionTokens: 400 } })
  expect(done.stats.shifts).toBeGreaterThan(3)
  expect(done.stats.shiftedTokens).toBeGreaterThan(300 - 96)
})

test('without shift a full context ends the reply with length', async () => {
  using engine = await RunningEngine.start({ slots: 1, contextLength: 256 })
  const { done } = await engine.write(story, { maxTokens: 400, stopAtEog: false, contextLength: 96, shift: false })
  expect(done.reason).toBe('length')
  expect(done.stats.promptTokens + done.stats.completionTokens).toBe(97)
})

test('a prompt longer than the context is refused with its figures', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  await expect(engine.write(longPrompt(300), { contextLength: 100 })).rejects.toMatchObject({
    code: 'context-exceeded',
    details: { contextLength: 100, promptTokens: expect.any(Number) },
  })
})

test('an over-long prompt loses its middle when that is asked for', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  const { model } = engine.context
  const prompt = model.tokenize(longPrompt(300), { addSpecial: false, parseSpecial: false })
  const { done } = await engine.write(prompt, { contextLength: 100, overflow: 'cut-middle', keep: 10, maxTokens: 1, returnTokens: true })
  expect(done.tokens?.slice(0, 99)).toEqual([...prompt.slice(0, 10), ...prompt.slice(-89)])
  expect(done.stats).toMatchObject({ promptTokens: 99, cutTokens: prompt.length - 99 })
})

test('a cancelled prompt is dropped in the middle of a decode', async () => {
  using engine = await RunningEngine.start({ slots: 1, contextLength: 2048, batchSize: 2048 })
  const id = await engine.submit(requestOf(longPrompt(900)))
  await engine.next(id, ({ type }) => type === 'prompt')
  expect(engine.engine.cancel(id)).toBe(true)
  const { text } = await engine.write(chat('What is the capital of France?'))
  expect(text).toBe('The capital of France is Paris.')
  expect(engine.eventsOf(id).filter(({ type }) => type === 'text')).toEqual([])
})

test('a cancelled reply frees its slot and leaves its cells for the next', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  const id = await engine.submit(requestOf(story, { maxTokens: -1, stopAtEog: false }))
  await engine.next(id, ({ type }) => type === 'text')
  engine.engine.cancel(id)
  await engine.engine.whenIdle()
  const { done } = await engine.write(story, { maxTokens: 1 })
  expect([engine.engine.running, done.stats.cachedTokens]).toEqual([0, done.stats.promptTokens - 1])
})

test('a request that waits for a slot can be cancelled', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  const running = await engine.submit(requestOf(story, endless))
  const waiting = await engine.submit(requestOf(story, endless))
  engine.engine.cancel(waiting)
  await engine.end(running)
  await engine.engine.whenIdle()
  expect(engine.eventsOf(waiting)).toEqual([])
})

test('a reply goes on while a long prompt is evaluated', async () => {
  using engine = await RunningEngine.start({ slots: 2, contextLength: 2048, batchSize: 512 })
  const running = await engine.submit(requestOf(story, { maxTokens: -1, stopAtEog: false }))
  await engine.next(running, ({ type }) => type === 'text')
  const long = await engine.submit(requestOf(longPrompt(1400), { maxTokens: 1 }))
  await engine.end(long)
  engine.engine.cancel(running)
  const begun = engine.log.findIndex(([id]) => id === long)
  const order = engine.log.slice(begun).map(([id, { type }]) => `${id === long ? 'long' : 'running'} ${type}`)
  const between = order.slice(0, order.indexOf('long text'))
  expect(between.filter((entry) => entry === 'long prompt').length).toBeGreaterThan(2)
  expect(between.filter((entry) => entry === 'running text').length).toBeGreaterThan(2)
})

test('replies that run together write what each writes alone', async () => {
  using engine = await RunningEngine.start({ slots: 3 })
  const questions = ['What is the capital of France?', 'What is the capital of Italy?', 'What is the sun?'].map((question) => chat(question))
  const alone = []
  for (const question of questions) alone.push((await engine.write(question)).text)
  const together = await Promise.all(questions.map((question) => engine.write(question, { cachePrompt: false })))
  expect(together.map(({ text }) => text)).toEqual(alone)
})

test('a pool that is too small for all evicts what is idle and ends what cannot go on', async () => {
  using engine = await RunningEngine.start({ slots: 3, contextLength: 512, unified: true, cells: 512 })
  await engine.write(longPrompt(200), { maxTokens: 1 })
  await engine.write(`b${longPrompt(200)}`, { maxTokens: 1 })
  const { done } = await engine.write(`c${longPrompt(300)}`, { maxTokens: 20, stopAtEog: false })
  expect(done).toMatchObject({ reason: 'length', stats: { completionTokens: 20 } })
})

test('the state after a shared pool runs dry is sound', async () => {
  using engine = await RunningEngine.start({ slots: 2, contextLength: 512, unified: true, cells: 512 })
  await Promise.all([
    engine.write(longPrompt(150), { maxTokens: 250, stopAtEog: false, shift: false }),
    engine.write(`x${longPrompt(150)}`, { maxTokens: 250, stopAtEog: false, shift: false }),
  ])
  expect((await engine.write(chat('What is the capital of France?'))).text).toBe('The capital of France is Paris.')
})

test.each([
  ['a token that the vocabulary lacks', requestOf([1, 99_999])],
  ['a negative token', requestOf([-1])],
  ['a bias on a token that the vocabulary lacks', requestOf('a', { sampling: { ...greedy, logitBias: [[99_999, 1]] } })],
  ['a grammar that does not parse', requestOf('a', { grammar: { gbnf: 'root ::= (', begin: { kind: 'start' } } })],
  ['a grammar without root', requestOf('a', { grammar: { gbnf: 'leaf ::= "a"', begin: { kind: 'start' } } })],
  ['a grammar that recurses to the left', requestOf('a', { grammar: { gbnf: 'root ::= root "a"', begin: { kind: 'start' } } })],
  ['a trigger that is no pattern', requestOf('a', { grammar: { gbnf: 'root ::= "a"', begin: { kind: 'on-trigger', patterns: ['('] } } })],
])('%s is refused, and the engine goes on', async (_, request) => {
  using engine = await RunningEngine.start({ slots: 1 })
  await expect(engine.submit(request).then((id) => engine.end(id))).rejects.toMatchObject({ code: 'invalid-request' })
  expect((await engine.write(chat('What is the capital of France?'))).text).toBe('The capital of France is Paris.')
})

test('an adapter that cannot be read is an error of its request alone', async () => {
  using engine = await RunningEngine.start({ slots: 1 })
  await expect(engine.write('a', { adapters: [{ file: '/nowhere.gguf', scale: 1 }] })).rejects.toMatchObject({ code: 'load-failed' })
  expect((await engine.write(chat('What is the capital of France?'))).text).toBe('The capital of France is Paris.')
})
