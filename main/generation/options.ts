import { AppError } from '../errors.ts'
import { isJsonObject, type Json } from '../lib/json.ts'
import { checkParameter, isParameter } from '../models/parameters.ts'
import type { SamplingOptions } from '../runtime/options.ts'
import type { RawOptions } from './events.ts'

/** Options that decide how weights and context are set up; null leaves the choice to the scheduler. */
export interface PlacementOptions {
  contextLength: number | null
  batchSize: number | null
  gpuLayers: number | null
  mainGpu: number | null
  useMmap: boolean | null
  threads: number | null
}

/** All options of one request, complete: nothing below `generation/` has a default left to fill in. */
export interface ResolvedOptions {
  sampling: SamplingOptions
  placement: PlacementOptions
  stop: string[]
  /** -1: until the model stops or the context is full. */
  maxTokens: number
  /** -1: all. */
  keep: number
  grammar: string | null
  /** Tokens of thinking; null: no limit, 0: none at all where that can be had. */
  thinkingBudget: number | null
  /** Names nobody knows, for the log. */
  unknown: string[]
}

/** Options that a request may have beside the parameters of a Modelfile. */
const requestOnly = new Map<string, (value: Json) => Json>([
  ['logit_bias', checkedBias],
  ['grammar', checkedGrammar],
])

/** `GGML_MAX_N_THREADS` of llama.cpp. */
const mostThreads = 512

/** Removed upstream; old Modelfiles still carry them. */
const retired = new Set(['penalize_newline', 'low_vram', 'f16_kv', 'logits_all', 'vocab_only', 'use_mlock', 'numa', 'tfs_z'])

/** The protocol's own defaults (ollama-api §6); additive samplers are off. */
const defaults: RawOptions = {
  num_keep: 4,
  seed: -1,
  num_predict: -1,
  top_k: 40,
  top_p: 0.9,
  min_p: 0,
  typical_p: 1,
  repeat_last_n: 64,
  temperature: 0.8,
  repeat_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  stop: [],
  mirostat: 0,
  mirostat_tau: 5,
  mirostat_eta: 0.1,
  top_n_sigma: -1,
  xtc_probability: 0,
  xtc_threshold: 0.1,
  dry_multiplier: 0,
  dry_base: 1.75,
  dry_allowed_length: 2,
  dry_penalty_last_n: -1,
  dry_sequence_breakers: ['\n', ':', '"', '*'],
  dynatemp_range: 0,
  dynatemp_exponent: 1,
  logit_bias: {},
  thinking_budget: -1,
}

/**
 * Merges options by `request > model's parameters > dialect > protocol`; lists replace, never append.
 *
 * Throws `invalid-request` with the peer's text for a value of the wrong type; a fraction for an integer is truncated, null is ignored.
 */
export function resolveOptions(request: RawOptions, modelParameters: RawOptions = {}, dialectDefaults: RawOptions = {}): ResolvedOptions {
  const merged: RawOptions = { ...defaults }
  const unknown: string[] = []
  for (const source of [dialectDefaults, modelParameters, request]) {
    for (const [name, value] of Object.entries(source)) {
      if (value === null) continue
      const check = requestOnly.get(name)
      if (retired.has(name)) continue
      if (check !== undefined) merged[name] = check(value)
      else if (isParameter(name)) merged[name] = checkParameter(name, value)
      else unknown.push(name)
    }
  }
  const number = (name: string) => merged[name] as number
  const maybe = <T>(name: string) => (merged[name] ?? null) as T | null
  const contextLength = maybe<number>('num_ctx')
  return {
    sampling: {
      seed: number('seed') < 0 ? null : number('seed') >>> 0,
      temperature: number('temperature'),
      topK: number('top_k'),
      topP: number('top_p'),
      minP: number('min_p'),
      typicalP: number('typical_p'),
      repeatLastN: number('repeat_last_n'),
      repeatPenalty: number('repeat_penalty'),
      presencePenalty: number('presence_penalty'),
      frequencyPenalty: number('frequency_penalty'),
      mirostat: mirostatVersion(number('mirostat')),
      mirostatTau: number('mirostat_tau'),
      mirostatEta: number('mirostat_eta'),
      topNSigma: number('top_n_sigma'),
      xtcProbability: number('xtc_probability'),
      xtcThreshold: number('xtc_threshold'),
      dryMultiplier: number('dry_multiplier'),
      dryBase: number('dry_base'),
      dryAllowedLength: number('dry_allowed_length'),
      dryPenaltyLastN: number('dry_penalty_last_n'),
      drySequenceBreakers: merged.dry_sequence_breakers as string[],
      dynatempRange: number('dynatemp_range'),
      dynatempExponent: number('dynatemp_exponent'),
      logitBias: biasPairs(merged.logit_bias as Record<string, number>),
    },
    placement: {
      contextLength: contextLength !== null && contextLength > 0 ? contextLength : null,
      batchSize: positive(maybe<number>('num_batch')),
      gpuLayers: maybe<number>('num_gpu'),
      mainGpu: maybe<number>('main_gpu'),
      useMmap: maybe<boolean>('use_mmap'),
      threads: threadsOf(positive(maybe<number>('num_thread'))),
    },
    stop: (merged.stop as string[]).filter((text) => text !== ''),
    maxTokens: number('num_predict'),
    keep: number('num_keep'),
    grammar: maybe<string>('grammar'),
    thinkingBudget: number('thinking_budget') < 0 ? null : number('thinking_budget'),
    unknown,
  }
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null
}

/** More threads than its array holds end the engine. */
function threadsOf(asked: number | null): number | null {
  return asked === null ? null : Math.min(asked, mostThreads)
}

function mirostatVersion(value: number): 0 | 1 | 2 {
  if (value === 0 || value === 1 || value === 2) return value
  throw new AppError('invalid-request', `option "mirostat" must be 0, 1 or 2, not ${value}`)
}

function biasPairs(bias: Record<string, number>): [number, number][] {
  return Object.entries(bias).map(([token, value]) => [Number(token), value])
}

function checkedGrammar(value: Json): Json {
  if (typeof value !== 'string') throw new AppError('invalid-request', 'option "grammar" must be of type string')
  return value
}

function checkedBias(value: Json): Json {
  if (!isJsonObject(value)) throw new AppError('invalid-request', 'option "logit_bias" must be of type object')
  for (const [token, bias] of Object.entries(value)) {
    if (!/^\d+$/.test(token) || !Number.isFinite(bias)) throw new AppError('invalid-request', 'option "logit_bias" must map token ids to numbers')
  }
  return value
}
