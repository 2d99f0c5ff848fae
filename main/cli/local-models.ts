import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

/** A file that becomes part of a model. */
export interface LocalFile {
  file: string
  /** As the server is told, with `/`. */
  name: string
  sizeBytes: number
}

/** Weights in a folder: the first pattern that matches anything wins (ollama-api §12). */
const weightPatterns = [/^model.*\.safetensors$/, /^consolidated.*\.safetensors$/, /^pytorch_model.*\.bin$/, /^consolidated.*\.pth$/, /\.gguf$/, /\.bin$/]
const companions = [/\.json$/, /^chat_template\.jinja$/, /^tokenizer\.model$/]

/** The path that an argument of a Modelfile names: `~` is the home folder, the rest counts from the Modelfile's folder. */
export function resolvePath(argument: string, folder: string): string {
  const expanded = /^~(?=$|[/\\])/.test(argument) ? path.join(os.homedir(), argument.slice(1)) : argument
  return path.resolve(folder, expanded)
}

/** The files at a path: itself, or the model in a folder; null when nothing is there. */
export async function findFiles(at: string): Promise<LocalFile[] | null> {
  const info = await stat(at).catch((error: NodeJS.ErrnoException) => {
    // A name such as `smollm2:135m` is no path; on Windows its colon makes it an invalid one.
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EINVAL') return null
    throw error
  })
  if (info === null) return null
  if (!info.isDirectory()) return [{ file: at, name: path.basename(at), sizeBytes: info.size }]
  const names = (await readdir(at)).sort()
  const weights = weightPatterns.map((pattern) => names.filter((name) => pattern.test(name))).find((matching) => matching.length > 0)
  if (weights === undefined) throw new Error(`no Modelfile or safetensors files found: ${at} holds no model`)
  const others = weights.some((name) => name.endsWith('.gguf')) ? [] : names.filter((name) => companions.some((pattern) => pattern.test(name)))
  return Promise.all([...weights, ...others].map(async (name) => ({ file: path.join(at, name), name, sizeBytes: (await stat(path.join(at, name))).size })))
}

/** The bytes of a file, piece by piece; `onBytes` hears how many there have been. */
export async function* readFileParts(file: string, onBytes: (bytes: number) => void): AsyncIterable<Uint8Array> {
  let bytes = 0
  for await (const part of createReadStream(file, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>) {
    bytes += part.length
    onBytes(bytes)
    yield part
  }
}

/** `sha256:<hex>` of a file. */
export async function hashFile(file: string, onBytes: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of readFileParts(file, onBytes)) hash.update(part)
  return `sha256:${hash.digest('hex')}`
}
