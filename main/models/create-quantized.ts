import { link, mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'
import { type BlobStore, digestOfFile } from './blobs.ts'
import type { ImportedFile } from './create-files.ts'
import { quantizationOf } from './details.ts'
import { partName } from './gguf-parts.ts'
import type { Library } from './library.ts'
import { mediaTypes } from './manifest.ts'
import type { Progress } from './progress.ts'

/** Converts the weights of model files; the types that it can make. */
export interface Quantizer {
  types: readonly string[]
  /** Writes `source`, its weights converted to `type`, to `target`; yields the bytes of `source` that are done. */
  quantize(source: string, target: string, type: string, signal: AbortSignal): AsyncIterable<number>
}

/** llama.cpp's names for what people ask for by the letter alone (its `quantize` tool has the same). */
const shortNames: Record<string, string> = { Q3_K: 'Q3_K_M', Q4_K: 'Q4_K_M', Q5_K: 'Q5_K_M' }

/** The type that a request asks for, by its present name; throws with the protocol's text when there is none such. */
export function quantizationTarget(text: string, types: readonly string[]): string {
  const asked = text.toUpperCase()
  const type = shortNames[asked] ?? asked
  if (types.includes(type)) return type
  // 500 as the protocol has it.
  throw new AppError('invalid-model', `unsupported quantization type ${type} - supported types are ${types.join(', ')}`)
}

/** Weights in another type, as a blob of our store. */
export async function* quantized(
  library: Library,
  weights: ImportedFile,
  type: string,
  { quantize }: Quantizer,
  pins: DisposableStack,
  signal: AbortSignal,
): AsyncGenerator<Progress, ImportedFile> {
  const current = quantizationOf(weights.header)
  if (!['F16', 'BF16', 'F32'].includes(current)) {
    throw new AppError('invalid-model', 'quantization is only supported for F16, BF16 and F32 models')
  }
  if (current === type) return weights
  const { store } = library
  await using target = store.blobs.incoming()
  const status = `quantizing ${current} model to ${type}`
  // It stands for no blob: clients show a progress bar a digest.
  const noDigest = '0000000000000000000'
  const total = weights.header.sizeBytes
  yield { status, digest: noDigest, total, completed: 0 }
  {
    await using source = await oneName(weights.files, store.blobs)
    for await (const done of quantize(source.file, target.file, type, signal)) yield { status, digest: noDigest, total, completed: Math.min(done, total) }
  }
  yield { status, digest: noDigest, total, completed: total }
  yield { status: 'verifying conversion' }
  const digest = await digestOfFile(target.file, signal)
  const { sizeBytes } = await store.blobs.adopt(digest, target.file, { signal, before: (known) => pins.use(store.pin(known)) })
  const file = store.blobs.path(digest)
  return { layers: [{ mediaType: mediaTypes.model, digest, size: sizeBytes }], header: await library.header(file), files: [file] }
}

/** A file by which llama.cpp finds all parts: it goes by their names, which blobs do not have. */
async function oneName(files: readonly string[], blobs: BlobStore): Promise<{ file: string } & AsyncDisposable> {
  const [first = ''] = files
  if (files.length === 1) return { file: first, [Symbol.asyncDispose]: async () => {} }
  await using stack = new AsyncDisposableStack()
  const names = stack.use(blobs.incoming())
  await mkdir(names.file)
  const named = files.map((file, at) => ({ file, name: path.join(names.file, partName('model', at, files.length)) }))
  // A symbolic link needs a right on Windows that a hard link does not; other disks have no hard links.
  for (const { file, name } of named) await link(file, name).catch(() => symlink(file, name))
  const owned = stack.move()
  return { file: named[0]?.name ?? '', [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
