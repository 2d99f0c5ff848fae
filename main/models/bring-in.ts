import { digestOf, type WrittenBlob } from './blobs.ts'
import { formatManifest, parseManifest } from './manifest.ts'
import type { Entry, Layer } from './origin.ts'
import { type Move, moveBlobs, type TransferProgress } from './registry/pieces.ts'
import type { Store } from './store.ts'

/**
 * Makes sure that every blob of an entry is in the store and gives the entry as it is there; the pins keep the blobs until they are disposed.
 *
 * Files of others share their bytes with ours where the file system can. What nobody has hashed gets its true digest here, and the manifest with it.
 */
export async function* bringIn(store: Store, entry: Entry, pins: DisposableStack, signal: AbortSignal): AsyncGenerator<TransferProgress, Entry> {
  const pin = (digest: string) => void pins.use(store.pin(digest))
  pin(entry.configBlob.digest)
  if (entry.origin === store.id) {
    for (const { digest } of entry.layers) pin(digest)
    return entry
  }
  const arrived = new Map<Layer, WrittenBlob>()
  const move: Move<Layer> = async (layer, follow, either) => {
    arrived.set(layer, await store.blobs.adopt(layer.unhashed ? null : layer.digest, layer.file, { signal: either, before: pin, follow }))
  }
  yield* slowOnes(moveBlobs(entry.layers, { verb: 'copying', together: 1 }, move, signal))
  const layers = entry.layers.map(({ unhashed: _, ...layer }, i): Layer => {
    const { digest, sizeBytes } = arrived.get(entry.layers[i] as Layer) as WrittenBlob
    return { ...layer, digest, sizeBytes, file: store.blobs.path(digest) }
  })
  await store.blobs.write(entry.configBlob.digest, [entry.configBlob.bytes], signal)
  const { layers: named, ...rest } = parseManifest(entry.manifest)
  if (named.length === layers.length && named.every(({ digest }, i) => digest === layers[i]?.digest)) return { ...entry, layers }
  const manifest = Buffer.from(formatManifest({ ...rest, layers: layers.map(({ mediaType, digest, sizeBytes: size }) => ({ mediaType, digest, size })) }))
  return { ...entry, layers, manifest, digest: digestOf(manifest).slice('sha256:'.length) }
}

/** What was there in no time gets no bar: licences and templates, and weights that are in the store already. */
async function* slowOnes(lines: AsyncIterable<TransferProgress>): AsyncGenerator<TransferProgress, void> {
  const shown = new Set<string | undefined>()
  for await (const line of lines) {
    if (line.completed === line.total && !shown.has(line.digest)) continue
    shown.add(line.digest)
    yield line
  }
}
