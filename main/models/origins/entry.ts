import type { JsonObject } from '../../lib/json.ts'
import { digestOf } from '../blobs.ts'
import { formatManifest, mediaTypes, parseConfig } from '../manifest.ts'
import type { ModelName } from '../name.ts'
import type { Entry, Layer } from '../origin.ts'
import { jsonBlob } from '../store.ts'

export interface EntryParts {
  name: ModelName
  origin: string
  modifiedAt: Date
  config: JsonObject
  layers: Layer[]
}

/** An entry for files that have no manifest: one is made up as `create` would. */
export function makeEntry({ name, origin, modifiedAt, config, layers }: EntryParts): Entry {
  const configBlob = jsonBlob(config)
  const manifest = Buffer.from(
    formatManifest({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: configBlob.digest, size: configBlob.bytes.length },
      layers: layers.map(({ mediaType, digest, sizeBytes: size }) => ({ mediaType, digest, size })),
    }),
  )
  return {
    name,
    origin,
    digest: digestOf(manifest).slice('sha256:'.length),
    manifest,
    sizeBytes: layers.reduce((sum, layer) => sum + layer.sizeBytes, configBlob.bytes.length),
    modifiedAt,
    config: parseConfig(configBlob.bytes),
    configBlob,
    layers,
  }
}

/** Stands for a file's content where hashing gigabytes is out of the question: changes with its path, size and time. */
export function identityDigest(file: string, { sizeBytes, modifiedAt }: { sizeBytes: number; modifiedAt: Date }): string {
  return digestOf(`${file}\0${sizeBytes}\0${modifiedAt.getTime()}`)
}
