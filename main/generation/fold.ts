import { AppError } from '../errors.ts'
import type { ToolCall } from '../prompt/messages.ts'
import type { TokenLogprob } from '../runtime/protocol.ts'
import type { GenerationEvent } from './events.ts'

export type Done = Extract<GenerationEvent, { type: 'done' }>

/** A whole reply, for who does not read it while it comes. */
export interface Reply {
  text: string
  thinking: string
  toolCalls: ToolCall[]
  /** A call that the reply's end cut off, as it was written; '' when there is none. */
  brokenCall: string
  logprobs: TokenLogprob[]
  done: Done
}

/** A reply that is being put together from its events. */
export class Fold {
  readonly #reply = { text: '', thinking: '', toolCalls: [] as ToolCall[], brokenCall: '', logprobs: [] as TokenLogprob[] }
  #done: Done | null = null

  /** The whole of it; throws when its end has not come. */
  get reply(): Reply {
    if (this.#done === null) throw new AppError('internal', 'the reply ended without an end')
    return { ...this.#reply, done: this.#done }
  }

  /** True for the event that ends it. */
  take(event: GenerationEvent): boolean {
    const reply = this.#reply
    switch (event.type) {
      case 'text':
        reply.text += event.text
        break
      case 'thinking':
        reply.thinking += event.text
        break
      case 'tool-call':
        reply.toolCalls.push(event.call)
        break
      case 'broken-call':
        reply.brokenCall = event.text
        break
      case 'done':
        this.#done = event
        break
      case 'load':
      case 'prompt':
      case 'rendered':
        break
      default:
        event satisfies never
    }
    if ('logprobs' in event && event.logprobs) reply.logprobs.push(...event.logprobs)
    return event.type === 'done'
  }
}
