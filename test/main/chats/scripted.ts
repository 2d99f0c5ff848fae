import type { Chat as Generate, GenerationEvent, Usage } from '../../../main/generation/events.ts'
import { Log } from '../../../main/lib/log.ts'

export const silent = new Log('error')

const usage: Usage = {
  promptTokens: 12,
  cachedTokens: 0,
  completionTokens: 3,
  queueMs: 0,
  promptMs: 1,
  generateMs: 30,
  cutTokens: 0,
  shifts: 0,
  shiftedTokens: 0,
  totalMs: 40,
  loadMs: 5,
}

export const prompt: GenerationEvent = { type: 'prompt', template: 'jinja', promptTokens: 12, cachedTokens: 0, evaluatedTokens: 12 }
export const done: GenerationEvent = { type: 'done', reason: 'stop', stopString: null, usage, template: 'jinja' }

export const text = (...words: string[]): GenerationEvent[] => words.map((word) => ({ type: 'text', text: word }))

/** A model that says what the script says; a function in it is awaited, an error thrown. */
export function scripted(...script: (GenerationEvent | Error | ((signal: AbortSignal) => Promise<unknown>))[]): Generate {
  return async function* (_, signal) {
    for (const step of script) {
      signal.throwIfAborted()
      if (step instanceof Error) throw step
      if (typeof step === 'function') await step(signal)
      else yield step
    }
  }
}

/** A step that lasts until the reply is stopped. */
export const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
