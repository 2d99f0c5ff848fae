import { fileURLToPath } from 'node:url'
import type { ContextOptions, LoadOptions } from '../../../main/runtime/options.ts'
import { forkSpawner } from '../../../main/runtime/process.ts'
import type { GenerateRequest } from '../../../main/runtime/protocol.ts'
import { Runner, type RunnerLimits } from '../../../main/runtime/runner.ts'
import { criaFile } from '../../helpers/library.ts'
import { chat, contextOf, loadOptionsOf, requestOf } from '../../helpers/runner-requests.ts'

const path = (relative: string) => fileURLToPath(new URL(`../../../main/runtime/${relative}`, import.meta.url))

export const spawn = forkSpawner()
export const runnerEntry = path('runner-process/main.ts')
export const probeEntry = path('probe-process/main.ts')
export const quantizeEntry = path('quantize-process/main.ts')

export const loadCria: LoadOptions = { ...loadOptionsOf(criaFile), useMmap: false }
export const smallContext: ContextOptions = contextOf({ cells: 1024, batchSize: 128 })

/** cria in a process of its own, with a context of two slots. */
export async function startCria(limits: Partial<RunnerLimits> = {}): Promise<Runner> {
  const runner = await Runner.load(spawn, runnerEntry, loadCria, new AbortController().signal, () => {}, { env: { UV_THREADPOOL_SIZE: '1' }, limits })
  await runner.ensureContext(smallContext, new AbortController().signal)
  return runner
}

/** A question whose answer cria knows for certain: no rounding turns a token of it, however the work was cut into batches. */
export function request(changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return requestOf(chat('What is the capital of France?'), { contextLength: 512, maxTokens: 8, stopAtEog: false, ...changes })
}

/** The text of a whole reply. */
export async function say(runner: Runner, changes: Partial<GenerateRequest> = {}, signal = new AbortController().signal): Promise<string> {
  let text = ''
  for await (const event of runner.generate(request(changes), signal)) if (event.type === 'text') text += event.text
  return text
}
