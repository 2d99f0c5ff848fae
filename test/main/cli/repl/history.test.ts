import { readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { History } from '../../../../main/cli/repl/history.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'

test('what was typed is there the next time, for its owner only', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'data', 'history')
  const history = new History(file)
  for (const line of ['one', 'two', 'two', '  ']) history.add(line)
  expect(new History(file).lines).toEqual(['one', 'two'])
  if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600)
})

test('the file does not grow for ever', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'history')
  await writeFile(file, Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join(''))
  new History(file).add('last')
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  expect({ count: lines.length, last: lines.at(-1) }).toEqual({ count: 1000, last: 'last' })
})

test('nothing is kept without a file, or when it is switched off', async () => {
  const nowhere = new History(null)
  nowhere.add('secret')
  expect(nowhere.lines).toEqual([])
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'history')
  const history = new History(file)
  history.enabled = false
  history.add('secret')
  expect(new History(file).lines).toEqual([])
})

test('a file that cannot be written does not end the conversation', () => {
  expect(() => new History('/dev/null/history').add('hello')).not.toThrow()
})
