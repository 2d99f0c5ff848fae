import { platformBuild } from '../../main/runtime/llama/library.ts'
import type { ContextOptions, LoadOptions, SamplingOptions } from '../../main/runtime/options.ts'
import type { GenerateRequest } from '../../main/runtime/protocol.ts'

/** llama.cpp's build for the processor of this machine. */
export const cpuBuild = platformBuild()

export function loadOptionsOf(file: string): LoadOptions {
  return { file, build: cpuBuild, gpuLayers: 0, mainGpu: null, useMmap: null, useMlock: false }
}

/** Greedy, and nothing else. */
export const greedy: SamplingOptions = {
  seed: 1,
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  repeatLastN: 64,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  mirostat: 0,
  mirostatTau: 5,
  mirostatEta: 0.1,
  topNSigma: -1,
  xtcProbability: 0,
  xtcThreshold: 0.1,
  dryMultiplier: 0,
  dryBase: 1.75,
  dryAllowedLength: 2,
  dryPenaltyLastN: -1,
  drySequenceBreakers: ['\n', ':', '"', '*'],
  dynatempRange: 0,
  dynatempExponent: 1,
  logitBias: [],
}

/** A question in the model's format; its thinking is closed at once unless `think`. */
export function chat(question: string, think = false): string {
  return `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n${think ? '' : '<think>\n\n</think>\n\n'}`
}

export function requestOf(prompt: string | number[], more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    prompt,
    addSpecial: true,
    parseSpecial: true,
    contextLength: 2048,
    overflow: 'refuse',
    keep: 0,
    shift: true,
    maxTokens: 40,
    stop: [],
    sampling: greedy,
    grammar: null,
    thinkingLimit: null,
    topLogprobs: null,
    adapters: [],
    showSpecial: false,
    returnTokens: false,
    cachePrompt: true,
    stopAtEog: true,
    ...more,
  }
}

export function contextOf(more: Partial<ContextOptions> = {}): ContextOptions {
  return { contextLength: 512, slots: 2, unified: false, cells: 0, batchSize: 256, threads: 1, kvCacheType: 'f16', flashAttention: null, ...more }
}
