import { stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ChildHandle } from '../../../main/runtime/process.ts'
import { quantizationTypes, quantize } from '../../../main/runtime/quantizer.ts'
import { makeModel, shapes } from '../../helpers/make-gguf.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { smallDisk } from '../../helpers/small-disk.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { quantizeEntry, spawn } from './cria.ts'

const never = new AbortController().signal
const parts = { spawn, entry: quantizeEntry, build: cpuBuild }
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let source: string

beforeAll(async () => {
  folder = await temporaryFolder()
  source = path.join(folder.path, 'noise.gguf')
  await makeModel(source, { shape: shapes.tiny, type: 'f16', name: 'noise', seed: 1 })
})
afterAll(() => folder?.[Symbol.asyncDispose]())

describe('quantize()', () => {
  test.each(quantizationTypes)('makes %s', { timeout: 60_000 }, async (type) => {
    const target = path.join(folder.path, `${type}.gguf`)
    const progress = await Array.fromAsync(quantize(parts, { source, target, type }, never))
    expect(progress.length).toBeGreaterThan(5)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect((await stat(target)).size).toBeGreaterThan(1000)
  })

  test('a file that is no model is refused with its reason', async () => {
    const file = path.join(folder.path, 'words.gguf')
    await writeFile(file, 'GGUF and nothing more')
    await expect(Array.fromAsync(quantize(parts, { source: file, target: `${file}.out`, type: 'Q8_0' }, never))).rejects.toMatchObject({
      code: 'invalid-model',
      message: expect.stringContaining('could not be quantized to Q8_0'),
    })
  })

  test('a type that llama.cpp cannot make is refused', async () => {
    await expect(Array.fromAsync(quantize(parts, { source, target: `${source}.out`, type: 'IQ1_S' }, never))).rejects.toThrow('cannot be quantized to IQ1_S')
  })

  test('an abort ends the process', async () => {
    const stop = new AbortController()
    const children: ChildHandle[] = []
    const keep: typeof spawn = (file, options) => {
      const child = spawn(file, options)
      children.push(child)
      return child
    }
    const running = quantize({ ...parts, spawn: keep }, { source, target: path.join(folder.path, 'given-up.gguf'), type: 'Q2_K' }, stop.signal)
    await running.next()
    stop.abort()
    await expect(running.next()).rejects.toThrow('abort')
    await new Promise((resolve) => children[0]?.onExit(resolve as () => void))
    expect(() => process.kill(children[0]?.pid as number, 0)).toThrow('ESRCH')
  })

  test('a process that dies is an error, not a short file', async () => {
    const killed: typeof spawn = (file, options) => {
      const child = spawn(file, options)
      child.kill()
      return child
    }
    await expect(
      Array.fromAsync(quantize({ ...parts, spawn: killed }, { source, target: path.join(folder.path, 'dead.gguf'), type: 'Q8_0' }, never)),
    ).rejects.toMatchObject({
      code: 'runner-crashed',
    })
  })

  test('a full disk is said to be full', async () => {
    await using disk = await smallDisk(1)
    if (disk === null) return void console.log('left out: a full disk while quantizing, as this user may not mount one')
    await expect(Array.fromAsync(quantize(parts, { source, target: path.join(disk.path, 'out.gguf'), type: 'F32' }, never))).rejects.toMatchObject({
      code: 'disk-full',
    })
  })
})
