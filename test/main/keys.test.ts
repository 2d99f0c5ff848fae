import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Keys } from '../../main/keys.ts'
import { Settings } from '../../main/settings.ts'
import { temporaryFolder } from './api/services.ts'

test('a key that was made is known, with its scopes; another is not', async () => {
  const keys = new Keys(new Settings(path.join(temporaryFolder(), 's.json')))
  const key = await keys.add('laptop', ['use', 'manage'])
  expect(keys.check(key)).toEqual({ name: 'laptop', scopes: ['use', 'manage'] })
  expect([keys.check(`${key}x`), keys.check(''), keys.check('pad-')]).toEqual([null, null, null])
})

test('the file holds neither the key nor the same hash for two keys', async () => {
  const file = path.join(temporaryFolder(), 's.json')
  const keys = new Keys(new Settings(file))
  const key = await keys.add('a', ['use'])
  await keys.add('b', ['use'])
  const text = readFileSync(file, 'utf8')
  expect(text).not.toContain(key)
  const { keys: records } = JSON.parse(text) as { keys: { hash: string; salt: string }[] }
  expect(new Set(records.flatMap(({ hash, salt }) => [hash, salt])).size).toBe(4)
})

test('a key that another process made or removed counts at once', async () => {
  const file = path.join(temporaryFolder(), 's.json')
  const [server, command] = [new Keys(new Settings(file)), new Keys(new Settings(file))]
  const key = await command.add('phone', ['use'])
  expect(server.check(key)?.name).toBe('phone')
  command.remove('phone')
  expect([server.check(key), server.list()]).toEqual([null, []])
})

test('add() refuses a name that is taken, odd, or without scopes', async () => {
  const keys = new Keys(new Settings(path.join(temporaryFolder(), 's.json')))
  await keys.add('a', ['use'])
  await expect(keys.add('a', ['use'])).rejects.toMatchObject({ code: 'conflict' })
  await expect(keys.add('a\nb', ['use'])).rejects.toMatchObject({ code: 'invalid-request' })
  await expect(keys.add('b', [])).rejects.toMatchObject({ code: 'invalid-request' })
})

test('remove() of an unknown name says so', () => {
  expect(() => new Keys(new Settings(path.join(temporaryFolder(), 's.json'))).remove('x')).toThrow('there is no key named "x"')
})
