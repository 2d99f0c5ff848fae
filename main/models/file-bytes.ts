import { createReadStream } from 'node:fs'
import { AppError } from '../errors.ts'

/**
 * The bytes of a file, or from `start` up to, not including, `end`.
 *
 * Throws `unavailable` naming the file when it goes, or its disk fails, while it is read.
 */
export async function* bytesOf(file: string, signal?: AbortSignal, range?: { start: number; end: number }): AsyncGenerator<Buffer, void> {
  const options = { highWaterMark: 2 ** 20, ...(signal && { signal }), ...(range && { start: range.start, end: range.end - 1 }) }
  try {
    for await (const chunk of createReadStream(file, options)) yield chunk as Buffer
  } catch (error) {
    signal?.throwIfAborted()
    const { code } = error as NodeJS.ErrnoException
    throw new AppError('unavailable', `${file} cannot be read (${code ?? String(error)}); is its drive connected, and its disk sound?`, { cause: error })
  }
}
