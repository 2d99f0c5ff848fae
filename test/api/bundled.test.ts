import { Ollama } from 'ollama'
import { expect, test } from 'vitest'
import { startTestServer } from '../helpers/test-server.ts'

test('a model that ships is hidden when it is deleted, and can be brought back', async () => {
  await using server = await startTestServer()
  const ollama = new Ollama({ host: server.url })
  const names = async () => (await ollama.list()).models.map(({ name }) => name).sort()
  expect(await names()).toEqual(['all-minilm:latest', 'smollm2:135m'])

  await ollama.delete({ model: 'smollm2:135m' })
  expect(await names()).toEqual(['all-minilm:latest'])
  await expect(ollama.show({ model: 'smollm2:135m' })).rejects.toThrow("model 'smollm2:135m' not found")

  const answer = await fetch(`${server.url}/api/restore`, { method: 'POST' })
  expect(await answer.json()).toEqual({ restored: 1 })
  expect(await names()).toEqual(['all-minilm:latest', 'smollm2:135m'])
})
