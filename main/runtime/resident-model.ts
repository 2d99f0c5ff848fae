import type { Label } from './demand.ts'
import type { Resident, RunnerHold } from './resident.ts'

/** A model in memory, as `/api/ps` and the window show it. */
export interface ResidentModel {
  key: string
  label: Label
  state: 'loading' | 'ready' | 'stopping'
  /** All memory that the runner uses for it. */
  sizeBytes: number
  /** The part on GPUs. */
  vramBytes: number
  /** Tokens per slot. */
  contextLength: number
  slots: number
  /** Centuries away when it stays for ever; past when it is on its way out. */
  expiresAt: Date
  since: Date
  running: number
  queued: number
  /** Why it was loaded. */
  reason: string
  build: string
  gpuLayers: number
  /** Fraction of the weights read. */
  progress: number
}

/** The longest duration of the peer's language: what "for ever" looks like in its lists. */
const foreverMs = 2 ** 63 / 1e6

/** What is told of a model; `waiting` are the requests that have no lease on it yet. */
export function describeResident<R extends RunnerHold>(
  model: Resident<R>,
  { now, gpus, waiting }: { now: number; gpus: readonly string[]; waiting: number },
): ResidentModel {
  const used = model.usedBytes
  const sizeBytes = Object.values(used).reduce((sum, bytes) => sum + bytes, 0)
  return {
    key: model.spec.key,
    label: model.label,
    state: model.state,
    sizeBytes: sizeBytes > 0 ? sizeBytes : model.spec.sizeBytes,
    vramBytes: gpus.reduce((sum, name) => sum + (used[name] ?? 0), 0),
    contextLength: model.context?.info.contextLength ?? model.placement.context?.contextLength ?? model.spec.shape.contextLength,
    slots: model.slots,
    expiresAt: new Date(Math.min(model.expiresAtMs(now), now + foreverMs)),
    since: model.since,
    running: Math.min(model.leases.size, model.slots),
    queued: Math.max(0, model.leases.size - model.slots) + waiting,
    reason: model.reason,
    build: model.options.build,
    gpuLayers: model.layout.gpuLayers,
    progress: model.progress,
  }
}
