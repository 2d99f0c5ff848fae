import { once } from 'node:events'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addEndlessModel } from '../helpers/endless.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { family, type ProcessInfo, stillRunning } from '../helpers/processes.ts'
import { startProgram } from '../helpers/program.ts'
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts'

let folder: TemporaryFolder
let large: string
beforeAll(async () => {
  folder = await temporaryFolder()
  large = path.join(folder.path, 'large.gguf')
  await makeModel(large, { shape: { ...shapes['1b'], layers: 2, vocabulary: 'cria' }, type: 'f16', name: 'large', seed: 1 })
})
afterAll(() => folder?.[Symbol.asyncDispose]())

test.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
  'a server that ends by %s while it replies, loads and quantizes leaves no process behind',
  async (signal) => {
    await using program = await startProgram()
    const { url } = program
    await addModel(url, 'cria', criaFile)
    await addEndlessModel(url)
    await addModel(url, 'large', large)
    // Renders a template, which stays ready for the next.
    expect((await post(url, '/api/chat', { model: 'cria', messages: [{ role: 'user', content: 'Hello' }], stream: false })).status).toBe(200)

    const quantize = async () => {
      for (let count = 0; ; count++) await post(url, '/api/create', { model: `small-${count}`, from: 'large', quantize: 'q4_K_M', stream: false })
    }
    const work = Promise.allSettled([
      post(url, '/api/generate', { model: 'endless', prompt: 'go on', stream: false }),
      post(url, '/api/generate', { model: 'large', prompt: 'a', stream: false, options: { num_predict: -1 } }),
      quantize(),
    ])
    let members: ProcessInfo[] = []
    const kinds = async () => {
      members = await family(program.process.pid ?? 0)
      return members.map(({ command }) => /(runner|template|quantize)/.exec(command)?.[1])
    }
    await expect.poll(kinds).toEqual(expect.arrayContaining(['quantize', 'runner', 'template']))

    const end = once(program.process, 'exit')
    program.process.kill(signal)
    await end
    await expect.poll(() => stillRunning(members)).toEqual([])
    await work
  },
  120_000,
)
