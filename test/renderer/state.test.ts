/// <reference types="svelte" />
import { expect, test } from 'vitest'
import type { Handlers, ModelEntry } from '../../main/bridge/contract.ts'
import { Chats } from '../../main/chats/chats.ts'
import type { Chat as Generate } from '../../main/generation/events.ts'
import { Shell } from '../../renderer/state/shell.svelte.ts'
import { done, forever, scripted, silent, text } from '../main/chats/scripted.ts'
import { connect } from './connect.ts'

const entry = (name: string, capability: ModelEntry['capabilities'][number] = 'completion'): ModelEntry => ({
  name,
  origin: 'store',
  elsewhere: false,
  sizeBytes: 1,
  modifiedAtMs: 0,
  family: 'llama',
  parameterSize: '1B',
  quantization: 'Q8_0',
  contextLength: 2048,
  capabilities: [capability],
  problem: null,
})

/** The window's state on the real chats of a main process, with only the model scripted. */
async function window({
  generate = scripted(...text('yes'), done),
  models = [entry('minilm', 'embedding'), entry('a'), entry('b')],
  stored = {} as Record<string, string>,
} = {}) {
  const chats = new Chats({ generate: generate as Generate, log: silent })
  const handlers: Partial<Handlers> = {
    async *'server.watch'() {
      yield { state: 'listening', url: 'http://127.0.0.1:11434', version: '1', device: 'CPU', loaded: [{ name: 'a', sizeBytes: 1 }] }
    },
    'server.restart': () => {},
    'models.list': () => models,
    'chats.list': (_, signal) => chats.watchList(signal),
    'chats.watch': ({ chatId }, signal) => chats.watch(chatId, signal),
    'chats.create': (input) => chats.create(input.model, input.text),
    'chats.send': (input) => chats.send(input.chatId, input.model, input.text),
    'chats.retry': (input) => chats.retry(input.chatId, input.model),
    'chats.stop': ({ chatId }) => chats.stop(chatId),
  }
  const storage = {
    getItem: (key: string) => stored[key] ?? null,
    setItem(key: string, value: string) {
      stored[key] = value
    },
  }
  const shell = new Shell(connect(handlers).bridge, storage)
  await shell.models.refresh()
  return { shell, stored }
}

test('a model that cannot run now is chosen only by the user', async () => {
  const gone = { ...entry('gone'), problem: { state: 'gone' as const, text: 'its file is gone' } }
  const { shell } = await window({ models: [gone, entry('a')] })
  expect(shell.models.selected).toBe('a')
  shell.models.select('gone')
  expect(shell.models.selected).toBe('gone')
})

test('send() opens the new chat and follows its reply to the end', async () => {
  const { shell } = await window({ generate: scripted({ type: 'thinking', text: 'hm' }, ...text('It ', 'is.'), done) })
  await shell.send('Is it?')
  await expect.poll(() => shell.chat?.replying).toBe(false)
  expect(shell.chat?.messages).toMatchObject([{ text: 'Is it?' }, { text: 'It is.', thinking: 'hm', model: 'a' }])
  await expect.poll(() => shell.chats.list.map(({ title }) => title)).toEqual(['Is it?'])
})

test('send() in an open chat goes on with it', async () => {
  const { shell } = await window()
  await shell.send('one')
  await expect.poll(() => shell.chat?.replying).toBe(false)
  const first = shell.chat
  await shell.send('two')
  await expect.poll(() => shell.chat?.messages.length).toBe(4)
  expect(shell.chat).toBe(first)
})

test('stop() ends the reply that is being written', async () => {
  const { shell } = await window({ generate: scripted(...text('so far'), forever) })
  await shell.send('go')
  await expect.poll(() => shell.chat?.reply?.text).toBe('so far')
  await shell.chat?.stop()
  await expect.poll(() => shell.chat?.reply?.status.state).toBe('stopped')
})

test('a chat that is gone says so', async () => {
  const { shell } = await window()
  shell.openChat('of-yesterday')
  await expect.poll(() => shell.chat?.error?.code).toBe('not-found')
})

test('the model is the last chosen one, else the first that chats', async () => {
  expect((await window()).shell.models.selected).toBe('a')
  const { shell, stored } = await window({ stored: { 'paddock.model': 'gone' } })
  expect(shell.models.selected).toBe('a')
  shell.models.select('b')
  expect((await window({ stored })).shell.models.selected).toBe('b')
})

test('nothing is sent while there is no chat model', async () => {
  const { shell } = await window({ models: [entry('minilm', 'embedding')] })
  await shell.send('hello?')
  expect(shell.chat).toBe(null)
})

test('the server says which models are in memory', async () => {
  const { shell } = await window()
  await expect.poll(() => shell.server.url).toBe('http://127.0.0.1:11434')
  expect([shell.server.isLoaded('a'), shell.server.isLoaded('b')]).toEqual([true, false])
})
