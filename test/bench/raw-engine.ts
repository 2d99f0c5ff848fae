import path from 'node:path'
import { forkSpawner } from '../../main/runtime/process.ts'
import type { GenerateRequest } from '../../main/runtime/protocol.ts'
import { Runner } from '../../main/runtime/runner.ts'
import type { Contender } from './contenders.ts'

const entry = path.resolve(import.meta.dirname, '../../main/runtime/runner-process/main.ts')
const never = new AbortController().signal

/** A runner process driven directly: what our engine does without HTTP, scheduler and templates. The reference where llama.cpp's tools are not given. */
export async function rawEngine(file: string, threads: number, { slots = 1, contextLength = 2048, embedding = false } = {}): Promise<Contender> {
  const runner = await Runner.load(
    forkSpawner(),
    entry,
    {
      file,
      build: `${process.platform === 'darwin' ? 'mac' : process.platform === 'win32' ? 'win' : 'linux'}-${process.arch}`,
      gpuLayers: 0,
      mainGpu: null,
      useMmap: null,
      useMlock: false,
    },
    never,
    () => undefined,
  )
  if (!embedding) {
    await runner.ensureContext(
      { contextLength, slots, unified: false, cells: contextLength * slots, batchSize: 512, threads, kvCacheType: 'f16', flashAttention: null },
      never,
    )
  }
  return {
    name: 'raw engine',
    generate: async ({ text, tokens }) => {
      const started = performance.now()
      let firstMs = 0
      let seen = 0
      let firstTokens = 0
      let final: Record<string, unknown> = {}
      for await (const event of runner.generate({ ...greedy, prompt: text, contextLength, maxTokens: tokens }, never)) {
        if (event.type === 'text') {
          seen += event.tokens
          if (firstMs === 0) {
            firstMs = performance.now() - started
            firstTokens = seen
          }
        } else if (event.type === 'done') final = { ...event.stats }
      }
      return { firstMs, lastMs: performance.now() - started, tokens: seen, firstTokens, final }
    },
    embed: async (texts) => {
      const started = performance.now()
      await runner.embed({ inputs: texts, contextLength: 512, truncate: true, batchSize: 2048, threads, adapters: [] }, never)
      return performance.now() - started
    },
    [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose](),
  }
}

const greedy: Omit<GenerateRequest, 'prompt' | 'contextLength' | 'maxTokens'> = {
  addSpecial: true,
  parseSpecial: true,
  overflow: 'refuse',
  keep: 4,
  shift: true,
  stop: [],
  sampling: {
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
  },
  grammar: null,
  thinkingLimit: null,
  topLogprobs: null,
  adapters: [],
  showSpecial: true,
  returnTokens: false,
  cachePrompt: true,
  stopAtEog: true,
}
