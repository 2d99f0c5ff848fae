import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { requireSpace } from '../free-space.ts'
import type { Library } from '../library.ts'
import { isBroken, type ManifestLayer, type ModelConfig, mediaTypes } from '../manifest.ts'
import { displayName, type ModelName } from '../name.ts'
import type { Entry } from '../origin.ts'
import type { BlobDownloads, SharedDownload } from './blob-downloads.ts'
import { type CheckedManifest, checkConfig, checkManifest, isWeights } from './manifest-check.ts'
import { type Move, moveBlobs, progressOf, type TransferProgress } from './pieces.ts'
import type { RemoteModel } from './source.ts'

export interface PullRequest {
  name: ModelName
  /** Plain HTTP. */
  insecure: boolean
}

export interface PullParts {
  library: Pick<Library, 'store' | 'open' | 'header'>
  downloads: BlobDownloads
  /** Asks the registry of a name what the model is made of. */
  find: (request: PullRequest, signal: AbortSignal) => Promise<RemoteModel>
  /** Remove what only the former manifest of the same name needed; false with `OLLAMA_NOPRUNE`. */
  prune: boolean
}

/** Blobs at a time; each has its own connections. */
const together = { small: 8, weights: 3 }

interface ReadConfig {
  parsed: ModelConfig
  bytes: Uint8Array
}

/**
 * Brings a model from its registry into the store; yields what it does, `success` last.
 *
 * Nothing is listed before all of it is there, is what its digests say, and can be read as a model. What has come when the signal aborts stays for the next time.
 */
export async function* pullModel(parts: PullParts, request: PullRequest, signal: AbortSignal): AsyncGenerator<TransferProgress, void> {
  const { library, prune } = parts
  const { store } = library
  yield { status: 'pulling manifest' }
  const remote = await parts.find(request, signal)
  const checked = checkManifest(remote.manifest)
  using pins = new DisposableStack()
  for (const { digest } of checked.blobs) pins.use(store.pin(digest))

  const config = yield* fetchBlobs(parts, request, remote, checked, signal)
  yield { status: 'verifying sha256 digest' }
  const entry = entryOf(parts, request, remote, checked, config)
  // A cloud model is a config without weights.
  if (entry.layers.some(({ mediaType }) => mediaType === mediaTypes.model)) await library.open(entry)
  for (const { mediaType, file } of entry.layers) if (mediaType === mediaTypes.draft) await library.header(file)

  const before = store.manifests.find(request.name)
  yield { status: 'writing manifest' }
  await store.put(request.name, remote.manifest, { prune, pins })
  const digests = new Set(checked.blobs.map(({ digest }) => digest))
  if (prune && before !== null && !isBroken(before)) {
    const { config: formerConfig, layers } = before.manifest
    if ([formerConfig, ...layers].some(({ digest }) => !digests.has(digest))) yield { status: 'removing unused layers' }
  }
  yield { status: 'success' }
}

/** The small blobs first: what they say may be a reason to leave the weights where they are. */
async function* fetchBlobs(
  { library: { store }, downloads }: PullParts,
  { name }: PullRequest,
  remote: RemoteModel,
  { manifest, blobs }: CheckedManifest,
  signal: AbortSignal,
): AsyncGenerator<TransferProgress, ReadConfig> {
  const missing: ManifestLayer[] = []
  for (const layer of blobs) {
    if (await store.blobs.holds(layer.digest, layer.size)) yield progressOf('pulling', blobOf(layer), layer.size)
    else missing.push(layer)
  }
  const here = await bytesHere()
  await makeRoom()
  // All of them at once, so that whoever watches knows how much it is.
  for (const layer of missing) yield progressOf('pulling', blobOf(layer), here.get(layer.digest) ?? 0)
  const small = missing.filter((layer) => !isWeights(layer))
  yield* fetched(small, together.small)
  const bytes = await readFile(store.blobs.path(manifest.config.digest))
  const parsed = checkConfig(bytes, manifest)
  yield* fetched(missing.filter(isWeights), together.weights)
  return { parsed, bytes }

  async function bytesHere(): Promise<Map<string, number>> {
    const all = missing.map(async ({ digest, size }) => [digest, await downloads.bytesHere({ digest, sizeBytes: size })] as const)
    return new Map(await Promise.all(all))
  }

  async function makeRoom(): Promise<void> {
    let needed = downloads.bytesToCome(new Set(missing.map(({ digest }) => digest)))
    for (const { digest, size } of missing) needed += size - (here.get(digest) ?? 0)
    if (missing.length > 0) await requireSpace(path.dirname(store.blobs.folder), needed, displayName(name))
  }

  function fetched(layers: readonly ManifestLayer[], together: number): AsyncGenerator<TransferProgress, void> {
    const move: Move<BlobOf> = async ({ digest, sizeBytes }, follow, either) => {
      const blob = remote.blob(digest)
      if ('bytes' in blob) {
        await store.blobs.write(digest, [blob.bytes], either)
      } else {
        const shared: SharedDownload = downloads.join({ digest, sizeBytes, url: blob.url }, either)
        follow(() => shared.completedBytes)
        await shared.done
      }
    }
    return moveBlobs(layers.map(blobOf), { verb: 'pulling', together, told: here }, move, signal)
  }
}

type BlobOf = ReturnType<typeof blobOf>

function blobOf({ digest, size }: ManifestLayer) {
  return { digest, sizeBytes: size }
}

/** The model as the library will see it once its manifest is there. */
function entryOf(
  { library: { store } }: PullParts,
  { name }: PullRequest,
  remote: RemoteModel,
  { manifest, totalBytes }: CheckedManifest,
  config: ReadConfig,
): Entry {
  return {
    name,
    origin: store.id,
    digest: manifest.config.digest,
    manifest: remote.manifest,
    sizeBytes: totalBytes,
    modifiedAt: new Date(),
    config: config.parsed,
    configBlob: { digest: manifest.config.digest, bytes: config.bytes },
    layers: manifest.layers.map(({ mediaType, digest, size, from = null }) => ({ mediaType, digest, sizeBytes: size, file: store.blobs.path(digest), from })),
  }
}
