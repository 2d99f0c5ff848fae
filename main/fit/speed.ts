import { kvBytesPerToken, type ModelShape } from '../runtime/memory.ts'
import type { KvCacheType } from '../runtime/options.ts'
import type { SpeedPrediction } from './answer.ts'
import type { Speeds } from './speeds.ts'

/** A reply reads its own past too: half of this many tokens on average. */
const typicalReplyTokens = 1024

/** What llama.cpp spends on a layer beside reading it, in seconds: measured with models of noise from 3 MB to 1.1 GB on two cores. */
const layerSeconds = 15e-6

/** Bytes that one token of a reply reads: the weights that take part, and the keys and values so far. */
export function bytesPerToken(shape: ModelShape, kvCacheType: KvCacheType = 'f16'): number {
  return (shape.activeBytes ?? shape.weightBytes) + (kvBytesPerToken(shape, kvCacheType) * typicalReplyTokens) / 2
}

/** Writing is bound by memory: each token reads all of `bytesPerToken` once. */
export async function predictSpeed(
  { speeds, bandwidth }: { speeds: Pick<Speeds, 'of' | 'bandwidth'>; bandwidth: () => Promise<number> },
  { weights, shape, devices }: { weights: string; shape: ModelShape; devices: readonly string[] },
): Promise<SpeedPrediction> {
  const device = devices.join('+')
  const measured = speeds.of(weights, device)
  if (measured !== null) return { tokensPerSecond: measured.tokensPerSecond, from: 'measured' }
  const learned = speeds.bandwidth(device)
  if (learned !== null) return { tokensPerSecond: learned / bytesPerToken(shape), from: 'learned' }
  if (device !== 'CPU') return { tokensPerSecond: null, from: null }
  const seconds = bytesPerToken(shape) / (await bandwidth()) + shape.layers * layerSeconds
  return { tokensPerSecond: 1 / seconds, from: 'bandwidth' }
}
