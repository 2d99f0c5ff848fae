import { afterEach, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../../main/errors.ts'
import { demand, gibibyte, never, quiet, shape, spec, world } from './stand-ins.ts'

const [a, b, c] = [spec('a'), spec('b'), spec('c')]

describe('sharing', () => {
  test('requests to one model share its runner', async () => {
    const { scheduler, loads } = world()
    const leases = await Promise.all([scheduler.acquire(a, demand(), never), scheduler.acquire(a, demand(), never)])
    expect(loads).toHaveLength(1)
    expect(leases[0].runner).toBe(leases[1].runner)
  })

  test('all who wait for a load hear of its progress', async () => {
    const { scheduler } = world({
      async onLoad({ progress }) {
        await quiet()
        progress(0.5)
      },
    })
    const heard: number[][] = [[], []]
    await Promise.all(heard.map((fractions) => scheduler.acquire(a, demand(), never, (fraction) => fractions.push(fraction))))
    expect(heard).toEqual([
      [0, 0.5],
      [0, 0.5],
    ])
  })

  test('a load goes on while one of those who wait for it stays', async () => {
    const gate = Promise.withResolvers<void>()
    const { scheduler, loads } = world({ onLoad: () => gate.promise })
    const leaving = new AbortController()
    const first = scheduler.acquire(a, demand(), leaving.signal)
    const second = scheduler.acquire(a, demand(), never)
    await quiet()
    leaving.abort()
    await expect(first).rejects.toThrow('abort')
    gate.resolve()
    await second
    expect(loads).toHaveLength(1)
    expect(loads[0]?.signal.aborted).toBe(false)
  })

  test('a load that nobody waits for is cancelled and leaves nothing behind', async () => {
    const { scheduler, loads } = world({ onLoad: ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))) })
    const leaving = new AbortController()
    const waiting = scheduler.acquire(a, demand(), leaving.signal)
    await quiet()
    leaving.abort()
    await expect(waiting).rejects.toThrow('abort')
    await quiet()
    expect(loads[0]?.signal.aborted).toBe(true)
    expect(scheduler.resident()).toEqual([])
  })

  test('the first load waits until the hardware is known', async () => {
    const known = Promise.withResolvers<void>()
    const { scheduler, loads } = world({ ready: known.promise })
    const waiting = scheduler.acquire(a, demand(), never)
    await quiet()
    expect(loads).toHaveLength(0)
    known.resolve()
    await waiting
    expect(loads).toHaveLength(1)
  })

  test('a failed load fails all who wait, and the next request loads again', async () => {
    const { scheduler, loads } = world({
      async onLoad(_, count) {
        if (count === 1) throw new AppError('invalid-model', 'unknown model architecture')
      },
    })
    const results = await Promise.allSettled([scheduler.acquire(a, demand(), never), scheduler.acquire(a, demand(), never)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await scheduler.acquire(a, demand(), never)
    expect(loads).toHaveLength(2)
  })
})

