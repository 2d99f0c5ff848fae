import { z } from 'zod'
import { AppError, toPlainError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { contract, type FromBridge, type Handlers } from './contract.ts'

/** What carries messages to one window: Electron's IPC, or anything that keeps their order. */
export interface Wire {
  send(message: FromBridge): void
  receive(listener: (message: unknown) => void): void
}

const Message = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('open'), id: z.int(), name: z.string(), input: z.unknown() }),
  z.strictObject({ type: z.literal('more'), id: z.int() }),
  z.strictObject({ type: z.literal('cancel'), id: z.int() }),
])

interface Running {
  controller: AbortController
  /** Lets a stream go on when the window has taken its last item. */
  more: () => void
}

/** No window needs more at once; a broken one must not fill the memory. */
const maxRunning = 256

type AnyHandler = (input: unknown, signal: AbortSignal) => unknown

/** Answers one window until the signal aborts, which ends everything that it has asked for. */
export function serveBridge(handlers: Handlers, wire: Wire, log: Log, signal: AbortSignal): void {
  const running = new Map<number, Running>()

  async function run(id: number, name: string, input: unknown): Promise<void> {
    const controller = new AbortController()
    const own: Running = { controller, more: () => {} }
    running.set(id, own)
    const either = AbortSignal.any([signal, controller.signal])
    const send = (message: FromBridge) => {
      if (!either.aborted) wire.send(message)
    }
    try {
      const entry = Object.hasOwn(contract, name) ? contract[name as keyof typeof contract] : undefined
      if (entry === undefined) throw new AppError('invalid-request', `the window asked for '${name}', which does not exist`)
      const parsed = entry.input.safeParse(input)
      if (!parsed.success) throw new AppError('invalid-request', `${name}: ${z.prettifyError(parsed.error)}`)
      const answer = await (handlers[name as keyof Handlers] as AnyHandler)(parsed.data, either)
      if (entry.kind === 'call') return send({ type: 'value', id, value: answer })
      for await (const value of answer as AsyncIterable<unknown>) {
        const taken = new Promise<void>((resolve) => {
          own.more = resolve
        })
        send({ type: 'value', id, value })
        await taken
        if (either.aborted) return
      }
      send({ type: 'end', id })
    } catch (error) {
      if (!either.aborted && !(error instanceof AppError)) log.error(`the window's ${name} failed`, error)
      send({ type: 'error', id, error: toPlainError(error) })
    } finally {
      running.delete(id)
    }
  }

  function end({ controller, more }: Running): void {
    controller.abort()
    more()
  }

  wire.receive((raw) => {
    const message = Message.safeParse(raw)
    if (!message.success || signal.aborted) return
    const { data } = message
    switch (data.type) {
      case 'open':
        if (running.has(data.id)) return
        if (running.size >= maxRunning)
          wire.send({ type: 'error', id: data.id, error: { code: 'unavailable', message: 'the window asked for too much at once' } })
        else void run(data.id, data.name, data.input)
        break
      case 'more':
        running.get(data.id)?.more()
        break
      case 'cancel': {
        const own = running.get(data.id)
        if (own) end(own)
        break
      }
      default:
        data satisfies never
    }
  })
  signal.addEventListener('abort', () => {
    for (const own of running.values()) end(own)
  })
}
