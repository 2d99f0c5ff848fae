import type { Scheduler } from '../runtime/scheduler.ts'
import { bytesPerToken } from './speed.ts'
import type { Speeds } from './speeds.ts'

/** A shorter reply says little of a model's speed. */
const leastTokens = 16

/** Learns from each reply how fast models are, until it is disposed. */
export function learnSpeeds(scheduler: Pick<Scheduler, 'watch'>, speeds: Speeds): Disposable {
  return scheduler.watch((event) => {
    if (event.type !== 'reply' || event.tokens < leastTokens) return
    speeds.record({
      weights: event.key,
      device: event.devices.join('+'),
      bytesPerToken: bytesPerToken(event.shape),
      tokensPerSecond: (event.tokens - 1) / (event.ms / 1000),
    })
  })
}
