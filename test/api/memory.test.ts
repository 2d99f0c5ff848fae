import path from 'node:path'
import { expect, test } from 'vitest'
import { get, post } from '../helpers/http.ts'
import { addModel } from '../helpers/library.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { runners } from '../helpers/processes.ts'
import { startProgram } from '../helpers/program.ts'
import { temporaryFolder } from '../helpers/temporary-folder.ts'

const models = ['one', 'two', 'three']

async function addThree(url: string): Promise<void> {
  await using folder = await temporaryFolder()
  for (const [seed, model] of models.entries()) {
    const file = path.join(folder.path, `${model}.gguf`)
    await makeModel(file, { shape: shapes.tiny, type: 'f16', seed, name: model })
    await addModel(url, model, file)
  }
}

test('three models in turn where two have room all answer, and never more than two stay', async () => {
  await using program = await startProgram({ env: { OLLAMA_MAX_LOADED_MODELS: '2' } })
  await addThree(program.url)
  const loaded: number[] = []
  for (let turn = 0; turn < 6; turn++) {
    const answer = await post(program.url, '/api/generate', { model: models[turn % 3], prompt: 'a', stream: false, options: { num_predict: 4 } })
    expect(answer).toMatchObject({ status: 200, body: { done: true, eval_count: 4 } })
    loaded.push((await get<{ models: unknown[] }>(program.url, '/api/ps')).models.length)
  }
  expect(Math.max(...loaded)).toBe(2)
  await expect.poll(async () => (await runners(program.process.pid ?? 0)).length).toBeLessThanOrEqual(2)
})

test('three models asked at once where two have room are all answered', async () => {
  await using program = await startProgram({ env: { OLLAMA_MAX_LOADED_MODELS: '2' } })
  await addThree(program.url)
  const asked = Array.from({ length: 9 }, (_, index) =>
    post(program.url, '/api/generate', { model: models[index % 3], prompt: 'a', stream: false, options: { num_predict: 20 } }),
  )
  expect((await Promise.all(asked)).map(({ status, body }) => [status, body.eval_count])).toEqual(Array(9).fill([200, 20]))
})
