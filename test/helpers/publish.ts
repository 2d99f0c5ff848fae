import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { mediaTypes } from '../../main/models/manifest.ts'
import { criaFile } from './library.ts'

export interface Published {
  /** As the registry stores it. */
  manifest: Uint8Array<ArrayBuffer>
  layers: { mediaType: string; digest: string; size: number }[]
  config: { mediaType: string; digest: string; size: number }
}

export const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export const criaConfig = {
  model_format: 'gguf',
  model_family: 'llama',
  model_families: ['llama'],
  model_type: '3.3M',
  file_type: 'F16',
  rootfs: { type: 'layers' },
}

/** A model's blobs and its manifest, as they would lie in a registry. */
export function modelOf(layers: { mediaType: string; bytes: Uint8Array | string }[], config: object = criaConfig): Published & { blobs: Map<string, Buffer> } {
  const blobs = new Map<string, Buffer>()
  const layer = (mediaType: string, content: Uint8Array | string) => {
    const bytes = Buffer.from(content)
    const digest = sha256(bytes)
    blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const configLayer = layer(mediaTypes.config, JSON.stringify(config))
  const modelLayers = layers.map(({ mediaType, bytes }) => layer(mediaType, bytes))
  // With spaces, as some registries write it: it has to be kept byte for byte.
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: configLayer, layers: modelLayers }, null, 1))
  return { manifest, layers: modelLayers, config: configLayer, blobs }
}

/** Our own small model, with texts. */
export async function criaModel({ system = 'You are small.' }: { system?: string } = {}) {
  return modelOf([
    { mediaType: mediaTypes.model, bytes: await readFile(criaFile) },
    { mediaType: mediaTypes.system, bytes: system },
    { mediaType: mediaTypes.params, bytes: JSON.stringify({ temperature: 0.5, stop: ['<end>'] }) },
  ])
}

/** Puts a model into a running registry. @param name `library/cria:latest` */
export async function publish(
  url: string,
  name: string,
  { blobs, manifest }: { blobs: Map<string, Buffer>; manifest: Uint8Array<ArrayBuffer> },
): Promise<void> {
  const [repository, tag] = name.split(':')
  for (const [digest, bytes] of blobs) {
    const begun = await demand(fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' }))
    const place = new URL(begun.headers.get('location') ?? '', url)
    place.searchParams.set('digest', digest)
    await demand(fetch(place, { method: 'PUT', body: new Uint8Array(bytes), headers: { 'content-type': 'application/octet-stream' } }))
  }
  await demand(fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'PUT', body: manifest, headers: { 'content-type': mediaTypes.manifest } }))
}

async function demand(answer: Promise<Response>): Promise<Response> {
  const response = await answer
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`)
  return response
}