describe('keep-alive', () => {
  afterEach(() => vi.useRealTimers())

  test('an idle model leaves when its time is over', async () => {
    vi.useFakeTimers()
    const { scheduler, events, alive } = world({ settings: { keepAliveMs: 60_000 } })
    const lease = await scheduler.acquire(a, demand(), never)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(alive()).toEqual(['a'])
    await lease[Symbol.asyncDispose]()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(alive()).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(1000)
    expect(alive()).toEqual([])
    expect(events.at(-1)).toMatchObject({ type: 'unload', reason: 'keep-alive' })
  })

  test('the time that a machine sleeps counts', async () => {
    vi.useFakeTimers()
    let asleepMs = 0
    const { scheduler, alive } = world({ settings: { keepAliveMs: 3_600_000 }, now: () => Date.now() + asleepMs })
    await (await scheduler.acquire(a, demand(), never))[Symbol.asyncDispose]()
    asleepMs = 8 * 3_600_000
    await vi.advanceTimersByTimeAsync(15_000)
    expect(alive()).toEqual([])
  })

  test("a request's own keep-alive holds for that runner from then on", async () => {
    vi.useFakeTimers()
    const { scheduler, alive } = world({ settings: { keepAliveMs: 1000 } })
    await (await scheduler.acquire(a, demand({ keepAliveMs: 600_000 }), never))[Symbol.asyncDispose]()
    await (await scheduler.acquire(a, demand(), never))[Symbol.asyncDispose]()
    await vi.advanceTimersByTimeAsync(590_000)
    expect(alive()).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(alive()).toEqual([])
  })

  test('a negative keep-alive is for ever, and shows as centuries', async () => {
    const { scheduler } = world()
    await using _ = await scheduler.acquire(a, demand({ keepAliveMs: -1 }), never)
    expect(scheduler.resident()[0]?.expiresAt.getFullYear()).toBeGreaterThan(2300)
  })

  test('zero unloads when the last lease ends', async () => {
    const { scheduler, alive } = world()
    const first = await scheduler.acquire(a, demand({ keepAliveMs: 0 }), never)
    const second = await scheduler.acquire(a, demand(), never)
    await first[Symbol.asyncDispose]()
    await quiet()
    expect(alive()).toEqual(['a'])
    await second[Symbol.asyncDispose]()
    await quiet()
    expect(alive()).toEqual([])
  })

  test('unload() lets a busy model finish and an idle one go at once', async () => {
    const { scheduler, alive, events } = world()
    const busy = await scheduler.acquire(a, demand(), never)
    await (await scheduler.acquire(b, demand(), never))[Symbol.asyncDispose]()
    expect([scheduler.unload('a'), scheduler.unload('b'), scheduler.unload('c')]).toEqual([true, true, false])
    await quiet()
    expect(alive()).toEqual(['a'])
    await busy[Symbol.asyncDispose]()
    await quiet()
    expect(alive()).toEqual([])
    expect(events.filter((event) => event.type === 'unload').map(({ reason }) => reason)).toEqual(['request', 'request'])
  })
})

describe('room', () => {
  test('more models than allowed: the least recently used idle one leaves', async () => {
    const { scheduler, alive, events } = world({ settings: { maxLoadedModels: 2 } })
    for (const model of [a, b, a, c]) await (await scheduler.acquire(model, demand(), never))[Symbol.asyncDispose]()
    expect(alive().toSorted()).toEqual(['a', 'c'])
    expect(events.find(({ type }) => type === 'unload')).toMatchObject({ key: 'b', reason: 'count' })
  })

  test('three models on a machine without GPU by default', async () => {
    const { scheduler, alive } = world()
    for (const key of ['a', 'b', 'c', 'd']) await (await scheduler.acquire(spec(key), demand({ contextLength: 1024 }), never))[Symbol.asyncDispose]()
    expect(alive()).toEqual(['b', 'c', 'd'])
  })

  test('too little memory: only what is needed leaves', async () => {
    const { scheduler, alive, events } = world({ totalBytes: 5.5 * gibibyte })
    const short = demand({ contextLength: 4096 })
    for (const model of [a, b]) await (await scheduler.acquire(model, short, never))[Symbol.asyncDispose]()
    await (await scheduler.acquire(spec('large', { weightBytes: 3 * gibibyte }), short, never))[Symbol.asyncDispose]()
    expect(alive()).toEqual(['b', 'large'])
    expect(events.find(({ type }) => type === 'unload')).toMatchObject({ key: 'a', reason: 'memory' })
  })

  test('all busy: the load waits for one to end', async () => {
    const { scheduler, alive } = world({ settings: { maxLoadedModels: 1 } })
    const busy = await scheduler.acquire(a, demand(), never)
    let served = false
    const waiting = scheduler.acquire(b, demand(), never).then((lease) => {
      served = true
      return lease
    })
    await quiet()
    expect(served).toBe(false)
    await busy[Symbol.asyncDispose]()
    await using _ = await waiting
    expect(alive()).toEqual(['b'])
  })

  test('requests to a busy model do not starve one that waits for its memory', async () => {
    const { scheduler } = world({ settings: { maxLoadedModels: 1 } })
    const order: string[] = []
    const use = async (model: typeof a) => {
      await using _ = await scheduler.acquire(model, demand(), never)
      order.push(model.key)
      await quiet()
    }
    await Promise.all([use(a), quiet().then(() => use(b)), quiet().then(() => use(a))])
    expect(order).toEqual(['a', 'b', 'a'])
  })

  test('a model whose reader left no longer makes room for itself', async () => {
    const { scheduler, alive } = world({ settings: { maxLoadedModels: 1 } })
    const busy = await scheduler.acquire(a, demand(), never)
    const leaving = new AbortController()
    const waiting = scheduler.acquire(b, demand(), leaving.signal)
    leaving.abort()
    await expect(waiting).rejects.toThrow('abort')
    await using _ = await scheduler.acquire(a, demand(), never)
    await busy[Symbol.asyncDispose]()
    expect(alive()).toEqual(['a'])
  })

  test('a model larger than the machine is refused with what would help, and nothing is evicted for it', async () => {
    const { scheduler, alive } = world({ totalBytes: 4 * gibibyte })
    await (await scheduler.acquire(a, demand({ contextLength: 1024 }), never))[Symbol.asyncDispose]()
    await expect(scheduler.acquire(spec('huge', { weightBytes: 40 * gibibyte }), demand(), never)).rejects.toThrow(
      /requires more system memory \(40\.\d GiB\) than is available \(4\.0 GiB\); a smaller model or quantisation would fit/,
    )
    expect(alive()).toEqual(['a'])
  })
})

