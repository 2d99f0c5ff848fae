import type { CallName, FromBridge, Input, Output, StreamName, ToBridge } from '../main/bridge/contract.ts'
import type { ErrorCode, PlainError } from '../main/errors.ts'

/** What carries messages to the main process. */
export interface Wire {
  send(message: ToBridge): void
  receive(listener: (message: FromBridge) => void): void
}

/** A failure that the main process reports. */
export class BridgeError extends Error {
  readonly code: ErrorCode

  constructor({ code, message }: PlainError) {
    super(message)
    this.name = 'BridgeError'
    this.code = code
  }
}

/** An error in the shape that the window shows. */
export function plainError(error: unknown): PlainError {
  if (error instanceof BridgeError) return { code: error.code, message: error.message }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) }
}

type Answer = { done: boolean; value?: unknown }
interface Open {
  resolve: (answer: Answer) => void
  reject: (error: BridgeError) => void
}

/** The main process, as the contract describes it: calls that answer, streams that are iterated. */
export class Bridge {
  readonly #wire: Wire
  readonly #open = new Map<number, Open>()
  #lastId = 0

  constructor(wire: Wire) {
    this.#wire = wire
    wire.receive((message) => this.#receive(message))
  }

  async call<N extends CallName>(name: N, ...[input]: Input<N> extends void ? [] : [Input<N>]): Promise<Output<N>> {
    const id = ++this.#lastId
    const { value } = await this.#ask(id, { type: 'open', id, name, input })
    return value as Output<N>
  }

  /** Leaving the loop ends the stream; the main process makes the next item only when it is asked for. */
  stream<N extends StreamName>(name: N, ...[input]: Input<N> extends void ? [] : [Input<N>]): AsyncIterableIterator<Output<N>> {
    const id = ++this.#lastId
    let state: 'new' | 'open' | 'ended' = 'new'
    const iterator: AsyncIterableIterator<Output<N>> = {
      next: async () => {
        if (state === 'ended') return { done: true, value: undefined }
        const request: ToBridge = state === 'new' ? { type: 'open', id, name, input } : { type: 'more', id }
        state = 'open'
        try {
          const answer = await this.#ask(id, request)
          if (answer.done) state = 'ended'
          return answer.done ? { done: true, value: undefined } : { done: false, value: answer.value as Output<N> }
        } catch (error) {
          state = 'ended'
          throw error
        }
      },
      return: async () => {
        if (state === 'open') this.#wire.send({ type: 'cancel', id })
        state = 'ended'
        this.#open.get(id)?.resolve({ done: true })
        this.#open.delete(id)
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  #ask(id: number, request: ToBridge): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#open.set(id, { resolve, reject }))
    this.#wire.send(request)
    return answer
  }

  #receive(message: FromBridge): void {
    const open = this.#open.get(message.id)
    if (open === undefined) return
    this.#open.delete(message.id)
    if (message.type === 'value') open.resolve({ done: false, value: message.value })
    else if (message.type === 'end') open.resolve({ done: true })
    else open.reject(new BridgeError(message.error))
  }
}
