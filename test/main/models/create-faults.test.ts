import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CreateParts, createModel } from '../../../main/models/create.ts'
import type { Spawn } from '../../../main/runtime/process.ts'
import { quantizationTypes, quantize } from '../../../main/runtime/quantizer.ts'
import { makeModel, shapes } from '../../helpers/make-gguf.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { splitGguf } from '../../helpers/split-gguf.ts'
import { type TemporaryFolder, temporaryFolder } from '../../helpers/temporary-folder.ts'
import { quantizeEntry, spawn } from '../runtime/cria.ts'
import { createParts, forever, name, openLibrary, type TestLibrary } from './setup.ts'

let folder: TemporaryFolder
let parts: string[]
beforeAll(async () => {
  folder = await temporaryFolder()
  const file = path.join(folder.path, 'mini.gguf')
  await makeModel(file, { shape: shapes.mini, type: 'f16' })
  parts = await splitGguf(file, folder.path, 2, { stem: 'mini' })
})
afterAll(() => folder[Symbol.asyncDispose]())

/** A quantizer whose processes can be looked at. */
function observed(): { quantizer: CreateParts['quantizer']; pids: number[] } {
  const pids: number[] = []
  const seen: Spawn = (file, options) => {
    const child = spawn(file, options)
    if (child.pid !== undefined) pids.push(child.pid)
    return child
  }
  return {
    pids,
    quantizer: {
      types: quantizationTypes,
      quantize: (source, target, type, signal) => quantize({ spawn: seen, entry: quantizeEntry, build: cpuBuild }, { source, target, type }, signal),
    },
  }
}
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const files = ({ store }: TestLibrary) => readdir(store.blobs.folder)

describe('a conversion, of weights in two files,', () => {
  async function begin(test: TestLibrary, signal = forever) {
    const digests = await Promise.all(parts.map(async (file) => test.upload(await readFile(file))))
    const before = await files(test)
    const { quantizer, pids } = observed()
    const request = { model: 'small', files: Object.fromEntries(digests.map((digest, i) => [`mini-${i}.gguf`, digest])), quantize: 'q2_k' }
    const steps = createModel({ library: test.library, ...createParts, quantizer }, request, signal)
    for await (const step of { [Symbol.asyncIterator]: () => ({ next: () => steps.next() }) }) if ((step.completed ?? 0) > 0) break
    return { before, pids, steps }
  }

  test('that is left ends its process and leaves nothing half-written', async () => {
    await using test = await openLibrary()
    const leaving = new AbortController()
    const { before, pids, steps } = await begin(test, leaving.signal)
    expect((await files(test)).length).toBeGreaterThan(before.length)
    leaving.abort(new Error('left'))
    await expect(Array.fromAsync(steps)).rejects.toThrow('left')
    expect(await files(test)).toEqual(before)
    expect(pids.map(isAlive)).toEqual([false])
    expect(await test.library.list()).toEqual([])
  })

  test('whose reader stops reading ends the same way', async () => {
    await using test = await openLibrary()
    const { before, pids, steps } = await begin(test)
    await steps.return(undefined)
    expect(await files(test)).toEqual(before)
    expect(pids.map(isAlive)).toEqual([false])
  })

  test('whose process is killed says so, leaves nothing half-written, and works the next time', async () => {
    await using test = await openLibrary()
    const { before, pids, steps } = await begin(test)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await expect(Array.fromAsync(steps)).rejects.toMatchObject({
      code: 'runner-crashed',
      message: expect.stringMatching(/^quantizing stopped unexpectedly: ended by SIGKILL; if memory ran out, end other programs/),
    })
    expect(await files(test)).toEqual(before)
    const again = await begin(test)
    expect((await Array.fromAsync(again.steps)).at(-1)).toEqual({ status: 'success' })
    expect((await test.library.resolve(name('small')))?.details.quantizationLevel).toBe('Q2_K')
  })

  test('is not disturbed by the housekeeping', async () => {
    await using test = await openLibrary()
    const { steps } = await begin(test)
    // As if it had gone on for two hours.
    await test.store.tidy({ prune: true, now: Date.now() + 2 * 3_600_000 })
    expect((await Array.fromAsync(steps)).at(-1)).toEqual({ status: 'success' })
    const model = await test.library.resolve(name('small'))
    expect(existsSync(model?.weights.file ?? '')).toBe(true)
  })
})

test('a create that is left between its steps leaves no manifest, and its blobs to the housekeeping', async () => {
  await using test = await openLibrary()
  const digest = await test.upload(await readFile(parts[0] as string))
  const other = await test.upload(await readFile(parts[1] as string))
  const request = { model: 'left', files: { 'a.gguf': digest, 'b.gguf': other }, system: 'Be brief.', template: '{{ .Prompt }}' }
  const count = (await Array.fromAsync(createModel({ library: test.library, ...createParts }, request, forever))).length
  await test.library.delete(name('left'))
  for (let stop = 1; stop < count - 1; stop++) {
    for (const file of parts) await test.upload(await readFile(file))
    const steps = createModel({ library: test.library, ...createParts }, request, forever)
    for (let i = 0; i < stop; i++) await steps.next()
    await steps.return(undefined)
    expect(await test.library.list()).toEqual([])
    expect((await files(test)).filter((file) => file.startsWith('.'))).toEqual([])
  }
  await test.store.tidy({ prune: true, now: Date.now() + 2 * 3_600_000 })
  expect(await files(test)).toEqual([])
})
