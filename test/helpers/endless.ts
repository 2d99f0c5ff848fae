import path from 'node:path'
import { addModel } from './library.ts'
import { makeModel, shapes } from './make-gguf.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A model of noise that goes on for thousands of tokens: for tests that interrupt a reply. */
export async function addEndlessModel(url: string, name = 'endless', { layers = 2 }: { layers?: number } = {}): Promise<void> {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'endless.gguf')
  await makeModel(file, { shape: { ...shapes.tiny, layers }, type: 'f16', name, seed: layers })
  await addModel(url, name, file, { parameters: { num_predict: -1 } })
}
