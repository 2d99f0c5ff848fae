import path from 'node:path'
import { expect, test } from 'vitest'
import { readGguf } from '../../../main/models/gguf.ts'
import { parsePartName, readGgufParts } from '../../../main/models/gguf-parts.ts'
import { criaFile } from '../../helpers/library.ts'
import { splitGguf } from '../../helpers/split-gguf.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const whole = await readGguf(criaFile)

test.each([
  ['qwen-00001-of-00003.gguf', { stem: 'qwen', index: 0, count: 3 }],
  ['a-00001-of-00002-00010-of-00010.GGUF', { stem: 'a-00001-of-00002', index: 9, count: 10 }],
  ['qwen-00004-of-00003.gguf', null],
  ['qwen-00000-of-00003.gguf', null],
  ['qwen-1-of-3.gguf', null],
  ['qwen.gguf', null],
])('parsePartName() reads %s', (file, part) => {
  expect(parsePartName(file)).toEqual(part)
})

test.each([
  { count: 3, bareFirst: false },
  { count: 2, bareFirst: true },
])('readGgufParts() gives the header of the whole file for $count parts', async ({ count, bareFirst }) => {
  await using folder = await temporaryFolder()
  const files = await splitGguf(criaFile, folder.path, count, { bareFirst })
  const header = await readGgufParts(files)
  const { parameterCount, architecture, chatTemplate } = whole
  expect(header).toMatchObject({ parameterCount, architecture, chatTemplate, splitCount: count, splitIndex: 0 })
  expect(header.tensors.map(({ name, shape, type }) => ({ name, shape, type }))).toEqual(whole.tensors.map(({ name, shape, type }) => ({ name, shape, type })))
  const parts = await Promise.all(files.map((file) => readGguf(file)))
  expect(header.sizeBytes).toBe(parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
})

test('readGgufParts() says which part is out of place', async () => {
  await using folder = await temporaryFolder()
  const [first, second, third] = (await splitGguf(criaFile, folder.path, 3)) as [string, string, string]
  const [otherFirst] = (await splitGguf(criaFile, folder.path, 2, { stem: 'other' })) as [string]
  const problem = (files: string[]) => readGgufParts(files).catch((error: { message: string }) => error.message)
  expect(await problem([first])).toContain('cria-00001-of-00003.gguf is part 1 of 3, but stands alone')
  expect(await problem([second])).toContain('part 2 of 3, but stands alone')
  expect(await problem([first, third, second])).toContain(`${path.basename(third)} is part 3 of 3, not part 2 of 3`)
  expect(await problem([first, second])).toContain('2 files were given')
  expect(await problem([otherFirst, criaFile])).toContain('cria.gguf is part 1 of 1, not part 2 of 2')
  expect(await problem([first, second, second])).toContain('not part 3 of 3')
  expect(await problem([])).toContain('a model needs a file')
})
