import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { post } from './http.ts'

const root = path.resolve(import.meta.dirname, '../..')
/** The tests' own model: it thinks and calls tools (`test/fixtures/cria/README.md`). */
export const criaFile = path.join(root, 'test/fixtures/cria/cria.gguf')
export const smollmFile = path.join(root, 'resources/models/smollm2/smollm2-135m-instruct-q4_1.gguf')
export const minilmFile = path.join(root, 'resources/models/all-minilm/all-minilm.gguf')

/** Puts a GGUF file into a running server's library, by the routes that `ollama create` uses. */
export async function addModel(url: string, model: string, file: string | Uint8Array, more: Record<string, unknown> = {}): Promise<void> {
  const answer = await createFrom(url, model, file, more)
  if (answer.status !== 200) throw new Error(`creating ${model}: ${answer.status} ${JSON.stringify(answer.body)}`)
}

/** As `addModel`, but gives the answer, whatever it is. */
export async function createFrom(url: string, model: string, file: string | Uint8Array, more: Record<string, unknown> = {}) {
  const bytes = typeof file === 'string' ? await readFile(file) : file
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const upload = await fetch(`${url}/api/blobs/${digest}`, { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> })
  if (!upload.ok) return { status: upload.status, body: (await upload.json()) as Record<string, unknown> }
  return await post(url, '/api/create', { model, files: { 'model.gguf': digest }, stream: false, ...more })
}
