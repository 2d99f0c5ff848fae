import { expect, test } from 'vitest'
import { ResponseStore, type StoredResponse } from '../../../../main/api/openai/response-store.ts'
import type { Message } from '../../../../main/prompt/messages.ts'

const said = (content: string): Message[] => [{ role: 'user', content }]
const stored = (messages: Message[], outputId = 'msg'): StoredResponse => ({
  messages,
  response: { output: [{ id: outputId }] },
  input: [{ id: `in_${outputId}` }],
})

test('ResponseStore gives the conversation of a response that it keeps', () => {
  const store = new ResponseStore()
  store.keep('a', stored(said('hi')))
  expect([store.find('a')?.messages, store.find('b')]).toEqual([said('hi'), null])
})

test('ResponseStore forgets the least used beyond its count', () => {
  const store = new ResponseStore({ count: 2, bytes: 1e6 })
  store.keep('a', stored(said('a')))
  store.keep('b', stored(said('b')))
  store.find('a')
  store.keep('c', stored(said('c')))
  expect(['a', 'b', 'c'].filter((id) => store.find(id) !== null)).toEqual(['a', 'c'])
})

test('ResponseStore forgets the least used beyond its bytes, pictures included', () => {
  const store = new ResponseStore({ count: 10, bytes: 5000 })
  store.keep('a', stored(said('a'.repeat(1000))))
  store.keep('b', stored(said('b'.repeat(1000))))
  store.keep('c', stored([{ role: 'user', content: '', images: [new Uint8Array(2000)] }]))
  expect(['a', 'b', 'c'].filter((id) => store.find(id) !== null)).toEqual(['b', 'c'])
})

test('ResponseStore does not keep what alone is beyond its bytes', () => {
  const store = new ResponseStore({ count: 10, bytes: 100 })
  store.keep('a', stored(said('a'.repeat(1000))))
  expect(store.find('a')).toBeNull()
})

test('ResponseStore counts what was answered and asked among its bytes', () => {
  const store = new ResponseStore({ count: 10, bytes: 3000 })
  store.keep('a', { ...stored([]), input: [{ id: 'x', text: 'a'.repeat(1000) }] })
  store.keep('b', { ...stored([]), input: [{ id: 'y', text: 'b'.repeat(1000) }] })
  expect(['a', 'b'].filter((id) => store.find(id) !== null)).toEqual(['b'])
})

test('ResponseStore.delete() forgets a response, and its bytes', () => {
  const store = new ResponseStore({ count: 10, bytes: 2500 })
  store.keep('a', stored(said('a'.repeat(1000)), 'one'))
  expect([store.delete('a'), store.delete('a'), store.find('a'), store.item('one')]).toEqual([true, false, null, null])
  store.keep('b', stored(said('b'.repeat(1000))))
  expect(store.find('b')).not.toBeNull()
})

test('ResponseStore.item() gives an item that was asked or answered', () => {
  const store = new ResponseStore()
  store.keep('a', stored([], 'one'))
  expect([store.item('one'), store.item('in_one'), store.item('two')]).toEqual([{ id: 'one' }, { id: 'in_one' }, null])
})
