import { expect, test } from 'vitest'
import { AppError } from '../../../main/errors.ts'
import type { Message } from '../../../main/prompt/messages.ts'
import { fitMessages } from '../../../main/prompt/truncate.ts'

const user = (content: string): Message => ({ role: 'user', content })
const assistant = (content: string): Message => ({ role: 'assistant', content })
const system = (content: string): Message => ({ role: 'system', content })
const words = (count: number, word = 'w') => Array(count).fill(word).join(' ')

/** One token a word; a message costs two words of markup. */
async function fit(
  messages: Message[],
  limit: number,
  { truncate = true, keep = 4, render = plain }: { truncate?: boolean; keep?: number; render?: (messages: Message[]) => string } = {},
) {
  let renders = 0
  let counted = 0
  const fitted = await fitMessages({
    messages,
    limit,
    truncate,
    keep,
    render: async (kept) => {
      renders++
      return render(kept)
    },
    count: async (texts) => {
      counted += texts.length
      return texts.map((text) => text.split(/\s+/).filter(Boolean).length)
    },
  })
  return { ...fitted, renders, counted }
}
const plain = (messages: Message[]) => messages.map(({ role, content }) => `<${role}> ${content} </>`).join('\n')

test('fitMessages() renders a conversation that fits once and counts nothing else', async () => {
  const messages = [user('a'), assistant('b'), user('c')]
  expect(await fit(messages, 100)).toEqual({ prompt: plain(messages), promptTokens: 9, messages, droppedMessages: 0, droppedTokens: 0, renders: 1, counted: 1 })
})

test('fitMessages() drops the oldest messages and keeps the system text and the last turn', async () => {
  const messages = [system('s'), user(words(10)), assistant(words(10)), user(words(10)), assistant('short'), user('last')]
  const { messages: kept, droppedMessages, droppedTokens, renders } = await fit(messages, 24)
  expect({ kept, droppedMessages, droppedTokens, renders }).toEqual({
    kept: [system('s'), user(words(10)), assistant('short'), user('last')],
    droppedMessages: 2,
    droppedTokens: 24,
    renders: 2,
  })
})

test('fitMessages() keeps a call and its results together', async () => {
  const call: Message = { role: 'assistant', content: '', toolCalls: [{ id: '1', index: 0, name: 'f', arguments: {} }] }
  const results: Message[] = [
    { role: 'tool', content: words(8) },
    { role: 'tool', content: words(8) },
  ]
  const { messages: kept } = await fit([user('a'), call, ...results, assistant(words(4)), user('b')], 20)
  expect(kept).toEqual([assistant(words(4)), user('b')])
})

test('fitMessages() keeps all of the last turn, calls and results too', async () => {
  const call: Message = { role: 'assistant', content: '', toolCalls: [{ id: '1', index: 0, name: 'f', arguments: {} }] }
  const turn = [user('question'), call, { role: 'tool', content: words(5) }]
  const { messages: kept } = await fit([user(words(9)), assistant(words(9)), ...turn], 20)
  expect(kept).toEqual(turn)
})

test('fitMessages() cuts the middle out of the longest text when nothing else may go', async () => {
  const text = Array.from({ length: 500 }, (_, at) => `word${at}`).join(' ')
  const { messages: kept, promptTokens, droppedMessages, droppedTokens, renders } = await fit([system('be brief'), user(text)], 100)
  expect(promptTokens).toBeLessThanOrEqual(98)
  expect(promptTokens).toBeGreaterThan(50)
  expect({ droppedMessages, renders, droppedTokens: droppedTokens + promptTokens }).toEqual({ droppedMessages: 0, renders: 2, droppedTokens: 506 })
  expect(kept[1]?.content).toMatch(/^word0 word1 .* word499$/)
})

test('fitMessages() keeps `keep` tokens at the front of a text that it cuts', async () => {
  const text = Array.from({ length: 500 }, (_, at) => `word${at}`).join(' ')
  const { messages: kept } = await fit([user(text)], 100, { keep: 60 })
  expect(kept[0]?.content).toContain('word58 ')
})

test('fitMessages() never parts a character', async () => {
  const { messages: kept } = await fit([user(words(400, '🦙🦙'))], 50)
  expect(kept[0]?.content.isWellFormed()).toBe(true)
})

test('fitMessages() renders three times at most', async () => {
  const stubborn = (messages: Message[]) => `${plain(messages)} ${words(1000)}`
  const { renders } = await fit([user(words(50)), assistant(words(50)), user('x')], 40, { render: stubborn })
  expect(renders).toBe(3)
})

test('fitMessages() leaves a long prompt as it is when told not to truncate', async () => {
  const messages = [user(words(90)), user('x')]
  const { messages: kept, renders } = await fit(messages, 40, { truncate: false })
  expect({ kept, renders }).toEqual({ kept: messages, renders: 1 })
})

test('fitMessages() begins with a user where the template demands it', async () => {
  const strict = (messages: Message[]) => {
    if (messages.find((message) => message.role !== 'system')?.role !== 'user') throw new AppError('invalid-template', 'roles must alternate')
    return plain(messages)
  }
  const { messages: kept } = await fit([system('s'), user(words(20)), assistant(words(5)), user('b'), assistant('c'), user('d')], 30, { render: strict })
  expect(kept).toEqual([system('s'), user('b'), assistant('c'), user('d')])
})

test('fitMessages() keeps the last message of a conversation without a user', async () => {
  const { messages: kept } = await fit([assistant(words(30)), assistant('b')], 20)
  expect(kept).toEqual([assistant('b')])
})
