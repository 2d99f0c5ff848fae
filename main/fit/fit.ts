import type { RawOptions } from '../generation/events.ts'
import { modelSpec } from '../generation/lease.ts'
import { findModel } from '../generation/models.ts'
import { resolveOptions } from '../generation/options.ts'
import type { Library } from '../models/library.ts'
import { displayName, type ModelReference, parseReference } from '../models/name.ts'
import type { PullRequest } from '../models/registry/pull.ts'
import type { RemoteHeaders } from '../models/registry/remote-headers.ts'
import { modelShape } from '../models/shape.ts'
import type { Demand, ModelSpec } from '../runtime/demand.ts'
import { type Parts, processBytes } from '../runtime/memory.ts'
import { planMemory } from '../runtime/plan.ts'
import type { Preview } from '../runtime/planner.ts'
import type { LoadModel } from '../runtime/residency.ts'
import type { RunnerHold } from '../runtime/resident.ts'
import type { Scheduler } from '../runtime/scheduler.ts'
import type { Fit } from './answer.ts'
import { predictSpeed } from './speed.ts'
import type { Speeds } from './speeds.ts'

export interface FitRequest {
  model: string
  /** As in a request to generate; those that place the model count: `num_ctx`, `num_gpu`, … */
  options: RawOptions
  /** Ask the registry for a model that is not here; only its headers are fetched. */
  remote: boolean
  /** By plain HTTP. */
  insecure: boolean
}

export interface FitServices {
  library: Pick<Library, 'resolve'>
  readRemote: (request: PullRequest, signal: AbortSignal) => Promise<RemoteHeaders>
  scheduler: Pick<Scheduler, 'preview'>
  /** What the machine computes with is known. */
  ready: Promise<unknown>
  /** Starts a runner, for llama.cpp's own plan. */
  load: LoadModel<RunnerHold>
  speeds: Speeds
  /** Of the processor's memory, bytes per second. */
  bandwidth: () => Promise<number>
}

/** Counts the models in memory as let go. Throws `model-not-found`, and what reading a damaged file throws. */
export type AssessFit = (request: FitRequest, signal: AbortSignal) => Promise<Fit>

/** Plans that are kept: a window asks again and again while a slider moves. */
const keptPlans = 200

/** Answers whether a model will run here before it is loaded. */
export function createFit(services: FitServices): AssessFit {
  const { scheduler } = services
  const plans = new Map<string, Promise<Pick<Parts, 'kvCache' | 'compute'>>>()

  /** One plan for all who ask at once; a failed one is forgotten. */
  function plan(key: string, { options, placement }: Preview): Promise<Pick<Parts, 'kvCache' | 'compute'>> | null {
    const { context } = placement
    if (context === null) return null
    // A remote model's files have other names each time.
    const asked = JSON.stringify([key, { ...options, file: '', parts: [] }, context])
    const known = plans.get(asked)
    if (known !== undefined) return known
    const oldest = plans.keys().next()
    if (plans.size >= keptPlans && !oldest.done) plans.delete(oldest.value)
    const planned = planMemory(services.load, options, context, new AbortController().signal)
    plans.set(asked, planned)
    planned.catch(() => plans.delete(asked))
    return planned
  }

  return async function assessFit(request, signal) {
    await using subject = await subjectOf(services, request, signal)
    await services.ready
    signal.throwIfAborted()
    const { spec, demand } = subject
    const preview = scheduler.preview(spec, demand)
    const longest = scheduler.preview(spec, demand, { longest: true }).placement
    const { placement, machine, correction, problem, devices } = preview
    const { shape } = spec
    const exact = await plan(spec.key, preview)
    const parts: Parts = {
      weights: Math.round(shape.weightBytes * correction.weights),
      kvCache: exact?.kvCache ?? Math.round(placement.estimated.kvCache * correction.kvCache),
      compute: exact?.compute ?? Math.round(placement.estimated.compute * correction.compute),
    }
    const process = processBytes(shape)
    const room = problem === null && placement.fits
    return {
      model: demand.label.name,
      verdict: !room ? 'none' : placement.gpuLayers === 0 ? 'cpu' : placement.gpuLayers < shape.layers ? 'partly' : 'gpu',
      problem: room ? null : (problem?.message ?? 'less memory is free than it needs; end other programs, or ask for a shorter context'),
      contextLength: placement.context?.contextLength ?? null,
      largestContextLength: longest.fits ? (longest.context?.contextLength ?? null) : null,
      trainedContextLength: shape.contextLength,
      layers: shape.layers,
      gpuLayers: Math.min(placement.gpuLayers, shape.layers),
      memory: { ...parts, process, total: parts.weights + parts.kvCache + parts.compute + process },
      memoryFrom: exact === null ? 'estimated' : 'planned',
      devices: [{ name: 'CPU', ...machine.ram }, ...machine.gpus].map((device) => ({
        name: device.name,
        neededBytes: Math.round(placement.need[device.name] ?? 0),
        freeBytes: device.freeBytes,
        totalBytes: device.totalBytes,
      })),
      speed: placement.context === null ? { tokensPerSecond: null, from: null } : await predictSpeed(services, { weights: spec.key, shape, devices }),
    }
  }
}

/** What is asked about. */
interface Subject extends AsyncDisposable {
  spec: ModelSpec
  demand: Demand
}

async function subjectOf(services: Pick<FitServices, 'library' | 'readRemote'>, request: FitRequest, signal: AbortSignal): Promise<Subject> {
  const { model: text, options, remote } = request
  const reference = remote ? parseReference(text) : null
  const here = reference === null ? await findModel(services, text) : await services.library.resolve(reference.name)
  if (here !== null) {
    const label = { name: displayName(here.name), digest: here.digest, details: here.details }
    const { placement } = resolveOptions(options, here.parameters)
    return { spec: modelSpec(here), demand: { ...placement, keepAliveMs: null, label }, [Symbol.asyncDispose]: async () => {} }
  }
  const { name } = reference as ModelReference
  const headers = await services.readRemote({ name, insecure: request.insecure }, signal)
  const { header, parts, digest } = headers
  const spec: ModelSpec = {
    key: parts.map((part) => part.digest).join(' '),
    file: parts[0]?.file ?? '',
    parts: parts.map(({ file }) => file),
    shape: modelShape(header),
    embeddingOnly: header.poolingType !== null,
    sizeBytes: header.sizeBytes,
  }
  const { placement } = resolveOptions(options)
  return {
    spec,
    demand: { ...placement, keepAliveMs: null, label: { name: displayName(name), digest, details: null } },
    [Symbol.asyncDispose]: () => headers[Symbol.asyncDispose](),
  }
}
