import type { GgufHeader } from './gguf-header.ts'
import type { ModelConfig } from './manifest.ts'
import type { ModelDetails } from './model.ts'
import { fileTypeName, prevailingType } from './quantization.ts'

/** `7.6B`, `137M`, `22.57M`: one decimal for billions, two for millions, none when whole. */
export function formatParameterSize(count: number): string {
  const scaled = (divisor: number, decimals: number) => {
    const value = count / divisor
    return Number.isInteger(value) ? String(value) : value.toFixed(decimals)
  }
  if (count >= 1e9) return `${scaled(1e9, 1)}B`
  if (count >= 1e6) return `${scaled(1e6, 2)}M`
  if (count >= 1e3) return `${(count / 1e3).toFixed(0)}K`
  return String(count)
}

/** `Q4_K_M`; where the file does not say, the type of most of its bytes. */
export function quantizationOf({ fileType, tensors }: GgufHeader): string {
  return (fileType === null ? null : fileTypeName(fileType)) ?? prevailingType(tensors)
}

/** What a config leaves open is taken from the header; null where that was not read. */
export function detailsOf(config: ModelConfig, header: GgufHeader | null, parentModel: string | null): ModelDetails {
  const family = config.model_family || header?.architecture || ''
  const families = config.model_families.length > 0 ? config.model_families : family === '' ? [] : [family]
  const quantization = config.file_type === '' || config.file_type === 'unknown' ? (header ? quantizationOf(header) : 'unknown') : config.file_type
  return {
    parentModel: parentModel ?? '',
    format: config.model_format || (header ? 'gguf' : ''),
    family,
    families,
    parameterSize: config.model_type || (header ? formatParameterSize(header.parameterCount) : ''),
    quantizationLevel: quantization,
    contextLength: config.context_length ?? header?.contextLength ?? null,
    embeddingLength: config.embedding_length ?? header?.embeddingLength ?? null,
  }
}
