import { AppError } from '../errors.ts'
import type { Model } from '../models/model.ts'
import type { Lease } from '../runtime/lease.ts'
import type { EmbedRequest } from '../runtime/protocol.ts'
import { defaultThreads } from '../runtime/threads.ts'
import type { Embed, EmbeddingRequest } from './events.ts'
import { acquire } from './lease.ts'
import { findModel } from './models.ts'
import { type PlacementOptions, resolveOptions } from './options.ts'
import type { GenerationServices } from './services.ts'

/** Vectors for texts; every model may embed (ollama-api §4). */
export function createEmbed(services: GenerationServices): Embed {
  const threads = defaultThreads()
  return async function embed(request, signal) {
    const startedAt = performance.now()
    const model = await findModel(services, request.model, (name) => (name === '' ? "model '' not found" : `model "${name}" not found, try pulling it first`))
    const options = resolveOptions(request.options, model.parameters)
    await using lease = await acquire(services, model, { placement: options.placement, keepAliveMs: request.keepAliveMs }, signal)
    if (request.input.length === 0) return { embeddings: [], promptTokens: 0, loadMs: lease.loadMs, totalMs: performance.now() - startedAt }

    const { addsBos, addsEos } = lease.runner.info
    const settings = embedSettings(lease, model, options.placement, threads)
    if (settings.contextLength - Number(addsBos) - Number(addsEos) <= 0) {
      throw new AppError('invalid-request', 'input after truncation exceeds maximum context length')
    }
    const embedding = lease.runner.embed({ ...settings, inputs: request.input, truncate: request.truncate }, signal)
    const { embeddings, tokens } = await embedding.catch((error: unknown) => {
      throw error instanceof AppError && error.code === 'context-exceeded'
        ? new AppError(error.code, 'the input length exceeds the context length', { cause: error })
        : error
    })
    return {
      embeddings: embeddings.map((vector) => shaped(vector, request, model)),
      promptTokens: tokens.reduce((sum, count) => sum + count, 0),
      loadMs: lease.loadMs,
      totalMs: performance.now() - startedAt,
    }
  }
}

/**
 * How a leased runner embeds.
 *
 * @param threads as many as the machine has cores: more wait for each other at every step of ggml, seconds for a sentence
 */
export function embedSettings(lease: Lease, model: Model, placement: PlacementOptions, threads: number): Omit<EmbedRequest, 'inputs' | 'truncate'> {
  const { trainedContextLength } = lease.runner.info
  // The scheduler never makes a context of fewer than four tokens; the limit that was asked for counts all the same.
  const asked = placement.contextLength ?? Number.POSITIVE_INFINITY
  const contextLength = Math.min(asked, lease.contextLength, trainedContextLength > 0 ? trainedContextLength : lease.contextLength)
  return {
    contextLength,
    batchSize: placement.batchSize ?? Math.min(2048, Math.max(contextLength, 512)),
    threads: placement.threads ?? threads,
    adapters: model.adapters.map(({ file }) => ({ file, scale: 1 })),
  }
}

/** Cut to the asked-for dimensions and brought to length 1; families that the legacy route leaves alone stay as they are. */
function shaped(vector: number[], request: EmbeddingRequest, model: Model): number[] {
  if (!vector.every(Number.isFinite)) throw new AppError('invalid-request', 'embedding contains NaN or Inf values')
  if (request.normalize === 'as-peer' && keepsMagnitude(model)) return vector
  const whole = unit(vector)
  return request.dimensions > 0 && request.dimensions < whole.length ? unit(whole.slice(0, request.dimensions)) : whole
}

/** bge-m3 (BERT with a T5 tokenizer) and nomic-bert (ollama-api §4.2). */
function keepsMagnitude(model: Model): boolean {
  const { architecture, metadata } = model.header
  return architecture === 'nomic-bert' || (architecture === 'bert' && metadata.get('tokenizer.ggml.model') === 't5')
}

/** The vector at length 1. */
export function unit(vector: number[]): number[] {
  const norm = Math.max(Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)), 1e-12)
  return vector.map((value) => value / norm)
}
