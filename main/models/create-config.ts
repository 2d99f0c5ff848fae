import { AppError } from '../errors.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import { formatParameterSize, quantizationOf } from './details.ts'
import type { GgufHeader } from './gguf-header.ts'
import { type ManifestLayer, type ModelConfig, mediaTypes } from './manifest.ts'

/** Fields of a config that a request may state in place of what the file says. */
export type ConfigOverrides = Partial<
  Pick<ModelConfig, 'model_family' | 'model_type' | 'file_type' | 'base_name' | 'context_length' | 'embedding_length' | 'renderer' | 'parser' | 'requires'>
> & { capabilities?: string[] }

/** Reads the field `info` of a request. Throws `invalid-request` with the protocol's texts. */
export function readOverrides(info: JsonObject): ConfigOverrides {
  const wrong = (field: string, wanted: string) => new AppError('invalid-request', `info field ${JSON.stringify(field)} must be ${wanted}`)
  const present = (field: string) => Object.hasOwn(info, field) && info[field] !== null
  const overrides: ConfigOverrides = {}
  for (const [field, key] of [
    ['model_family', 'model_family'],
    ['base_name', 'base_name'],
    ['quantization_level', 'file_type'],
    ['parameter_size', 'model_type'],
  ] as const) {
    const value = info[field]
    if (!present(field)) continue
    if (typeof value !== 'string') throw wrong(field, 'a string')
    overrides[key] = value
  }
  for (const field of ['context_length', 'embedding_length'] as const) {
    const value = info[field]
    if (!present(field)) continue
    if (typeof value !== 'number') throw wrong(field, 'a number')
    if (!Number.isSafeInteger(value) || value < 0) throw wrong(field, 'a non-negative integer')
    overrides[field] = value
  }
  if (present('capabilities')) {
    const value = info.capabilities
    if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw wrong('capabilities', 'an array of strings')
    overrides.capabilities = value
  }
  return overrides
}

export interface ConfigParts {
  /** Of the model that it is made from. */
  base: ModelConfig | null
  header: GgufHeader
  layers: ManifestLayer[]
  overrides: ConfigOverrides
}

/** The config blob of a new model: what was asked for, else what its base says, else what the file says. Keys in Ollama's order. */
export function configOf({ base, header, layers, overrides }: ConfigParts): JsonObject {
  const hasProjector = layers.some(({ mediaType }) => mediaType === mediaTypes.projector)
  const family = overrides.model_family ?? (base?.model_family || header.architecture)
  const inherited = base?.model_families.length ? base.model_families : [family]
  const families = overrides.model_family === undefined ? inherited : [family]
  const config = {
    model_format: 'gguf',
    model_family: family,
    model_families: hasProjector && !families.includes('clip') ? [...families, 'clip'] : families,
    model_type: overrides.model_type ?? formatParameterSize(header.parameterCount),
    file_type: overrides.file_type ?? quantizationOf(header),
    renderer: overrides.renderer || base?.renderer,
    parser: overrides.parser || base?.parser,
    requires: overrides.requires || base?.requires,
    capabilities: overrides.capabilities ?? base?.capabilities ?? undefined,
    context_length: overrides.context_length ?? base?.context_length ?? header.contextLength,
    embedding_length: overrides.embedding_length ?? base?.embedding_length ?? header.embeddingLength,
    base_name: overrides.base_name ?? base?.base_name,
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  }
  const kept: JsonObject = {}
  for (const [key, value] of Object.entries(config)) if (value !== undefined && value !== null) kept[key] = isJsonObject(value) ? { ...value } : value
  return kept
}
