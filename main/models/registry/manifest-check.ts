import { z } from 'zod'
import { type Manifest, type ManifestLayer, type ModelConfig, mediaTypes, parseConfig, parseManifest } from '../manifest.ts'
import { RegistryError } from './errors.ts'

/** Of a manifest from elsewhere; those of real models have hundreds of bytes and fewer than twenty layers. */
export const maxManifestBytes = 1024 * 1024
const maxLayers = 1000
/** Texts are read into memory whenever the model is used. */
const maxTextBytes = 4 * 1024 * 1024
const maxConfigBytes = 1024 * 1024
const layerPrefix = 'application/vnd.ollama.image.'
/** Layers that may be large. */
const weightTypes: readonly string[] = [mediaTypes.model, mediaTypes.projector, mediaTypes.adapter, mediaTypes.draft]
const tensorTypes: readonly string[] = [`${layerPrefix}tensor`, `${layerPrefix}json`]

/** On the disk a digest may be spelled with a dash; a registry has one way to write it. */
const Digested = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/, 'not a sha256 digest') })
const Digests = z.object({ config: Digested, layers: z.array(Digested).nullish() })

/** What a registry says a model is made of, each blob once: the small ones first, as one of them may be a reason to stop. */
export interface CheckedManifest {
  manifest: Manifest
  blobs: ManifestLayer[]
  totalBytes: number
}

/** Reads a manifest that somebody else wrote. Throws RegistryError naming what is wrong with it. */
export function checkManifest(bytes: Uint8Array): CheckedManifest {
  const manifest = parsed(bytes)
  if (manifest.layers.length > maxLayers) throw invalid(`it has ${manifest.layers.length} layers, more than ${maxLayers}`)
  if (manifest.layers.some(({ mediaType }) => tensorTypes.includes(mediaType))) throw needsMlx()
  const blobs = new Map<string, ManifestLayer>()
  // The config last: where a layer has its digest it is the config all the same, which is read before any weights are fetched.
  for (const layer of [...manifest.layers, manifest.config]) {
    if (layer !== manifest.config) checkLayer(layer)
    const known = blobs.get(layer.digest)
    if (known !== undefined && known.size !== layer.size) throw invalid(`${layer.digest} has two sizes`)
    blobs.set(layer.digest, layer)
  }
  if (manifest.config.size > maxConfigBytes) throw invalid(`its config has ${manifest.config.size} bytes, more than ${maxConfigBytes}`)
  const bySize = [...blobs.values()].sort((a, b) => a.size - b.size)
  const totalBytes = bySize.reduce((sum, { size }) => sum + size, 0)
  if (!Number.isSafeInteger(totalBytes)) throw invalid('its sizes add up to more than there is')
  return { manifest, blobs: bySize, totalBytes }
}

/** Reads the config of a manifest from elsewhere: a model that cannot be run here is refused before its weights are fetched. */
export function checkConfig(bytes: Uint8Array, { layers }: Manifest): ModelConfig {
  let config: ModelConfig
  try {
    config = parseConfig(bytes)
  } catch (error) {
    throw invalid(`its config cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (config.model_format === 'safetensors') throw needsMlx()
  const isRemote = Boolean(config.remote_host || config.remote_model)
  if (!isRemote && !layers.some(({ mediaType }) => mediaType === mediaTypes.model)) throw invalid('it has no weights')
  return config
}

/** True for layers that hold a GGUF file. */
export function isWeights({ mediaType }: Pick<ManifestLayer, 'mediaType'>): boolean {
  return weightTypes.includes(mediaType)
}

function checkLayer(layer: ManifestLayer): void {
  const { mediaType, digest, size } = layer
  if (!mediaType.startsWith(layerPrefix))
    throw invalid(`its layer ${digest} is of the type ${JSON.stringify(mediaType.slice(0, 100))}, which is no part of a model`)
  if (!isWeights(layer) && size > maxTextBytes) throw invalid(`its layer ${mediaType} has ${size} bytes, more than ${maxTextBytes}`)
}

function parsed(bytes: Uint8Array): Manifest {
  try {
    const manifest = parseManifest(bytes)
    // What is stored byte for byte has to say what was understood.
    Digests.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
    return manifest
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0]?.message : undefined
    throw invalid(issue ?? (error instanceof Error ? error.message : String(error)))
  }
}

function invalid(what: string): RegistryError {
  return new RegistryError(`pull model manifest: the manifest is invalid: ${what}`, { isTemporary: false })
}

/** As the peer says it of models in safetensors files. */
function needsMlx(): RegistryError {
  return new RegistryError('this model requires MLX support, but the MLX runtime is not available', { isTemporary: false })
}
