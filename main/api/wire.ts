import type { Failure, RequestTrace } from './trace.ts'

/** How a dialect writes a stream; `encode` gives '' for an event that is not shown. */
export interface Encoder<E> {
  encode(event: E): string
  /** The dialect's frame for an error after the first byte, and its end. */
  fail(failure: Failure): string
}

/** Events of which the first has arrived, so that a failure before it still has a status of its own. */
export interface Started<E> extends AsyncIterable<E> {
  /** null when there was none. */
  readonly first: E | null
}

/** Bytes that may wait for a slow reader before the generation is made to wait too. */
const bufferedBytes = 256 * 1024

/** A proxy must hand each piece on as it comes. */
const plainHeaders = { 'cache-control': 'no-cache', 'x-accel-buffering': 'no' }

/** One JSON object, not streamed. */
export function json(value: unknown, status = 200, contentType = 'application/json; charset=utf-8'): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': contentType } })
}

/** Waits for the first event that is not skipped; `skip` sees those that are. */
export async function started<E>(events: AsyncIterable<E>, skip: (event: E) => boolean = () => false): Promise<Started<E>> {
  const iterator = events[Symbol.asyncIterator]()
  let result = await iterator.next()
  while (!result.done && skip(result.value)) result = await iterator.next()
  const first = result.done ? null : result.value
  let waiting = first !== null
  return {
    first,
    [Symbol.asyncIterator]: () => ({
      next: () => {
        if (!waiting) return iterator.next()
        waiting = false
        return Promise.resolve({ done: false as const, value: first as E })
      },
      return: async () => (await iterator.return?.()) ?? { done: true as const, value: undefined },
    }),
  }
}

/** One JSON object a line. */
export function ndjson<E>(events: AsyncIterable<E>, encoder: Encoder<E>, trace: RequestTrace, headers: Record<string, string> = {}): Response {
  return streamed(events, encoder, trace, { 'content-type': 'application/x-ndjson', ...headers })
}

/** Server-sent events. */
export function sse<E>(events: AsyncIterable<E>, encoder: Encoder<E>, trace: RequestTrace, headers: Record<string, string> = {}): Response {
  return streamed(events, encoder, trace, { 'content-type': 'text/event-stream', ...headers })
}

/**
 * Events as bytes: what arrives in one turn of the event loop leaves in one write.
 *
 * The reader's pace holds the events back. When it goes away the events are left, which ends the generation.
 */
function streamed<E>(events: AsyncIterable<E>, encoder: Encoder<E>, trace: RequestTrace, headers: Record<string, string>): Response {
  trace.streaming = true
  const iterator = events[Symbol.asyncIterator]()
  let text = ''
  let scheduled = false
  let gone = false
  let resume: (() => void) | null = null

  async function pump(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const flush = () => {
      scheduled = false
      if (gone || text === '') return
      controller.enqueue(Buffer.from(text))
      text = ''
    }
    try {
      for (let result = await iterator.next(); !result.done; result = await iterator.next()) {
        if (gone) break
        text += encoder.encode(result.value)
        if (!scheduled) {
          scheduled = true
          setImmediate(flush)
        }
        if (text.length > bufferedBytes) flush()
        while (!gone && (controller.desiredSize ?? 0) <= 0) {
          await new Promise<void>((resolve) => {
            resume = resolve
          })
        }
      }
    } catch (error) {
      text += encoder.fail(trace.fail(error))
    }
    flush()
    if (!gone) controller.close()
    trace.finish(gone ? 499 : 200)
  }

  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => void pump(controller),
      pull: () => resume?.(),
      cancel: async () => {
        gone = true
        resume?.()
        await iterator.return?.()
      },
    },
    { highWaterMark: bufferedBytes, size: (chunk) => chunk.length },
  )
  return new Response(body, { headers: { ...plainHeaders, ...headers } })
}
