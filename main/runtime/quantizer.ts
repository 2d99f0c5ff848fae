import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, fromPlainError, type PlainError } from '../errors.ts'
import { Channel } from '../lib/streams.ts'
import { type FileType, fileTypes } from './llama/abi.ts'
import type { Spawn } from './process.ts'
import { defaultThreads } from './threads.ts'

export interface QuantizeRequest {
  build: string
  source: string
  target: string
  type: FileType
  threads: number
}

export type QuantizeReply = { type: 'tensor'; sizeBytes: number } | { type: 'done' } | { type: 'failed'; error: PlainError }

/** File types that `quantize` can make. */
export const quantizationTypes = Object.keys(fileTypes) as FileType[]

/** On a disk with less room than this, a write that failed has failed for want of it. */
const fullBelowBytes = 2 ** 16

/**
 * Writes the model file `source` with its weights in another type to `target`, in a process of its own; yields the bytes of `source` that are done.
 *
 * Throws `invalid-model` with llama.cpp's reason, `disk-full`, or `runner-crashed` when the process dies. An abort kills it; what it wrote is the caller's.
 */
export async function* quantize(
  { spawn, entry, build }: { spawn: Spawn; entry: string; build: string },
  { source, target, type }: { source: string; target: string; type: string },
  signal: AbortSignal,
): AsyncGenerator<number, void> {
  signal.throwIfAborted()
  if (!Object.hasOwn(fileTypes, type)) throw new AppError('invalid-model', `weights cannot be quantized to ${type}`)
  const replies = new Channel<QuantizeReply>()
  const child = spawn(entry, { name: 'paddock quantize' })
  const abort = () => replies.fail(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  child.onMessage((message) => replies.push(message as QuantizeReply))
  const exited = Promise.withResolvers<void>()
  child.onExit(({ code, signal: killer }) => {
    exited.resolve()
    replies.fail(
      new AppError(
        'runner-crashed',
        `quantizing stopped unexpectedly: ${child.stderrTail().trim().split('\n').at(-1) || `ended by ${killer ?? `exit code ${code}`}`}${killer === 'SIGKILL' ? '; if memory ran out, end other programs and create it again' : ''}`,
      ),
    )
  })
  child.post({ build, source, target, type: type as FileType, threads: defaultThreads() } satisfies QuantizeRequest)
  try {
    let doneBytes = 0
    for await (const reply of replies) {
      signal.throwIfAborted()
      if (reply.type === 'done') return
      if (reply.type === 'failed') throw await explained(reply.error, target)
      doneBytes += reply.sizeBytes
      yield doneBytes
    }
  } finally {
    signal.removeEventListener('abort', abort)
    child.kill()
    // Until then it holds the file, which Windows does not let anybody remove.
    await exited.promise
  }
}

/** llama.cpp says of a full disk only that its stream has failed. */
async function explained(error: PlainError, target: string): Promise<AppError> {
  const folder = dirname(target)
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= fullBelowBytes) return fromPlainError(error)
  return new AppError('disk-full', `no space left in ${folder} for the quantized model; free some, or set OLLAMA_MODELS to a folder on another disk`, {
    cause: fromPlainError(error),
  })
}
