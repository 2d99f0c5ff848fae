import type { ModelShape } from './memory.ts'
import { defaultContextLength, type Layout, type Wish } from './placement.ts'

/** The weights a request needs. */
export interface ModelSpec {
  /** Digest of the weights: one runner a key. */
  key: string
  file: string
  /** As in `LoadOptions`. */
  parts?: readonly string[]
  shape: ModelShape
  /** It cannot complete a prompt. */
  embeddingOnly: boolean
  sizeBytes: number
}

/** The name under which a model was asked for, as lists show it. */
export interface Label {
  name: string
  digest: string
  details: unknown
}

/** What one request asks of the runner it gets; null leaves the choice to the scheduler. */
export interface Demand {
  contextLength: number | null
  batchSize: number | null
  /** -1: as many as fit, like null. */
  gpuLayers: number | null
  mainGpu: number | null
  useMmap: boolean | null
  threads: number | null
  /** Infinity or a negative number: for ever. */
  keepAliveMs: number | null
  /** For the tokenizer alone: no context is made for it. */
  weightsOnly?: boolean
  label: Label
}

/** The peer's floor (ollama-api §6). */
const leastContextLength = 4

/** What `demand` means on a machine with so many GPUs: impossible values are brought into range, options of absent devices do not count. */
export function wishOf(spec: ModelSpec, demand: Demand, machine: { gpus: number; threads: number; contextLength: number | null }): Wish {
  const asked = demand.contextLength ?? machine.contextLength
  const trained = spec.shape.contextLength > 0 ? spec.shape.contextLength : Number.POSITIVE_INFINITY
  const gpuLayers = demand.gpuLayers === null || demand.gpuLayers < 0 ? null : Math.min(demand.gpuLayers, spec.shape.layers + 1)
  const mainGpu = demand.mainGpu !== null && demand.mainGpu >= 0 && demand.mainGpu < machine.gpus ? demand.mainGpu : null
  return {
    contextLength: Math.min(asked === null ? defaultContextLength : Math.max(leastContextLength, asked), trained),
    automatic: asked === null,
    gpuLayers: machine.gpus === 0 ? null : gpuLayers,
    mainGpu: machine.gpus > 1 ? mainGpu : null,
    useMmap: demand.useMmap,
    batchSize: demand.batchSize !== null && demand.batchSize > 0 ? demand.batchSize : null,
    threads: demand.threads !== null && demand.threads > 0 ? demand.threads : machine.threads,
    threadsAsked: demand.threads !== null && demand.threads > 0,
    parallel: false,
    embeddingOnly: spec.embeddingOnly,
    weightsOnly: demand.weightsOnly ?? false,
  }
}

/** The option for which weights that lie like this must be loaded again; values left to us never ask for it. */
export function reloadReason(layout: Layout, wish: Wish): string | null {
  if (wish.gpuLayers !== null && wish.gpuLayers !== layout.gpuLayers) return `num_gpu ${wish.gpuLayers} instead of ${layout.gpuLayers}`
  if (wish.mainGpu !== null && wish.mainGpu !== layout.mainGpu) return `main_gpu ${wish.mainGpu} instead of ${layout.mainGpu ?? 'all'}`
  if (wish.useMmap !== null && wish.useMmap !== layout.useMmap) return `use_mmap ${wish.useMmap} instead of ${layout.useMmap}`
  return null
}
