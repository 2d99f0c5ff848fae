import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { FromBridge, Handlers } from '../../../main/bridge/contract.ts'
import { serveBridge } from '../../../main/bridge/serve.ts'
import { AppError } from '../../../main/errors.ts'
import { silent } from '../chats/scripted.ts'

/** A window's end of the wire. */
function connect(handlers: Partial<Handlers>) {
  const sent: FromBridge[] = []
  const closing = new AbortController()
  let post: (message: unknown) => void = () => {}
  serveBridge(
    handlers as Handlers,
    {
      send: (message) => sent.push(message),
      receive: (listener) => {
        post = listener
      },
    },
    silent,
    closing.signal,
  )
  return { sent, post: (message: unknown) => post(message), closing }
}

const open = (name: string, input?: unknown, id = 1) => ({ type: 'open', id, name, input })

test('a call is answered with its value', async () => {
  const { sent, post } = connect({ 'chats.create': ({ model, text }) => ({ chatId: `${model}/${text}` }) })
  post(open('chats.create', { model: 'cria', text: '  hi ' }))
  await expect.poll(() => sent).toEqual([{ type: 'value', id: 1, value: { chatId: 'cria/hi' } }])
})

test('an input of the wrong shape never reaches the handler', async () => {
  let reached = false
  const { sent, post } = connect({
    'chats.stop': () => {
      reached = true
    },
  })
  for (const input of [undefined, 5, {}, { chatId: 7 }, { chatId: 'a', more: 1 }, { chatId: 'x'.repeat(100) }]) post(open('chats.stop', input))
  await expect.poll(() => sent.length).toBe(6)
  expect(sent).toEqual(Array(6).fill({ type: 'error', id: 1, error: { code: 'invalid-request', message: expect.stringContaining('chats.stop') } }))
  expect(reached).toBe(false)
})

test('a name outside the contract is refused, those of the object itself too', async () => {
  const { sent, post } = connect({})
  for (const name of ['rm', '__proto__', 'constructor', 'toString']) post(open(name))
  await expect.poll(() => sent.map((message) => message.type === 'error' && message.error.code)).toEqual(Array(4).fill('invalid-request'))
})

test('messages that are not of the protocol are ignored', async () => {
  const { sent, post } = connect({})
  for (const message of [null, 'open', { type: 'open' }, { type: 'cancel', id: 'x' }, { type: 'more', id: 9 }]) post(message)
  await setImmediate()
  expect(sent).toEqual([])
})

test('a failure crosses as code and message', async () => {
  const { sent, post } = connect({
    'models.list': () => {
      throw new AppError('unavailable', 'not yet')
    },
  })
  post(open('models.list'))
  await expect.poll(() => sent).toEqual([{ type: 'error', id: 1, error: { code: 'unavailable', message: 'not yet' } }])
})

test('a stream gives its next item only when the last was taken', async () => {
  let made = 0
  const { sent, post } = connect({
    async *'chats.list'() {
      while (made < 3) {
        made++
        yield []
      }
    },
  })
  post(open('chats.list'))
  await expect.poll(() => sent.length).toBe(1)
  await setImmediate()
  expect(made).toBe(1)
  post({ type: 'more', id: 1 })
  await expect.poll(() => sent.length).toBe(2)
  post({ type: 'more', id: 1 })
  await expect.poll(() => sent.length).toBe(3)
  post({ type: 'more', id: 1 })
  await expect.poll(() => sent.at(-1)).toEqual({ type: 'end', id: 1 })
})

test.for(['cancel', 'close'] as const)('%s ends a stream and the handler behind it', async (how) => {
  const ended = Promise.withResolvers<void>()
  const { sent, post, closing } = connect({
    async *'chats.list'(_, signal) {
      try {
        for (;;) {
          yield []
          signal.throwIfAborted()
        }
      } finally {
        ended.resolve()
      }
    },
  })
  post(open('chats.list'))
  await expect.poll(() => sent.length).toBe(1)
  if (how === 'cancel') post({ type: 'cancel', id: 1 })
  else closing.abort()
  await ended.promise
  expect(sent).toHaveLength(1)
})
