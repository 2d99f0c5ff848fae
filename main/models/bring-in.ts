import { digestOf } from './blobs.ts'
import { formatManifest, parseManifest } from './manifest.ts'
import type { Entry, Layer } from './origin.ts'
import type { Store } from './store.ts'

/**
 * Makes sure that every blob of an entry is in the store and gives the entry as it is there; the pins keep the blobs until they are disposed.
 *
 * Files of others share their bytes with ours where the file system can. What nobody has hashed gets its true digest here, and the manifest with it.
 */
export async function bringIn(store: Store, entry: Entry, pins: DisposableStack, signal: AbortSignal): Promise<Entry> {
  const pin = (digest: string) => void pins.use(store.pin(digest))
  pin(entry.configBlob.digest)
  if (entry.origin === store.id) {
    for (const { digest } of entry.layers) pin(digest)
    return entry
  }
  const layers: Layer[] = []
  for (const { unhashed, ...layer } of entry.layers) {
    const { digest, sizeBytes } = await store.blobs.adopt(unhashed ? null : layer.digest, layer.file, { signal, before: pin })
    layers.push({ ...layer, digest, sizeBytes, file: store.blobs.path(digest) })
  }
  await store.blobs.write(entry.configBlob.digest, [entry.configBlob.bytes], signal)
  const { layers: named, ...rest } = parseManifest(entry.manifest)
  if (named.length === layers.length && named.every(({ digest }, i) => digest === layers[i]?.digest)) return { ...entry, layers }
  const manifest = Buffer.from(formatManifest({ ...rest, layers: layers.map(({ mediaType, digest, sizeBytes: size }) => ({ mediaType, digest, size })) }))
  return { ...entry, layers, manifest, digest: digestOf(manifest).slice('sha256:'.length) }
}
