import path from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { makeLmStudioFolder, place } from '../../helpers/foreign-stores.ts'
import { criaFile } from '../../helpers/library.ts'
import { type TemporaryFolder, temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'
import { run as runLine } from './fake-terminal.ts'

let home: TemporaryFolder
let server: TestServer
beforeAll(async () => {
  home = await temporaryFolder()
  await makeLmStudioFolder(path.join(home.path, '.lmstudio', 'models'))
  server = await startTestServer({ env: { HOME: home.path, PADDOCK_ORIGINS: 'lm-studio' } })
  // A machine under load may take longer to look than a list waits.
  await vi.waitFor(async () => expect(await server.services.library.list()).toHaveLength(4), { timeout: 25_000 })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const run = (...argv: string[]) => runLine(argv, { url: server.url })
const cria = 'Cria-3M-GGUF/Cria-3M:Q8_0'

test('list tells whose a model is', async () => {
  const { output } = await run('list')
  expect(output).toMatch(/^NAME +ID +SIZE +MODIFIED +ORIGIN\n/)
  expect(output).toMatch(new RegExp(`^${cria} +[0-9a-f]{12} +3\\.\\d MB +.* ago +lm-studio *$`, 'm'))
})

test('rm refuses what is another program’s and names the way; hide and restore take it out and back', async () => {
  const refused = await run('rm', cria)
  expect([refused.code, refused.errors]).toEqual([1, expect.stringContaining(`paddock hide ${cria}`)])
  expect((await run('hide', cria)).output).toBe(`hid '${cria}'\n`)
  expect((await run('list')).output).not.toContain(cria)
  expect((await run('restore', cria)).output).toBe('brought back 1 model\n')
  expect((await run('list')).output).toContain(cria)
})

test('import makes a model of a file where it lies, or copies it', async () => {
  const file = await place(criaFile, path.join(home.path, 'pets', 'cria.gguf'))
  expect((await run('import', path.relative(process.cwd(), file))).output).toBe(`'pets/cria:Q8_0' runs ${file} where it lies\n`)
  await expect.poll(async () => (await run('list', 'pets')).output, { timeout: 25_000 }).toMatch(/ file *\n$/)
  expect((await run('import', file, 'pet', '--copy')).output).toBe(`copied to 'pet:latest'\n`)
  expect((await run('rm', 'pet', 'pets/cria:Q8_0')).code).toBe(0)
})

test('origin switches places off and on and adds folders', async () => {
  expect((await run('origin', 'list')).output).toMatch(/^ORIGIN +STATE +MODELS +FOLDER\nlm-studio +on +2 +\S+\n$/)
  expect((await run('origin', 'off', 'lm-studio')).output).toMatch(/^lm-studio +off +0/m)
  await place(criaFile, path.join(home.path, 'more', 'x', 'cria.gguf'))
  await run('origin', 'add', path.join(home.path, 'more'))
  await expect.poll(async () => (await run('origin', 'list')).output, { timeout: 25_000 }).toMatch(/^more +on +1/m)
  expect((await run('origin', 'remove', path.join(home.path, 'more'))).output).not.toMatch(/^more/m)
  expect((await run('origin', 'on', 'lm-studio')).output).toMatch(/^lm-studio +on +2/m)
  expect((await run('origin', 'turn')).code).toBe(1)
})
