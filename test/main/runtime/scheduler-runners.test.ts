import { afterEach, describe, expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import type { ModelSpec } from '../../../main/runtime/demand.ts'
import type { Lease } from '../../../main/runtime/lease.ts'
import type { Spawn } from '../../../main/runtime/process.ts'
import { Runner } from '../../../main/runtime/runner.ts'
import { Scheduler, type SchedulerSettings } from '../../../main/runtime/scheduler.ts'
import { criaFile } from '../../helpers/library.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { request, runnerEntry, say, spawn } from './cria.ts'
import { defaults, demand, never } from './stand-ins.ts'

/** cria under several names: each key is a model of its own to the scheduler. */
function cria(key: string): ModelSpec {
  const shape = {
    architecture: 'llama',
    layers: 6,
    embeddingLength: 192,
    headCount: 6,
    headCountKv: 2,
    keyLength: 32,
    valueLength: 32,
    vocabularySize: 2048,
    contextLength: 2048,
    slidingWindow: null,
    weightBytes: 3_500_000,
  }
  return { key, file: criaFile, shape, embeddingOnly: false, sizeBytes: 3_555_456 }
}

const opened: AsyncDisposable[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((scheduler) => scheduler[Symbol.asyncDispose]()))
})

function start(settings: Partial<SchedulerSettings> = {}, spawner: Spawn = spawn): Scheduler {
  const device = { name: 'CPU', description: '', kind: 'cpu' as const, freeBytes: 2 ** 34, totalBytes: 2 ** 34 }
  const hardware = { cpu: { model: '', physicalCores: 1, totalBytes: 2 ** 34 }, builds: [], build: cpuBuild, devices: [device] }
  const scheduler = new Scheduler({
    load: (options, signal, onProgress) => Runner.load(spawner, runnerEntry, options, signal, onProgress, { env: { UV_THREADPOOL_SIZE: '1' } }),
    hardware: { current: () => hardware, ready: Promise.resolve() },
    settings: { ...defaults, loadTimeoutMs: 60_000, numParallel: 2, ...settings },
    log: new Log('error'),
    threads: 1,
  })
  opened.push(scheduler)
  return scheduler
}

async function ask(scheduler: Scheduler, key = 'a', contextLength: number | null = 512): Promise<string> {
  await using lease = await scheduler.acquire(cria(key), demand({ contextLength }), never)
  return say(lease.runner)
}

function kill({ runner }: Lease): void {
  process.kill(runner.pid as number, 'SIGKILL')
}

describe('with real runners', () => {
  test('three models used in turn where two have room all answer, the same each time', async () => {
    const scheduler = start({ maxLoadedModels: 2 })
    const replies: string[] = []
    for (const key of ['a', 'b', 'c', 'a', 'b', 'c']) replies.push(await ask(scheduler, key))
    expect(new Set(replies).size).toBe(1)
    expect(replies[0]).not.toBe('')
    await expect.poll(() => scheduler.resident().map(({ key }) => key)).toEqual(['b', 'c'])
  })

  test('requests beyond the slots wait their turn and all answer', async () => {
    const scheduler = start()
    const replies = await Promise.all(Array.from({ length: 8 }, () => ask(scheduler)))
    expect(new Set(replies).size).toBe(1)
  })

  test('another context length keeps the weights, and the process', async () => {
    const scheduler = start()
    const pids = new Set<number | undefined>()
    for (const contextLength of [512, 1024, 256, null]) {
      await using lease = await scheduler.acquire(cria('a'), demand({ contextLength }), never)
      pids.add(lease.runner.pid)
      expect(await say(lease.runner)).not.toBe('')
    }
    expect(pids.size).toBe(1)
    expect(scheduler.resident()[0]?.contextLength).toBe(2048)
  })

  test('the list shows what the model takes, and an unload ends its process', async () => {
    const scheduler = start()
    const lease = await scheduler.acquire(cria('a'), demand({ contextLength: 512 }), never)
    const [model] = scheduler.resident()
    expect(model).toMatchObject({ vramBytes: 0, contextLength: 512, slots: 2, running: 1, queued: 0, reason: 'request' })
    expect(model?.sizeBytes).toBeGreaterThan(3_000_000)
    await lease[Symbol.asyncDispose]()
    scheduler.unload('a')
    await lease.runner.exited
    await expect.poll(() => scheduler.resident()).toEqual([])
  })
})

describe('a runner killed', () => {
  const crash = { code: 'runner-crashed', message: expect.stringContaining('ended by SIGKILL') }

  test('during the load: who waits hears of it, the next request works', async () => {
    let murders = 1
    const scheduler = start({}, (file, options) => {
      const child = spawn(file, options)
      child.onMessage((message) => {
        if ((message as { type: string }).type === 'ready' && murders-- > 0) child.kill()
      })
      return child
    })
    await expect(ask(scheduler)).rejects.toMatchObject(crash)
    expect(await ask(scheduler)).not.toBe('')
  })

  test('during a prompt: the caller hears of it, the next request works', async () => {
    const scheduler = start()
    const lease = await scheduler.acquire(cria('a'), demand({ contextLength: 2048 }), never)
    let killed = false
    const reading = async () => {
      await using _ = lease
      for await (const event of lease.runner.generate(request({ prompt: 'word '.repeat(400), contextLength: 2048, maxTokens: -1 }), never)) {
        if (killed || event.type !== 'prompt') continue
        kill(lease)
        killed = true
      }
    }
    await expect(reading()).rejects.toMatchObject(crash)
    expect(await ask(scheduler)).not.toBe('')
  })

  test('while generating: each caller keeps what came, the next request works', async () => {
    const scheduler = start()
    const texts = ['', '']
    let killed = false
    const reading = async (index: 0 | 1) => {
      await using lease = await scheduler.acquire(cria('a'), demand({ contextLength: 512 }), never)
      for await (const event of lease.runner.generate(request({ maxTokens: -1 }), never)) {
        if (event.type === 'text') texts[index] += event.text
        if (killed || texts.includes('')) continue
        kill(lease)
        killed = true
      }
    }
    const ends = await Promise.allSettled([reading(0), reading(1)])
    expect(ends).toMatchObject([
      { status: 'rejected', reason: crash },
      { status: 'rejected', reason: crash },
    ])
    expect(texts).not.toContain('')
    expect(await ask(scheduler)).not.toBe('')
  })

  test('while idle: the next request works', async () => {
    const scheduler = start()
    const lease = await scheduler.acquire(cria('a'), demand({ contextLength: 512 }), never)
    await lease[Symbol.asyncDispose]()
    kill(lease)
    await lease.runner.exited
    expect(await ask(scheduler)).not.toBe('')
  })
})

test('disposing stops every runner while they write', async () => {
  const scheduler = start()
  const leases = await Promise.all(['a', 'b'].map((key) => scheduler.acquire(cria(key), demand({ contextLength: 512 }), never)))
  const replies = Promise.allSettled(leases.map(({ runner }) => say(runner, { maxTokens: -1 })))
  await scheduler[Symbol.asyncDispose]()
  expect((await replies).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  for (const { runner } of leases) expect(() => process.kill(runner.pid as number, 0)).toThrow('ESRCH')
})
