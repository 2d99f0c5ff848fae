import path from 'node:path'
import { forkSpawner } from '../../main/runtime/process.ts'
import { Runner } from '../../main/runtime/runner.ts'
import { greedy, loadOptionsOf, requestOf } from '../helpers/runner-requests.ts'
import type { Contender } from './contenders.ts'

const entry = path.resolve(import.meta.dirname, '../../main/runtime/runner-process/main.ts')
const never = new AbortController().signal
/** With the samplers that a request through HTTP has by default, which cost time too. */
const asServed = { sampling: { ...greedy, topK: 40, topP: 0.9, drySequenceBreakers: [] }, keep: 4, showSpecial: true }

/** A runner process driven directly: what our engine does without HTTP, scheduler and templates. The reference where llama.cpp's tools are not given. */
export async function rawEngine(file: string, threads: number, { slots = 1, contextLength = 2048, embedding = false } = {}): Promise<Contender> {
  const runner = await Runner.load(forkSpawner(), entry, loadOptionsOf(file), never, () => undefined)
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
      for await (const event of runner.generate(requestOf(text, { ...asServed, contextLength, maxTokens: tokens }), never)) {
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
