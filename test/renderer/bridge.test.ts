import { expect, test } from 'vitest'
import { AppError } from '../../main/errors.ts'
import { BridgeError } from '../../renderer/bridge.ts'
import { connect } from './connect.ts'

test('call() gives the answer', async () => {
  const { bridge } = connect({ 'chats.create': ({ text }) => ({ chatId: text }) })
  expect(await bridge.call('chats.create', { model: 'm', text: 'hello' })).toEqual({ chatId: 'hello' })
})

test('a failure arrives with its code', async () => {
  const { bridge } = connect({
    'models.list': () => {
      throw new AppError('unavailable', 'not yet')
    },
  })
  const error = await bridge.call('models.list').catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(BridgeError)
  expect(error).toMatchObject({ code: 'unavailable', message: 'not yet' })
})

test('stream() is iterated to its end', async () => {
  const { bridge } = connect({
    async *'server.watch'() {
      yield { state: 'starting' }
      yield { state: 'failed', error: { code: 'conflict', message: 'taken' } }
    },
  })
  const states: string[] = []
  for await (const { state } of bridge.stream('server.watch')) states.push(state)
  expect(states).toEqual(['starting', 'failed'])
})

test('leaving the loop cancels the stream', async () => {
  const { bridge, sent } = connect({
    async *'chats.list'() {
      for (;;) yield []
    },
  })
  for await (const _ of bridge.stream('chats.list')) break
  expect(sent.map(({ type }) => type)).toEqual(['open', 'cancel'])
})

test('a stream that fails throws what failed', async () => {
  const { bridge } = connect({
    'chats.watch': () => {
      throw new AppError('not-found', 'gone')
    },
  })
  await expect(bridge.stream('chats.watch', { chatId: 'x' }).next()).rejects.toMatchObject({ code: 'not-found' })
})
