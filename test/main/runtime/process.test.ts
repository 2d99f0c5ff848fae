import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { ChildExit } from '../../../main/runtime/last-words.ts'
import { childEnvironment, forkSpawner } from '../../../main/runtime/process.ts'

const folder = mkdtempSync(join(tmpdir(), 'process-'))
afterAll(() => rmSync(folder, { recursive: true }))

function script(text: string): string {
  const file = join(folder, `${Math.random()}.ts`)
  writeFileSync(file, text)
  return file
}

function start(text: string, env?: Record<string, string>) {
  const child = forkSpawner()(script(text), { name: 'test child', ...(env === undefined ? {} : { env }) })
  const messages: unknown[] = []
  child.onMessage((message) => messages.push(message))
  const exit = new Promise<ChildExit>((resolve) => child.onExit(resolve))
  return { child, messages, exit }
}

test('messages go both ways, in TypeScript as it is', async () => {
  const { child, messages, exit } = start(`process.on('message', (text: string) => { process.send!({ heard: text }); process.disconnect() })`)
  child.post('hello')
  expect(await exit).toEqual({ code: 0, signal: null })
  expect(messages).toEqual([{ heard: 'hello' }])
})

test('the exit comes with the last words on stderr', async () => {
  const { child, exit } = start(`process.stderr.write('x'.repeat(200_000) + 'GGML_ASSERT(n > 0) failed\\n', () => process.abort())`)
  expect((await exit).signal).toBe('SIGABRT')
  expect(child.stderrTail()).toContain('GGML_ASSERT(n > 0) failed')
  expect(child.stderrTail().length).toBeLessThanOrEqual(64 * 1024)
})

test('a listener that comes late hears of the exit too', async () => {
  const { child, exit } = start('')
  await exit
  expect(await new Promise<ChildExit>((resolve) => child.onExit(resolve))).toEqual({ code: 0, signal: null })
})

test('kill() and post() after the end do nothing', async () => {
  const { child, exit } = start('')
  await exit
  child.kill()
  child.post({ type: 'anything' })
})

test('a child that writes much to stdout does not block', async () => {
  const { exit } = start(`process.stdout.write('x'.repeat(1_000_000), () => process.exit(3))`)
  expect((await exit).code).toBe(3)
})

test('secrets of the environment stay with the server', () => {
  const env = { PATH: '/bin', CUDA_VISIBLE_DEVICES: '1', OLLAMA_API_KEY: 'secret', NODE_OPTIONS: '--inspect', HF_TOKEN: 'secret', LD_LIBRARY_PATH: '/lib' }
  expect(childEnvironment(env)).toEqual({ PATH: '/bin', CUDA_VISIBLE_DEVICES: '1', LD_LIBRARY_PATH: '/lib' })
})
