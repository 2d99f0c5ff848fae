import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Context } from '../../../../main/runtime/llama/context.ts'
import { loadLibrary, platformBuild } from '../../../../main/runtime/llama/library.ts'
import { Model } from '../../../../main/runtime/llama/model.ts'
import { Sampler } from '../../../../main/runtime/llama/sampler.ts'
import { criaFile, minilmFile } from '../../../helpers/library.ts'
import { contextOf, greedy, loadOptionsOf } from '../../../helpers/runner-requests.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { loadedModel } from '../runner-process/running-engine.ts'

const library = loadLibrary(platformBuild())
const load = (file: string, signal = new AbortController().signal, onProgress?: (fraction: number) => void) =>
  Model.load(library, loadOptionsOf(file), signal, onProgress)
const plain = { addSpecial: false, parseSpecial: false }

describe('Model.load', () => {
  test('tells how far it is, up to the end', async () => {
    const fractions: number[] = []
    const model = await load(criaFile, undefined, (fraction) => fractions.push(fraction))
    model.free()
    expect(fractions.at(-1)).toBe(1)
    expect(fractions).toEqual(fractions.toSorted((a, b) => a - b))
  })

  test('stops when it is aborted, with the reason', async () => {
    const stop = new AbortController()
    const reason = new Error('no longer wanted')
    await expect(load(minilmFile, stop.signal, () => stop.abort(reason))).rejects.toBe(reason)
  })

  test('counts what the weights take', async () => {
    const { buffers, sizeBytes } = await loadedModel()
    expect(buffers.weights.CPU).toBeGreaterThan(sizeBytes * 0.9)
  })

  test('says that a file is missing', async () => {
    await expect(load('/nowhere/model.gguf')).rejects.toMatchObject({ code: 'load-failed' })
  })

  test('says what is wrong with a file that was cut short', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'cut.gguf')
    await writeFile(file, (await readFile(criaFile)).subarray(0, 2_000_000))
    await expect(load(file)).rejects.toMatchObject({ code: 'invalid-model', message: expect.stringContaining('not within the file bounds') })
  })

  test('refuses a file that is no model', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'page.gguf')
    await writeFile(file, '<!doctype html><title>404</title>')
    await expect(load(file)).rejects.toMatchObject({ code: 'invalid-model' })
  })

  test('reads only the vocabulary when that is asked for', async () => {
    const model = await Model.load(library, { ...loadOptionsOf(criaFile), vocabOnly: true }, new AbortController().signal)
    expect(model.tokenize('hello', plain).length).toBeGreaterThan(0)
    model.free()
  })
})

describe('Model', () => {
  test.each(['', 'hello', 'héllo wörld', '🦊🦊 日本語', 'a\u0000b', '\uFEFFx', 'x'.repeat(5000)])('tokenises and writes %j the same', async (text) => {
    const model = await loadedModel()
    expect(model.detokenize(model.tokenize(text, plain))).toBe(text)
  })

  test('makes special tokens of their text only when asked to', async () => {
    const model = await loadedModel()
    const text = '<|im_start|>'
    expect(model.tokenize(text, { addSpecial: false, parseSpecial: true })).toHaveLength(1)
    expect(model.tokenize(text, plain).length).toBeGreaterThan(1)
  })

  test('gives a special token text only when asked to', async () => {
    const model = await loadedModel()
    const [token] = model.tokenize('<|im_start|>', { addSpecial: false, parseSpecial: true }) as [number]
    expect([model.piece(token, false).text, model.piece(token, true).text]).toEqual(['', '<|im_start|>'])
  })

  test('gives a part of a character as bytes without text', async () => {
    const model = await loadedModel()
    const parts = model.tokenize('🦊', plain).map((token) => model.piece(token, false))
    expect(parts.length).toBeGreaterThan(1)
    expect([Buffer.concat(parts.map(({ bytes }) => bytes)).toString(), parts[0]?.text]).toEqual(['🦊', null])
  })

  test('adds what the vocabulary asks for, once', async () => {
    const model = await loadedModel(minilmFile)
    const tokens = model.tokenize('hello', { addSpecial: true, parseSpecial: true })
    expect(tokens).toEqual([101, ...model.tokenize('hello', plain), 102])
    expect(model.tokenize('[CLS]hello', { addSpecial: true, parseSpecial: true })).toEqual(tokens)
  })

  test('knows whether it writes or only encodes', async () => {
    const halves = async (file: string) => {
      const { hasDecoder, hasEncoder } = await loadedModel(file)
      return { hasDecoder, hasEncoder }
    }
    expect(await halves(criaFile)).toEqual({ hasDecoder: true, hasEncoder: false })
    expect(await halves(minilmFile)).toEqual({ hasDecoder: false, hasEncoder: true })
  })

  test('knows which tokens end a reply', async () => {
    const model = await loadedModel()
    const end = model.tokenize('<|im_end|>', { addSpecial: false, parseSpecial: true })[0] as number
    expect([model.isEndOfGeneration(end), model.isEndOfGeneration(300)]).toEqual([true, false])
  })

  test('refuses tokens that it does not have', async () => {
    const model = await loadedModel()
    expect(() => model.checkTokens([1, model.vocabularySize])).toThrow('not in the model')
    expect(() => model.piece(-1, true)).toThrow('not in the model')
  })

  test('is freed with all that lives on it, once', async () => {
    const model = await load(criaFile)
    const context = await Context.forReplies(model, contextOf())
    const sampler = new Sampler(model, greedy, { prompt: [1], contextLength: 64 })
    model.free()
    for (const thing of [model, context, sampler]) thing.free()
  })

  test('names the adapter that cannot be read', async () => {
    const model = await loadedModel()
    await expect(model.adapter(criaFile)).rejects.toMatchObject({ code: 'load-failed', message: expect.stringContaining(criaFile) })
  })
})
