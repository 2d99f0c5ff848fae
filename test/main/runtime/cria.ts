import { fileURLToPath } from 'node:url'
import type { ContextOptions, LoadOptions, SamplingOptions } from '../../../main/runtime/options.ts'
import { forkSpawner } from '../../../main/runtime/process.ts'
import type { GenerateRequest } from '../../../main/runtime/protocol.ts'
import { Runner, type RunnerLimits } from '../../../main/runtime/runner.ts'

const path = (relative: string) => fileURLToPath(new URL(`../../../${relative}`, import.meta.url))

export const spawn = forkSpawner()
export const runnerEntry = path('main/runtime/runner-process/main.ts')
export const probeEntry = path('main/runtime/probe-process/main.ts')
export const quantizeEntry = path('main/runtime/quantize-process/main.ts')
export const criaFile = path('test/fixtures/cria/cria.gguf')
const system = { darwin: 'mac', win32: 'win' }[process.platform as string] ?? process.platform
export const cpuBuild = `${system}-${process.arch}${system === 'mac' && process.arch === 'arm64' ? '-metal' : ''}`

export const loadCria: LoadOptions = { file: criaFile, build: cpuBuild, gpuLayers: 0, mainGpu: null, useMmap: false, useMlock: false }

export const smallContext: ContextOptions = {
  contextLength: 512,
  slots: 2,
  unified: false,
  cells: 1024,
  batchSize: 128,
  threads: 1,
  kvCacheType: 'f16',
  flashAttention: null,
}

/** cria in a process of its own, with a context of two slots. */
export async function startCria(limits: Partial<RunnerLimits> = {}): Promise<Runner> {
  const runner = await Runner.load(spawn, runnerEntry, loadCria, new AbortController().signal, () => {}, { env: { UV_THREADPOOL_SIZE: '1' }, limits })
  await runner.ensureContext(smallContext, new AbortController().signal)
  return runner
}

const greedy: SamplingOptions = {
  seed: 1,
  temperature: 0,
  topK: 40,
  topP: 0.9,
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
  drySequenceBreakers: [],
  dynatempRange: 0,
  dynatempExponent: 1,
  logitBias: [],
}

export function request(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    prompt: 'Hello',
    addSpecial: true,
    parseSpecial: true,
    contextLength: 512,
    overflow: 'refuse',
    keep: 0,
    shift: true,
    maxTokens: 16,
    stop: [],
    sampling: greedy,
    grammar: null,
    thinkingLimit: null,
    topLogprobs: null,
    adapters: [],
    showSpecial: false,
    returnTokens: false,
    cachePrompt: true,
    stopAtEog: false,
    ...changes,
  }
}

/** The text of a whole reply. */
export async function say(runner: Runner, changes: Partial<GenerateRequest> = {}, signal = new AbortController().signal): Promise<string> {
  let text = ''
  for await (const event of runner.generate(request(changes), signal)) if (event.type === 'text') text += event.text
  return text
}