describe('queue', () => {
  test('past its limit a request is refused in the words of the protocol, the others are served', async () => {
    const { scheduler } = world({ settings: { numParallel: 1, maxQueue: 2 } })
    const running = await scheduler.acquire(a, demand(), never)
    const queued = [await scheduler.acquire(a, demand(), never), await scheduler.acquire(a, demand(), never)]
    await expect(scheduler.acquire(a, demand(), never)).rejects.toMatchObject({
      code: 'queue-full',
      message: 'server busy, please try again.  maximum pending requests exceeded',
    })
    expect(scheduler.resident()[0]).toMatchObject({ running: 1, queued: 2 })
    await running[Symbol.asyncDispose]()
    queued.push(await scheduler.acquire(a, demand(), never))
    for (const lease of queued) await lease[Symbol.asyncDispose]()
  })

  test('holds for models that wait for memory too', async () => {
    const { scheduler } = world({ settings: { maxLoadedModels: 1, maxQueue: 1 } })
    const busy = await scheduler.acquire(a, demand(), never)
    const waiting = scheduler.acquire(b, demand(), never)
    await expect(scheduler.acquire(c, demand(), never)).rejects.toMatchObject({ code: 'queue-full' })
    await busy[Symbol.asyncDispose]()
    await (await waiting)[Symbol.asyncDispose]()
  })
})

