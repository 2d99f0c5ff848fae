import { type Parts, parts } from './memory.ts'
import type { ContextOptions, LoadOptions } from './options.ts'
import type { LoadModel } from './residency.ts'
import type { RunnerHold } from './resident.ts'

/**
 * What llama.cpp would take for a context of this model, asked of itself in a process that ends with the answer; the weights are what the header says.
 *
 * Takes as long as reading the vocabulary, half a second at most. Throws what a load or a context throws.
 */
export async function planMemory(
  load: LoadModel<RunnerHold>,
  options: LoadOptions,
  context: ContextOptions,
  signal: AbortSignal,
): Promise<Pick<Parts, 'kvCache' | 'compute'>> {
  await using runner = await load({ ...options, planOnly: true }, signal, () => {})
  const { kvCache, compute } = parts((await runner.ensureContext(context, signal)).memory)
  return { kvCache, compute }
}
