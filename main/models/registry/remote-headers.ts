import { createHash } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { AppError } from '../../errors.ts'
import { readGguf } from '../gguf.ts'
import type { GgufHeader } from '../gguf-header.ts'
import { joinHeaders } from '../gguf-parts.ts'
import { type ManifestLayer, mediaTypes } from '../manifest.ts'
import { displayName } from '../name.ts'
import type { RegistryClient } from './client.ts'
import { RegistryError } from './errors.ts'
import { checkManifest } from './manifest-check.ts'
import type { PullRequest } from './pull.ts'
import type { RemoteBlob, RemoteModel } from './source.ts'

/** The weights of a model that is not here, as far as their headers tell. */
export interface RemoteHeaders extends AsyncDisposable {
  /** sha256 hex of the manifest. */
  digest: string
  header: GgufHeader
  /** Files of the weights' lengths that hold their headers and nothing else; gone when this is disposed. */
  parts: { digest: string; sizeBytes: number; file: string }[]
}

/** Headers end with the vocabulary: most need 1 to 16 MB, and what needs more than the last of these is no model. */
const triedBytes = [1, 4, 16, 64].map((megabytes) => megabytes * 2 ** 20)
/** Of all headers of one model together: those of parts behind the first are small. */
const maxBytes = 256 * 2 ** 20

/** Reads the headers of a model's weights by ranged requests. Throws `model-not-found`, and RegistryError as a pull does. */
export async function readRemoteHeaders(
  { client, find }: { client: RegistryClient; find: (request: PullRequest, signal: AbortSignal) => Promise<RemoteModel> },
  request: PullRequest,
  signal: AbortSignal,
): Promise<RemoteHeaders> {
  const remote = await find(request, signal).catch((error: unknown) => {
    if (error instanceof RegistryError && error.status === 404)
      throw new AppError('model-not-found', `model '${displayName(request.name)}' not found`, { cause: error })
    throw error
  })
  const { manifest } = checkManifest(remote.manifest)
  const weights = manifest.layers.filter(({ mediaType }) => mediaType === mediaTypes.model)
  if (weights.length === 0) throw new AppError('invalid-model', `the model ${displayName(request.name)} has no weights`)
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(path.join(os.tmpdir(), 'paddock-header-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const parts: RemoteHeaders['parts'] = []
  const headers: GgufHeader[] = []
  for (const [index, layer] of weights.entries()) {
    const file = path.join(folder, `${index}.gguf`)
    const read = headers.reduce((sum, { dataOffset }) => sum + dataOffset, 0)
    if (read > maxBytes) throw new AppError('invalid-model', `the headers of ${displayName(request.name)} are larger than ${maxBytes} bytes`)
    headers.push(await fetchHeader(client, remote.blob(layer.digest), layer, file, signal))
    parts.push({ digest: layer.digest, sizeBytes: layer.size, file })
  }
  const header = joinHeaders(
    headers,
    parts.map(({ file }) => file),
  )
  const owned = stack.move()
  const digest = createHash('sha256').update(remote.manifest).digest('hex')
  return { digest, header, parts, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

/** Fetches more of a file until its header is whole. */
async function fetchHeader(client: RegistryClient, blob: RemoteBlob, { size }: ManifestLayer, file: string, signal: AbortSignal): Promise<GgufHeader> {
  await using handle = await open(file, 'wx')
  let fetched = 0
  for (const wanted of triedBytes) {
    const end = Math.min(wanted, size)
    for await (const chunk of bytesOf(client, blob, fetched, end, signal)) {
      await handle.write(chunk, 0, chunk.length, fetched)
      fetched += chunk.length
    }
    // Of the length that it says it has, so that what the header says of its tensors can be checked.
    await handle.truncate(size).catch((cause: unknown) => {
      throw new AppError('invalid-model', `its file is said to have ${size} bytes, more than a file can have here`, { cause })
    })
    const header = await readGguf(file).catch((error: unknown) => error)
    if (!(header instanceof Error) && (header as GgufHeader).dataOffset <= fetched) return header as GgufHeader
    if (end === size || wanted === triedBytes.at(-1))
      throw header instanceof Error ? header : new AppError('invalid-model', 'the header of its file has no end')
  }
  throw new Error('unreachable')
}

/** Bytes of a file from one place to another; of a server that knows no ranges, all from the beginning and what is not wanted thrown away. */
async function* bytesOf(client: RegistryClient, blob: RemoteBlob, from: number, to: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if ('bytes' in blob) {
    yield blob.bytes.subarray(from, to)
    return
  }
  using response = await client.request(blob.url, { headers: { range: `bytes=${from}-${to - 1}` } }, signal)
  let at = response.status === 206 ? from : 0
  for await (const chunk of response.body()) {
    const piece = chunk.subarray(Math.max(0, from - at), Math.max(0, to - at))
    at += chunk.length
    if (piece.length > 0) yield piece
    if (at >= to) return
  }
}