describe('options', () => {
  const gpu = { name: 'CUDA0', description: 'test', kind: 'gpu' as const, freeBytes: 8 * gibibyte, totalBytes: 8 * gibibyte }

  test('another explicit number of GPU layers loads again, once the replies have ended', async () => {
    const { scheduler, loads } = world({ gpus: [gpu] })
    const busy = await scheduler.acquire(a, demand(), never)
    const other = scheduler.acquire(a, demand({ gpuLayers: 4 }), never)
    await quiet()
    expect(loads).toHaveLength(1)
    await busy[Symbol.asyncDispose]()
    await using _ = await other
    expect(loads.map(({ options }) => options.gpuLayers)).toEqual([shape.layers + 1, 4])
    expect(scheduler.resident()[0]?.reason).toBe('options: num_gpu 4 instead of 17')
  })

  test('automatic values never load again', async () => {
    const { scheduler, loads } = world({ gpus: [gpu] })
    for (const gpuLayers of [4, null, -1]) await (await scheduler.acquire(a, demand({ gpuLayers, useMmap: null }), never))[Symbol.asyncDispose]()
    expect(loads).toHaveLength(1)
  })

  test('GPU options do not count on a machine without a GPU', async () => {
    const { scheduler, loads } = world()
    for (const gpuLayers of [null, 99, 0]) await (await scheduler.acquire(a, demand({ gpuLayers, mainGpu: 1 }), never))[Symbol.asyncDispose]()
    expect(loads).toHaveLength(1)
    expect(loads[0]?.options).toMatchObject({ gpuLayers: 0, mainGpu: null })
  })

  test('a model that fits on one GPU goes on the freer one, and shows its memory there', async () => {
    const { scheduler, loads } = world({
      gpus: [
        { ...gpu, freeBytes: 6 * gibibyte },
        { ...gpu, name: 'CUDA1' },
      ],
    })
    await using _ = await scheduler.acquire(a, demand(), never)
    expect(loads[0]?.options).toMatchObject({ gpuLayers: 17, mainGpu: 1 })
    expect(scheduler.resident()[0]).toMatchObject({ vramBytes: gibibyte })
  })

  test('a model for all of whose layers the GPU is too small puts some on it', async () => {
    const { scheduler, loads } = world({ gpus: [{ ...gpu, freeBytes: 4 * gibibyte, totalBytes: 4 * gibibyte }] })
    await using _ = await scheduler.acquire(spec('a', { weightBytes: 6 * gibibyte }), demand(), never)
    const layers = loads[0]?.options.gpuLayers ?? 0
    expect(layers).toBeGreaterThan(4)
    expect(layers).toBeLessThan(16)
  })

  test('use_mmap asked for differently loads again', async () => {
    const { scheduler, loads } = world()
    for (const useMmap of [null, true, true]) await (await scheduler.acquire(a, demand({ useMmap }), never))[Symbol.asyncDispose]()
    expect(loads.map(({ options }) => options.useMmap)).toEqual([false, true])
  })
})

