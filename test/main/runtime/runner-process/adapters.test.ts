import { join } from 'node:path'
import { expect, test } from 'vitest'
import { key, type Tensor, writeGguf } from '../../../helpers/gguf-file.ts'
import { random } from '../../../helpers/random-weights.ts'
import { chat, requestOf } from '../../../helpers/runner-requests.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { RunningEngine } from './running-engine.ts'

/** cria's shape; the adapter shifts the queries of every layer by noise. */
const [layers, width, rank] = [4, 256, 4]

function noise(name: string, dimensions: number[], seed: number, gain: number): Tensor {
  const next = random(seed)
  const values = Float32Array.from({ length: dimensions.reduce((product, n) => product * n, 1) }, () => (next() - 0.5) * gain)
  return { name, dimensions, type: 0, sizeBytes: values.byteLength, data: () => [new Uint8Array(values.buffer)] }
}

async function writeAdapter(file: string, architecture = 'llama'): Promise<void> {
  const keys = [
    key.string('general.architecture', architecture),
    key.string('general.type', 'adapter'),
    key.string('adapter.type', 'lora'),
    key.f32('adapter.lora.alpha', rank),
  ]
  const tensors = Array.from({ length: layers }, (_, layer) => [
    noise(`blk.${layer}.attn_q.weight.lora_a`, [width, rank], layer, 1),
    noise(`blk.${layer}.attn_q.weight.lora_b`, [rank, width], 100 + layer, 1),
  ]).flat()
  await writeGguf(file, keys, tensors)
}

const question = chat('What is the capital of France?')

test('an adapter changes the reply of its request and no other, also side by side', async () => {
  await using folder = await temporaryFolder()
  using engine = await RunningEngine.start({ slots: 2 })
  const file = join(folder.path, 'adapter.gguf')
  await writeAdapter(file)
  // Each prompt is read anew, as one that is cached may round otherwise.
  const more = { maxTokens: 20, stopAtEog: false, cachePrompt: false }
  const plain = await engine.write(question, more)
  const adapted = await engine.write(question, { ...more, adapters: [{ file, scale: 1 }] })
  const together = await Promise.all([engine.write(question, more), engine.write(question, { ...more, adapters: [{ file, scale: 1 }] })])
  expect(adapted.text).not.toBe(plain.text)
  expect(together.map(({ text }) => text)).toEqual([plain.text, adapted.text])
})

test('cells that another adapter made are not taken for a prefix', async () => {
  await using folder = await temporaryFolder()
  using engine = await RunningEngine.start({ slots: 1 })
  const file = join(folder.path, 'adapter.gguf')
  await writeAdapter(file)
  await engine.write(question)
  const { done } = await engine.write(question, { adapters: [{ file, scale: 1 }], maxTokens: 1 })
  const again = await engine.write(question, { adapters: [{ file, scale: 1 }], maxTokens: 1 })
  expect([done.stats.cachedTokens, again.done.stats.cachedTokens]).toEqual([0, done.stats.promptTokens - 1])
})

test('a scale of 0 changes nothing', async () => {
  await using folder = await temporaryFolder()
  using engine = await RunningEngine.start({ slots: 1 })
  const file = join(folder.path, 'adapter.gguf')
  await writeAdapter(file)
  const { text } = await engine.write(question, { adapters: [{ file, scale: 0 }] })
  expect(text).toBe((await engine.write(question)).text)
})

test('an adapter of another architecture is refused', async () => {
  await using folder = await temporaryFolder()
  using engine = await RunningEngine.start({ slots: 1 })
  const file = join(folder.path, 'adapter.gguf')
  await writeAdapter(file, 'qwen2')
  await expect(engine.submit(requestOf(question, { adapters: [{ file, scale: 1 }] }))).rejects.toMatchObject({ code: 'load-failed' })
})
