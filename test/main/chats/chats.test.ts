import { expect, test } from 'vitest'
import { type ChatMessage, type ChatSummary, type ChatUpdate, isReplying, type Reply } from '../../../main/chats/chat.ts'
import { Chats } from '../../../main/chats/chats.ts'
import { AppError } from '../../../main/errors.ts'
import type { ChatRequest, Chat as Generate } from '../../../main/generation/events.ts'
import { done, forever, prompt, scripted, silent, text } from './scripted.ts'

const open = (generate: Generate) => new Chats({ generate, log: silent })

/** Follows a chat until its last reply has ended, as a window does. */
async function followed(chats: Chats, chatId: string): Promise<{ messages: ChatMessage[]; updates: ChatUpdate[] }> {
  const leaving = new AbortController()
  const updates: ChatUpdate[] = []
  let messages: ChatMessage[] = []
  for await (const update of chats.watch(chatId, leaving.signal)) {
    updates.push(update)
    if (update.type === 'snapshot') messages = update.chat.messages
    else if (update.type === 'messages') messages.splice(update.from, messages.length, ...update.messages)
    else {
      const reply = messages.at(-1) as Reply
      Object.assign(reply, { ...update, type: undefined, text: reply.text + update.text, thinking: reply.thinking + update.thinking })
    }
    if (!isReplying(messages.at(-1))) leaving.abort()
  }
  return { messages, updates }
}

test('create() answers the first message', async () => {
  await using chats = open(scripted(prompt, ...text('Hello', ' there'), done))
  const { chatId } = chats.create('cria', 'hi')
  const { messages } = await followed(chats, chatId)
  expect(messages).toMatchObject([
    { role: 'user', text: 'hi' },
    { role: 'assistant', model: 'cria', text: 'Hello there', status: { state: 'done', reason: 'stop', stats: { completionTokens: 3 } } },
  ])
})

test('a reply goes on while nobody watches, and a later watcher gets all of it', async () => {
  await using chats = open(scripted(...text('one ', 'two ', 'three'), done))
  const { chatId } = chats.create('cria', 'count')
  await expect.poll(() => firstList(chats)).toMatchObject([{ replying: false }])
  const { updates } = await followed(chats, chatId)
  expect(updates).toMatchObject([{ type: 'snapshot', chat: { messages: [{ role: 'user' }, { text: 'one two three' }] } }])
})

test('stop() ends the reply and keeps what was written', async () => {
  await using chats = open(scripted(...text('so far'), forever))
  const { chatId } = chats.create('cria', 'hi')
  await chats.stop(chatId)
  const { messages } = await followed(chats, chatId)
  expect(messages[1]).toMatchObject({ text: 'so far', status: { state: 'stopped' } })
})

test('a failure keeps what was written and says what went wrong', async () => {
  await using chats = open(scripted(...text('so far'), new AppError('runner-crashed', 'the model process ended (SIGKILL)')))
  const { messages } = await followed(chats, chats.create('cria', 'hi').chatId)
  expect(messages[1]).toMatchObject({
    text: 'so far',
    status: { state: 'failed', error: { code: 'runner-crashed', message: 'the model process ended (SIGKILL)' } },
  })
})

test('retry() takes the failed reply out of the history and answers again', async () => {
  const asked: ChatRequest[] = []
  let calls = 0
  await using chats = open(async function* (request) {
    asked.push(request)
    if (calls++ === 0) throw new AppError('runner-crashed', 'gone')
    yield* [...text('better'), done]
  })
  const { chatId } = chats.create('cria', 'hi')
  await followed(chats, chatId)
  chats.retry(chatId, 'other')
  const { messages } = await followed(chats, chatId)
  expect(messages).toMatchObject([{ text: 'hi' }, { text: 'better', model: 'other' }])
  expect(asked.at(-1)).toMatchObject({ model: 'other', messages: [{ role: 'user', content: 'hi' }] })
})

test('send() hands the model the whole conversation', async () => {
  const asked: ChatRequest[] = []
  await using chats = open(async function* (request) {
    asked.push(request)
    yield* [...text('yes'), done]
  })
  const { chatId } = chats.create('cria', 'first')
  await followed(chats, chatId)
  chats.send(chatId, 'cria', 'second')
  await followed(chats, chatId)
  expect(asked.at(-1)?.messages).toEqual([
    { role: 'user', content: 'first' },
    { role: 'assistant', content: 'yes' },
    { role: 'user', content: 'second' },
  ])
})

test('send() while a reply is being written is refused', async () => {
  await using chats = open(scripted(forever))
  const { chatId } = chats.create('cria', 'hi')
  expect(() => chats.send(chatId, 'cria', 'and?')).toThrow(expect.objectContaining({ code: 'conflict' }))
})

test('thinking is kept apart from the text, with its time', async () => {
  await using chats = open(scripted({ type: 'thinking', text: 'hmm' }, ...text('42'), done))
  const { messages } = await followed(chats, chats.create('cria', 'hi').chatId)
  expect(messages[1]).toMatchObject({ thinking: 'hmm', text: '42', thinkingMs: expect.any(Number) })
})

test('a watcher that is slow gets one larger piece, not a queue', async () => {
  const written = Promise.withResolvers<void>()
  await using chats = open(scripted(() => written.promise, ...text('a', 'b', 'c', 'd'), forever))
  const { chatId } = chats.create('cria', 'hi')
  const leaving = new AbortController()
  const updates = chats.watch(chatId, leaving.signal)[Symbol.asyncIterator]()
  await updates.next()
  written.resolve()
  await new Promise((resolve) => setTimeout(resolve, 5))
  const { value } = await updates.next()
  expect(value).toMatchObject({ type: 'reply', text: 'abcd' })
  leaving.abort()
})

test('a chat is titled by the first line of its first message, cut at a word', async () => {
  await using chats = open(scripted(done))
  chats.create('cria', 'Write a letter to my neighbour about the fence between our two gardens\nand be kind')
  expect(await firstList(chats)).toMatchObject([{ title: 'Write a letter to my neighbour about the fence between our…' }])
})

test('watch() of a chat that does not exist is refused', async () => {
  await using chats = open(scripted(done))
  expect(() => chats.watch('nope', new AbortController().signal)).toThrow(expect.objectContaining({ code: 'not-found' }))
})

async function firstList(chats: Chats): Promise<ChatSummary[]> {
  for await (const list of chats.watchList(new AbortController().signal)) return list
  throw new Error('no list')
}
