import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeCrash, Runner, RunnerError } from '../../../main/runtime/runner.ts'
import { loadCria, request, runnerEntry, say, smallContext, spawn, startCria } from './cria.ts'

const never = new AbortController().signal

describe('a runner', () => {
  let runner: Runner
  beforeAll(async () => {
    runner = await startCria()
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test('says what it holds', () => {
    expect(runner.info).toMatchObject({ hasDecoder: true, rewindable: true })
    expect(runner.info.trainedContextLength).toBeGreaterThan(0)
  })

  test('streams a reply that ends with `done`', async () => {
    const types: string[] = []
    for await (const event of runner.generate(request(), never)) types.push(event.type)
    expect(types[0]).toBe('prompt')
    expect(types.at(-1)).toBe('done')
    expect(types).toContain('text')
  })

  test('gives the same greedy text to several at once', async () => {
    const alone = await say(runner)
    expect(await Promise.all([say(runner), say(runner), say(runner)])).toEqual([alone, alone, alone])
  })

  test('tokenises and back', async () => {
    const [tokens] = await runner.tokenize(['Hello there'], { addSpecial: false, parseSpecial: false }, never)
    expect(await runner.detokenize(tokens ?? [], never)).toBe('Hello there')
  })

  test('leaving the loop frees the slot', async () => {
    for (let count = 0; count < 4; count++) {
      for await (const event of runner.generate(request({ maxTokens: -1 }), never)) if (event.type === 'text') break
    }
    expect(await say(runner)).not.toBe('')
  })

  test('an abort ends the reply with its reason', async () => {
    const stop = new AbortController()
    const reading = async () => {
      for await (const event of runner.generate(request({ maxTokens: -1 }), stop.signal)) if (event.type === 'text') stop.abort(new Error('enough'))
    }
    await expect(reading()).rejects.toThrow('enough')
  })

  test('an over-long prompt is refused with its figures', async () => {
    const error = await say(runner, { prompt: 'word '.repeat(800) }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RunnerError)
    expect(error).toMatchObject({ code: 'context-exceeded', details: expect.objectContaining({ contextLength: 512 }) })
  })

  test('a request that comes while a context is made waits for it', async () => {
    const alone = await say(runner)
    const growing = runner.ensureContext({ ...smallContext, contextLength: 1024, cells: 2048 }, never)
    expect(await say(runner)).toBe(alone)
    expect(await growing).toMatchObject({ contextLength: 1024, slots: 2 })
  })

  test('replies go on while a larger context is made', async () => {
    let completionTokens = 0
    const growing: Promise<unknown>[] = []
    for await (const event of runner.generate(request({ maxTokens: 300 }), never)) {
      if (event.type === 'prompt') growing.push(runner.ensureContext({ ...smallContext, contextLength: 768, cells: 1536 }, never))
      if (event.type === 'done') completionTokens = event.stats.completionTokens
    }
    expect(completionTokens).toBe(300)
    expect(await growing[0]).toMatchObject({ contextLength: 768 })
  })
})

describe('loading', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runner-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('reports its progress up to the whole', async () => {
    const fractions: number[] = []
    await using _ = await Runner.load(spawn, runnerEntry, loadCria, never, (fraction) => fractions.push(fraction))
    expect(fractions.at(-1)).toBe(1)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
  })

  test('a file that is no model is an error that names the file', async () => {
    const file = join(folder, 'not-a-model.gguf')
    writeFileSync(file, 'hello')
    await expect(Runner.load(spawn, runnerEntry, { ...loadCria, file }, never, () => {})).rejects.toMatchObject({ name: 'AppError' })
  })

  test('an abort kills the process before load() returns', async () => {
    const stop = new AbortController()
    const pids: (number | undefined)[] = []
    const loading = Runner.load(
      (file, options) => {
        const child = spawn(file, options)
        pids.push(child.pid)
        return child
      },
      runnerEntry,
      loadCria,
      stop.signal,
      () => {},
    )
    stop.abort()
    await expect(loading).rejects.toThrow('abort')
    expect(() => process.kill(pids[0] as number, 0)).toThrow('ESRCH')
  })

  test('an entry that does not exist is a crash with its reason', async () => {
    await expect(Runner.load(spawn, join(folder, 'missing.ts'), loadCria, never, () => {})).rejects.toMatchObject({
      code: 'runner-crashed',
      message: expect.stringContaining('model runner has unexpectedly stopped'),
    })
  })
})

describe('a process that dies', () => {
  const crash = {
    code: 'runner-crashed',
    message:
      'model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check server log for details: ended by SIGKILL',
  }

  test('while generating fails the reply after the text that came', async () => {
    await using runner = await startCria()
    let text = ''
    const reading = async () => {
      for await (const event of runner.generate(request({ maxTokens: -1 }), never)) {
        if (event.type !== 'text') continue
        if (text === '') process.kill(runner.pid as number, 'SIGKILL')
        text += event.text
      }
    }
    await expect(reading()).rejects.toMatchObject(crash)
    expect(text).not.toBe('')
  })

  test('while evaluating a prompt fails the request', async () => {
    await using runner = await startCria()
    let killed = false
    const reading = async () => {
      for await (const event of runner.generate(request({ prompt: 'word '.repeat(200), maxTokens: -1 }), never)) {
        if (killed || event.type !== 'prompt') continue
        process.kill(runner.pid as number, 'SIGKILL')
        killed = true
      }
    }
    await expect(reading()).rejects.toMatchObject(crash)
  })

  test('while idle fails the next request, and says so to who watches', async () => {
    await using runner = await startCria()
    process.kill(runner.pid as number, 'SIGKILL')
    await expect(runner.exited).resolves.toMatchObject(crash)
    await expect(say(runner)).rejects.toMatchObject(crash)
    await expect(runner.tokenize(['x'], { addSpecial: false, parseSpecial: false }, never)).rejects.toMatchObject(crash)
  })

  test('a silent process counts as hung and is killed', async () => {
    await using runner = await startCria({ silenceMs: 1500 })
    process.kill(runner.pid as number, 'SIGSTOP')
    await expect(say(runner)).rejects.toMatchObject({ code: 'runner-crashed', message: 'model runner stopped responding' })
  })
})

describe('stopping', () => {
  test('ends the process by itself, and open requests with it', async () => {
    const runner = await startCria()
    const reading = expect(say(runner, { maxTokens: -1 })).rejects.toMatchObject({ code: 'unavailable' })
    await runner.tokenize(['x'], { addSpecial: false, parseSpecial: false }, never)
    await runner[Symbol.asyncDispose]()
    await reading
    await expect(runner.exited).resolves.toBeNull()
  })

  test('a process that does not listen is killed', async () => {
    const runner = await startCria({ stopMs: 100 })
    const pid = runner.pid as number
    process.kill(pid, 'SIGSTOP')
    await runner[Symbol.asyncDispose]()
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })
})

describe('describeCrash()', () => {
  test('names the assertion that ended the process', () => {
    const stderr = 'load: ok\n/src/llama-hparams.cpp:75: GGML_ASSERT(n > 0) failed\n[New LWP 12]\n#0 0x7f in wait4 ()\n'
    expect(describeCrash({ code: null, signal: 'SIGABRT' }, stderr)).toMatch(
      /server log for details: \/src\/llama-hparams\.cpp:75: GGML_ASSERT\(n > 0\) failed$/,
    )
  })

  test('writes exit codes of Windows as they are known', () => {
    expect(describeCrash({ code: 3221225477, signal: null }, '')).toMatch(/: exit code 0xC0000005$/)
  })
})