describe('context', () => {
  test('a larger num_ctx makes a second context on the loaded weights, a smaller one is served by it', async () => {
    const { scheduler, loads } = world()
    const lengths: number[] = []
    for (const contextLength of [2048, 8192, 4096]) {
      await using lease = await scheduler.acquire(a, demand({ contextLength }), never)
      lengths.push(lease.contextLength)
    }
    expect(loads).toHaveLength(1)
    expect(loads[0]?.runner.contexts.map((context) => context.contextLength)).toEqual([2048, 8192])
    expect(lengths).toEqual([2048, 8192, 4096])
  })

  test('the default is 32,768 tokens where they fit', async () => {
    const { scheduler } = world()
    await using lease = await scheduler.acquire(a, demand(), never)
    expect(lease.contextLength).toBe(32_768)
  })

  test('the default is the trained length of a model that was trained for less', async () => {
    const { scheduler } = world()
    await using lease = await scheduler.acquire(spec('a', { contextLength: 2048 }), demand(), never)
    expect(lease.contextLength).toBe(2048)
  })

  test('the default shrinks to what fits', async () => {
    const { scheduler } = world({ totalBytes: 2 * gibibyte })
    await using lease = await scheduler.acquire(a, demand(), never)
    expect(lease.contextLength).toBeGreaterThanOrEqual(4096)
    expect(lease.contextLength).toBeLessThan(32_768)
    expect(lease.contextLength % 256).toBe(0)
  })

  test('OLLAMA_CONTEXT_LENGTH stands for a request that names none', async () => {
    const { scheduler } = world({ settings: { contextLength: 6000 } })
    await using lease = await scheduler.acquire(a, demand(), never)
    expect(lease.contextLength).toBe(6000)
  })

  test('a length beyond the trained one is cut to it', async () => {
    const { scheduler } = world()
    await using lease = await scheduler.acquire(spec('a', { contextLength: 8192 }), demand({ contextLength: 100_000 }), never)
    expect(lease.contextLength).toBe(8192)
  })

  test('a default request after a short explicit one gets the default length', async () => {
    const { scheduler, loads } = world()
    await (await scheduler.acquire(a, demand({ contextLength: 2048 }), never))[Symbol.asyncDispose]()
    await using lease = await scheduler.acquire(a, demand(), never)
    expect(lease.contextLength).toBe(32_768)
    expect(loads).toHaveLength(1)
  })

  test('a model begins with one slot; when two requests meet it gets up to four while their cache is below a quarter of free memory', async () => {
    const slots = async (totalBytes: number) => {
      const { scheduler, loads } = world({ totalBytes })
      await using _ = await scheduler.acquire(a, demand(), never)
      const before = scheduler.resident()[0]?.slots
      await using __ = await scheduler.acquire(a, demand(), never)
      expect(loads).toHaveLength(1)
      return [before, scheduler.resident()[0]?.slots]
    }
    expect(await slots(32 * gibibyte)).toEqual([1, 4])
    expect(await slots(13 * gibibyte)).toEqual([1, 2])
    expect(await slots(8 * gibibyte)).toEqual([1, 1])
  })

  test('requests that come together get their slots at once', async () => {
    const { scheduler, loads } = world({ totalBytes: 32 * gibibyte })
    await Promise.all([1, 2, 3].map(() => scheduler.acquire(a, demand(), never)))
    expect(loads[0]?.runner.contexts.map(({ slots }) => slots)).toEqual([4])
  })

  test('slots for which the memory is missing after all are done without', async () => {
    const { scheduler, loads } = world({
      totalBytes: 32 * gibibyte,
      async onLoad({ runner }) {
        runner.mostCells = 40_000
      },
    })
    const leases = []
    for (let count = 0; count < 3; count++) leases.push(await scheduler.acquire(a, demand(), never))
    expect(loads[0]?.runner.contexts.map(({ slots }) => slots)).toEqual([1, 4, 1])
    expect(leases.map(({ contextLength }) => contextLength)).toEqual([32_768, 32_768, 32_768])
  })

  test('slots that were asked for share one pool of cells when they do not fit side by side', async () => {
    const { scheduler, loads } = world({ totalBytes: 4 * gibibyte, settings: { numParallel: 4 } })
    await using _ = await scheduler.acquire(a, demand({ contextLength: 32_768 }), never)
    const context = loads[0]?.runner.contexts[0]
    expect(context).toMatchObject({ slots: 4, unified: true, contextLength: 32_768 })
    expect(context?.cells).toBeGreaterThanOrEqual(32_768)
    expect(context?.cells).toBeLessThan(4 * 32_768)
  })

  test('a model that only embeds gets no context for replies', async () => {
    const { scheduler, loads } = world()
    await using lease = await scheduler.acquire({ ...a, embeddingOnly: true, shape: { ...shape, contextLength: 512 } }, demand(), never)
    expect(lease.contextLength).toBe(512)
    expect(loads[0]?.runner.contexts).toEqual([])
  })

  test('a batch or a number of threads that was asked for is honoured on the loaded weights', async () => {
    const { scheduler, loads } = world()
    for (const changes of [{}, { batchSize: 1024 }, { batchSize: 256 }, { threads: 2 }]) {
      await (await scheduler.acquire(a, demand({ contextLength: 4096, ...changes }), never))[Symbol.asyncDispose]()
    }
    expect(loads[0]?.runner.contexts.map(({ batchSize, threads }) => [batchSize, threads])).toEqual([
      [512, 4],
      [1024, 4],
      [512, 2],
    ])
  })
})

describe('out of memory', () => {
  test('a default context shrinks until it can be made', async () => {
    const { scheduler } = world({
      async onLoad({ runner }) {
        runner.mostCells = 10_000
      },
    })
    await using lease = await scheduler.acquire(a, demand(), never)
    expect(lease.contextLength).toBe(8192)
  })

  test('an explicit context keeps its length: the others leave, one more try, then the error', async () => {
    const { scheduler, loads, alive } = world({
      async onLoad({ runner, options }) {
        if (options.file.includes('b.gguf')) runner.mostCells = 10_000
      },
    })
    await (await scheduler.acquire(a, demand(), never))[Symbol.asyncDispose]()
    await expect(scheduler.acquire(b, demand({ contextLength: 20_000 }), never)).rejects.toMatchObject({ code: 'out-of-memory' })
    expect(alive()).toEqual(['b'])
    expect(loads[1]?.runner.contexts.map(({ contextLength, slots }) => [contextLength, slots])).toEqual([
      [20_000, 1],
      [20_000, 1],
    ])
    await using lease = await scheduler.acquire(b, demand({ contextLength: 8000 }), never)
    expect(lease.contextLength).toBe(8000)
  })

  test('a load that runs out gets one more try with the machine to itself', async () => {
    const { scheduler, alive, loads } = world({
      async onLoad(_, count) {
        if (count === 2) throw new AppError('out-of-memory', 'unable to allocate buffer')
      },
    })
    await (await scheduler.acquire(a, demand(), never))[Symbol.asyncDispose]()
    await using _ = await scheduler.acquire(b, demand(), never)
    expect(alive()).toEqual(['b'])
    expect(loads).toHaveLength(3)
  })

  test('a second failure is final', async () => {
    const { scheduler, loads } = world({
      async onLoad(_, count) {
        if (count > 1) throw new AppError('out-of-memory', 'unable to allocate buffer')
      },
    })
    await (await scheduler.acquire(a, demand(), never))[Symbol.asyncDispose]()
    await expect(scheduler.acquire(b, demand(), never)).rejects.toMatchObject({ code: 'out-of-memory' })
    expect(loads).toHaveLength(3)
  })
})

