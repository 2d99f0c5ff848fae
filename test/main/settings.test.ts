import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { Settings } from '../../main/settings.ts'
import { temporaryFolder } from './api/services.ts'

const fresh = () => path.join(temporaryFolder(), 'deep', 'settings.json')

const defaults = { hiddenModels: [], originsOff: [], modelFolders: [], references: [], keys: [], upstreams: [] }

test('settings without a file are the defaults', () => {
  expect(new Settings(fresh()).value).toEqual(defaults)
})

test('an update is in the file for the owner alone, with nothing half-written beside it', () => {
  const file = fresh()
  new Settings(file).update(() => ({ hiddenModels: ['a:latest'] }))
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ ...defaults, hiddenModels: ['a:latest'] })
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readdirSync(path.dirname(file))).toEqual(['settings.json'])
})

test('keys of a newer version survive an update', () => {
  const file = path.join(temporaryFolder(), 'settings.json')
  writeFileSync(file, '{"theme":"dark","hiddenModels":["a"]}')
  new Settings(file).update(({ hiddenModels }) => ({ hiddenModels: [...hiddenModels, 'b'] }))
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ theme: 'dark', hiddenModels: ['a', 'b'] })
})

test('what another process writes is seen at the next look', () => {
  const file = fresh()
  const [one, other] = [new Settings(file), new Settings(file)]
  other.update(() => ({ hiddenModels: ['x'] }))
  expect(one.value.hiddenModels).toEqual(['x'])
})

test('a damaged file stops the start and says which file', () => {
  const file = path.join(temporaryFolder(), 'settings.json')
  writeFileSync(file, '{"keys": 5}')
  expect(() => new Settings(file)).toThrow(file)
})

test('a file that is being edited leaves a running program as it was', () => {
  const file = fresh()
  const settings = new Settings(file)
  settings.update(() => ({ hiddenModels: ['x'] }))
  writeFileSync(file, '{"hidden')
  expect(settings.value.hiddenModels).toEqual(['x'])
})

test('watch() gives the settings, then each change, until it is stopped', async () => {
  const settings = new Settings(fresh())
  const stop = new AbortController()
  const seen: string[][] = []
  for await (const { hiddenModels } of settings.watch(stop.signal)) {
    seen.push(hiddenModels)
    if (hiddenModels.length === 2) stop.abort()
    else queueMicrotask(() => settings.update((value) => ({ hiddenModels: [...value.hiddenModels, 'm'] })))
  }
  expect(seen).toEqual([[], ['m'], ['m', 'm']])
})

test('watch() notices another process', async () => {
  const file = fresh()
  const settings = new Settings(file)
  const stop = new AbortController()
  let times = 0
  for await (const { hiddenModels } of settings.watch(stop.signal)) {
    if (++times === 1) new Settings(file).update(() => ({ hiddenModels: ['x'] }))
    else {
      expect(hiddenModels).toEqual(['x'])
      stop.abort()
    }
  }
})
