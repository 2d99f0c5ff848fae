import { Channel } from '../lib/streams.ts'
import type { Model } from '../models/model.ts'
import { displayName } from '../models/name.ts'
import { modelShape } from '../models/shape.ts'
import type { ModelSpec } from '../runtime/demand.ts'
import type { Lease } from '../runtime/lease.ts'
import type { GenerationEvent } from './events.ts'
import type { PlacementOptions } from './options.ts'
import type { GenerationServices } from './services.ts'

export interface LeaseOptions {
  placement: PlacementOptions
  keepAliveMs: number | null
  /** For the tokenizer alone: no context is made for it. */
  weightsOnly?: boolean
}

/** Names the weights: models over the same blob share one runner, adapters are per request. */
export function weightsKey(model: Model): string {
  return model.parts.map(({ digest }) => digest).join(' ')
}

/** What the scheduler needs to know of a model. */
export function modelSpec(model: Model): ModelSpec {
  return {
    key: weightsKey(model),
    file: model.weights.file,
    parts: model.parts.map(({ file }) => file),
    shape: modelShape(model.header),
    embeddingOnly: !model.capabilities.includes('completion'),
    sizeBytes: model.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

/** A hold on a runner for one request; waits for its turn and for the load. */
export function acquire(
  { scheduler }: Pick<GenerationServices, 'scheduler'>,
  model: Model,
  options: LeaseOptions,
  signal: AbortSignal,
  onProgress?: (fraction: number) => void,
): Promise<Lease> {
  const { placement, keepAliveMs, weightsOnly = false } = options
  return scheduler.acquire(
    modelSpec(model),
    { ...placement, keepAliveMs, weightsOnly, label: { name: displayName(model.name), digest: model.digest, details: model.details } },
    signal,
    onProgress,
  )
}

/** The same, telling how far the load is; returns the lease, which the caller disposes. */
export async function* acquireWithProgress(
  services: Pick<GenerationServices, 'scheduler'>,
  model: Model,
  options: LeaseOptions,
  signal: AbortSignal,
): AsyncGenerator<GenerationEvent, Lease> {
  const progress = new Channel<number>()
  const leaving = new AbortController()
  const acquiring = acquire(services, model, options, AbortSignal.any([signal, leaving.signal]), (fraction) => progress.push(fraction))
  const settled = acquiring.then(
    () => progress.end(),
    (error: unknown) => progress.fail(error),
  )
  let taken = false
  try {
    for await (const fraction of progress) yield { type: 'load', fraction }
    const lease = await acquiring
    taken = true
    return lease
  } finally {
    if (!taken) {
      leaving.abort()
      await settled
      await acquiring.then(
        (lease) => lease[Symbol.asyncDispose](),
        () => undefined,
      )
    }
  }
}
