import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readGguf } from '../../../main/models/gguf.ts'
import { parsePartName, readGgufParts } from '../../../main/models/gguf-parts.ts'
import { criaFile } from '../../helpers/library.ts'
import { splitGguf } from '../../helpers/split-gguf.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { openLibrary } from './setup.ts'

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

test('create names the parts that are missing, given twice or of another model, and how many of very many', async () => {
  await using folder = await temporaryFolder()
  await using library = await openLibrary()
  const files = await splitGguf(criaFile, folder.path, 3)
  const [one, two, three] = (await Promise.all(files.map(async (file) => library.upload(await readFile(file))))) as [string, string, string]
  const [other] = await splitGguf(criaFile, folder.path, 2, { stem: 'other' })
  const foreign = await library.upload(await readFile(other as string))
  const problem = (given: string[]) =>
    library.create({ model: 'x', files: Object.fromEntries(given.map((digest, i) => [`part-${i}.gguf`, digest])) }).then(
      () => 'made',
      (error: Error) => error.message,
    )
  expect(await problem([one, three])).toContain('is one of 3 parts of a model: part 2 is missing')
  expect(await problem([one, two, three, three])).toContain('or the same again')
  expect(await problem([one, foreign, two, three])).toMatch(/of another model, or the same again/)
  expect(await problem([three, one, two])).toBe('made')
  // As a hostile header says it.
  const many = Buffer.from(await readFile(files[0] as string))
  many.writeUInt16LE(65_535, many.indexOf('split.count') + 'split.count'.length + 4)
  expect(await problem([await library.upload(many)])).toContain('part 2, 3, 4, 5, 6 and 65529 more are missing')
})
