import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { startFaultyProxy } from '../../helpers/faulty-proxy.ts'
import { criaModel, publish } from '../../helpers/publish.ts'
import { hasRegistry, startRegistry } from '../../helpers/registry.ts'
import { startTestServer } from '../../helpers/test-server.ts'
import { run } from './fake-terminal.ts'

describe.runIf(hasRegistry)('paddock pull', () => {
  test('shows each step, and on a terminal a bar for each layer', async () => {
    await using registry = await startRegistry()
    const cria = await criaModel()
    await publish(registry.url, 'library/cria:latest', cria)
    await using server = await startTestServer()
    const piped = await run(['pull', `${registry.host}/library/cria`, '--insecure'], { url: server.url })
    expect(piped).toEqual({ code: 0, output: '', errors: 'pulling manifest\nverifying sha256 digest\nwriting manifest\nsuccess\n' })
    const shown = await run(['pull', `${registry.host}/library/cria`, '--insecure'], { url: server.url, columns: 100 })
    for (const { digest } of cria.layers) expect(shown.errors).toContain(`pulling ${digest.slice(7, 19)}: 100% ▕███`)
    expect(shown.errors.endsWith('success\n')).toBe(true)
  })

  test('says at Ctrl+C how to go on', async () => {
    await using registry = await startRegistry()
    await publish(registry.url, 'library/cria:latest', await criaModel())
    await using proxy = await startFaultyProxy(registry.url, [{ path: /\/blobs\//, fault: { type: 'slow', bytesPerSecond: 100_000 } }])
    await using server = await startTestServer()
    const child = command(server.url, 'pull', `${proxy.host}/library/cria`, '--insecure')
    const said = text(child.stderr as NodeJS.ReadableStream)
    await expect.poll(() => proxy.seen.some((request) => request.path.includes('/blobs/')), { timeout: 20_000 }).toBe(true)
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    expect(code).toBe(1)
    expect(await said).toContain(`Error: stopped; what has come is kept, and "paddock pull ${proxy.host}/library/cria --insecure" goes on from there\n`)
    await expect.poll(() => server.services.downloads.list(), { timeout: 20_000 }).toMatchObject([{ state: 'paused' }])
  }, 60_000)
})

function command(url: string, ...args: string[]): ChildProcess {
  const program = path.resolve(import.meta.dirname, '../../../main/serve.ts')
  return spawn(process.execPath, [program, ...args], { env: { ...process.env, OLLAMA_HOST: url }, stdio: ['ignore', 'ignore', 'pipe'] })
}