describe('failures', () => {
  afterEach(() => vi.useRealTimers())

  test('a load that stands still is given up', async () => {
    vi.useFakeTimers()
    const { scheduler } = world({
      settings: { loadTimeoutMs: 60_000 },
      async onLoad({ progress, signal }) {
        await vi.advanceTimersByTimeAsync(50_000)
        progress(0.5)
        await vi.advanceTimersByTimeAsync(50_000)
        expect(signal.aborted).toBe(false)
        await vi.advanceTimersByTimeAsync(20_000)
      },
    })
    await expect(scheduler.acquire(a, demand(), never)).rejects.toThrow('timed out waiting for model runner to start - no progress for 60 seconds')
    expect(scheduler.resident()).toEqual([])
  })

  test('a crashed runner is dropped and the next request loads again', async () => {
    const { scheduler, loads, events } = world()
    const lease = await scheduler.acquire(a, demand(), never)
    loads[0]?.runner.crash()
    await quiet()
    expect(scheduler.resident()).toEqual([])
    await lease[Symbol.asyncDispose]()
    await using _ = await scheduler.acquire(a, demand(), never)
    expect(loads).toHaveLength(2)
    expect(events).toMatchObject([
      { type: 'load', reason: 'request' },
      { type: 'unload', reason: 'crash' },
      { type: 'load', reason: 'crash' },
    ])
  })

  test('a model that crashes twice in five minutes is left alone for half a minute', async () => {
    let nowMs = 1e12
    const { scheduler, loads } = world({ now: () => nowMs })
    for (const _ of [1, 2]) {
      await using lease = await scheduler.acquire(a, demand(), never)
      lease.runner.crash()
      await quiet()
      nowMs += 60_000
    }
    nowMs -= 50_000
    await expect(scheduler.acquire(a, demand(), never)).rejects.toThrow(
      "model 'model:latest' (/models/a.gguf) made its runner crash 2 times within five minutes and is left alone for 20 s: model runner has unexpectedly stopped",
    )
    nowMs += 20_000
    await using _ = await scheduler.acquire(a, demand(), never)
    expect(loads).toHaveLength(3)
  })

  test('a runner that dies without a request is no reason to wait', async () => {
    const { scheduler } = world()
    for (const _ of [1, 2, 3]) {
      const lease = await scheduler.acquire(a, demand(), never)
      await lease[Symbol.asyncDispose]()
      lease.runner.crash()
      await quiet()
    }
    await using _ = await scheduler.acquire(a, demand(), never)
  })

  test('disposing refuses those who wait and stops every runner', async () => {
    const { scheduler, alive } = world({ settings: { maxLoadedModels: 1 } })
    await using _ = await scheduler.acquire(a, demand(), never)
    const waiting = scheduler.acquire(b, demand(), never)
    const refused = expect(waiting).rejects.toMatchObject({ code: 'unavailable', message: 'server is shutting down' })
    await scheduler[Symbol.asyncDispose]()
    await refused
    expect(alive()).toEqual([])
    await expect(scheduler.acquire(a, demand(), never)).rejects.toMatchObject({ code: 'unavailable' })
  })
})
