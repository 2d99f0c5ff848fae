import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleHandler } from '../../../main/desktop/protocol.ts'
import { type TemporaryFolder, temporaryFolder } from '../../helpers/temporary-folder.ts'

let folder: TemporaryFolder
let get: (url: string, method?: string) => Promise<Response>

beforeAll(async () => {
  folder = await temporaryFolder()
  const bundle = path.join(folder.path, 'renderer')
  await mkdir(path.join(bundle, 'assets'), { recursive: true })
  await mkdir(path.join(folder.path, 'renderer-not'))
  await writeFile(path.join(bundle, 'index.html'), '<title>ours</title>')
  await writeFile(path.join(bundle, 'assets', 'a b.js'), 'export {}')
  await writeFile(path.join(folder.path, 'secret.html'), 'secret')
  await writeFile(path.join(folder.path, 'renderer-not', 'x.html'), 'secret')
  const handle = bundleHandler(bundle)
  get = (url, method = 'GET') => handle(new Request(url, { method }))
})
afterAll(() => folder[Symbol.asyncDispose]())

test('serves a page with its type and its policy', async () => {
  const answer = await get('app://bundle/index.html?x#y')
  expect(await answer.text()).toBe('<title>ours</title>')
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self'; .*require-trusted-types-for 'script'/)
})

test('serves a script as a script, its name decoded', async () => {
  expect((await get('app://bundle/assets/a%20b.js')).headers.get('content-type')).toBe('text/javascript; charset=utf-8')
})

test.for([
  'app://other/index.html',
  'app://bundle/',
  'app://bundle/missing.html',
  'app://bundle/../secret.html',
  'app://bundle/..%2fsecret.html',
  'app://bundle/..%2f..%2fetc%2fpasswd.html',
  'app://bundle/%2e%2e%2fsecret.html',
  'app://bundle/..%5csecret.html',
  'app://bundle/..%2frenderer-not%2fx.html',
  'app://bundle//etc/hosts.html',
  'app://bundle/index.html%00.js',
  'app://bundle/%E0%A4%A.html',
  'app://bundle/assets',
])('%s is not found', async (url) => {
  expect((await get(url)).status).toBe(404)
})

test('only GET is answered', async () => {
  expect((await get('app://bundle/index.html', 'POST')).status).toBe(404)
})
