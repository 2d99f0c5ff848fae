import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../../main/config.ts'
import { openDatabase } from '../../../main/database.ts'
import { createFit } from '../../../main/fit/fit.ts'
import { Speeds } from '../../../main/fit/speeds.ts'
import { Log } from '../../../main/lib/log.ts'
import type { LoadModel } from '../../../main/runtime/residency.ts'
import { Runner } from '../../../main/runtime/runner.ts'
import { Scheduler } from '../../../main/runtime/scheduler.ts'
import { get, post } from '../../helpers/http.ts'
import { addModel, criaFile } from '../../helpers/library.ts'
import { makeModel, type ShapeName, shapes } from '../../helpers/make-gguf.ts'
import { runners } from '../../helpers/processes.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestServer, type TestServer } from '../../helpers/test-server.ts'
import { addCria, forever, openLibrary } from '../models/setup.ts'
import { runnerEntry, spawn } from '../runtime/cria.ts'

interface FitAnswer {
  verdict: string
  problem?: string
  num_ctx: number | null
  largest_num_ctx: number | null
  trained_num_ctx: number
  memory: { weights: number; kv_cache: number; compute: number; process: number; total: number; from: string }
  devices: { name: string; needed: number; free: number; total: number }[]
  tokens_per_second: number | null
  speed_from: string | null
}

let server: TestServer
let folder: Awaited<ReturnType<typeof temporaryFolder>>

beforeAll(async () => {
  server = await startTestServer()
  folder = await temporaryFolder()
  await addModel(server.url, 'cria', criaFile)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await folder?.[Symbol.asyncDispose]()
})

async function addNoise(name: ShapeName): Promise<void> {
  const file = path.join(folder.path, `${name}.gguf`)
  await makeModel(file, { shape: shapes[name], type: 'f16', name, seed: 1 })
  await addModel(server.url, name, file)
}

const predict = async (model: string, options: object = {}) => (await post(server.url, '/api/fit', { model, options })).body as unknown as FitAnswer

/** Bytes of the one runner's process that are in memory. */
async function residentBytes(): Promise<number> {
  const [runner] = await runners(process.pid)
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${runner?.pid}/status`, 'utf8'))?.[1]) * 1024
}

describe('before a load /api/fit tells within a tenth what the model then takes', () => {
  test.each<[string, ShapeName | null, object]>([
    ['cria', null, { num_ctx: 2048 }],
    ['smollm2:135m', null, { num_ctx: 2048 }],
    ['smollm2:135m', null, { num_ctx: 8192 }],
    ['mini', 'mini', { num_ctx: 4096 }],
    ['tiny', 'tiny', {}],
    ['qwen2-tiny', 'qwen2-tiny', { num_ctx: 1024 }],
    ['gemma3-tiny', 'gemma3-tiny', { num_ctx: 2048, num_batch: 256 }],
  ])('%s (%s) with %o', { timeout: 60_000 }, async (model, noise, options) => {
    if (noise !== null) await addNoise(noise)
    const predicted = await predict(model, options)
    expect(predicted).toMatchObject({ verdict: 'cpu', memory: { from: 'planned' } })
    // A prompt longer than a batch touches everything that was reserved for one.
    const prompt = 'word '.repeat(Math.min((predicted.num_ctx as number) - 100, 700))
    expect((await post(server.url, '/api/generate', { model, prompt, raw: true, stream: false, options: { ...options, num_predict: 20 } })).status).toBe(200)
    const { models } = await get<{ models: { size: number; context_length: number }[] }>(server.url, '/api/ps')
    const { total, process: ofProcess } = predicted.memory
    expect(models[0]?.context_length).toBe(predicted.num_ctx)
    // What llama.cpp says that it has allocated, and what the system says that the process holds.
    expect((total - ofProcess) / (models[0]?.size as number)).toBeCloseTo(1, 1)
    if (process.platform === 'linux') {
      const ratio = total / (await residentBytes())
      expect(ratio).toBeGreaterThan(0.9)
      expect(ratio).toBeLessThan(1.1)
    }
    await post(server.url, '/api/generate', { model, keep_alive: 0 })
    await expect.poll(async () => (await runners(process.pid)).length).toBe(0)
  })
})

test('a model that has run is predicted from its own replies, others from what it taught', async () => {
  await using fresh = await startTestServer()
  const options = { num_predict: 40, temperature: 0 }
  expect((await post(fresh.url, '/api/generate', { model: 'smollm2:135m', prompt: 'Count to twenty.', stream: false, options })).status).toBe(200)
  const { body } = await post(fresh.url, '/api/fit', { model: 'smollm2:135m' })
  expect(body.speed_from).toBe('measured')
  expect(body.tokens_per_second).toBeGreaterThan(1)
  await addModel(fresh.url, 'cria', criaFile)
  expect((await post(fresh.url, '/api/fit', { model: 'cria' })).body.speed_from).toBe('learned')
})

test('a fresh machine predicts from how fast its memory is', async () => {
  await using fresh = await startTestServer()
  const { body } = await post(fresh.url, '/api/fit', { model: 'smollm2:135m' })
  expect(body).toMatchObject({ speed_from: 'bandwidth' })
  expect(body.tokens_per_second as number).toBeGreaterThan(1)
})

test('the longest context that fits is told, at most the trained one', async () => {
  const answer = await predict('smollm2:135m', { num_ctx: 512 })
  expect(answer).toMatchObject({ num_ctx: 512, largest_num_ctx: 8192, trained_num_ctx: 8192 })
})

test('an embedding model has no context for replies and no speed', async () => {
  expect(await predict('all-minilm')).toMatchObject({ verdict: 'cpu', num_ctx: null, tokens_per_second: null, memory: { kv_cache: 0, from: 'estimated' } })
})

test('what cannot fit is said not to, with the way out', async () => {
  await using library = await openLibrary()
  await addCria(library)
  using database = openDatabase(path.join(folder.path, 'small.db'))
  const load: LoadModel<Runner> = (options, signal, progress) => Runner.load(spawn, runnerEntry, options, signal, progress)
  const memory = { freeBytes: 80 * 2 ** 20, totalBytes: 80 * 2 ** 20 }
  const device = { name: 'CPU', description: '', kind: 'cpu' as const, ...memory }
  const hardware = { cpu: { model: '', physicalCores: 1, totalBytes: memory.totalBytes }, builds: [], build: cpuBuild, devices: [device] }
  await using scheduler = new Scheduler({
    load,
    hardware: { current: () => hardware, ready: Promise.resolve() },
    settings: readConfig({ PADDOCK_HOME: folder.path }),
    log: new Log('error'),
    memory: () => memory,
  })
  const assessFit = createFit({
    ...library,
    readRemote: () => Promise.reject(new Error('no registry here')),
    scheduler,
    ready: Promise.resolve(),
    load,
    speeds: new Speeds(database),
    bandwidth: async () => 1e10,
  })
  expect(await assessFit({ model: 'cria', options: { num_ctx: 2048 }, remote: false, insecure: false }, forever)).toMatchObject({
    verdict: 'none',
    problem: expect.stringMatching(/^model requires more system memory \(0\.\d GiB\) than is available \(0\.1 GiB\); a smaller num_ctx/),
    devices: [{ name: 'CPU', totalBytes: memory.totalBytes }],
  })
})
