import { setTimeout as sleep } from 'node:timers/promises'
import { inParallel } from '../../lib/parallel.ts'
import type { Progress } from '../progress.ts'
import { Speed } from './speed.ts'

/** A step of a pull, a push or a copy; speed and time left are ours, beside the protocol's fields. */
export interface TransferProgress extends Progress {
  bytes_per_second?: number
  seconds_left?: number
}

interface Blob {
  digest: string
  sizeBytes: number
}

/** Moves one blob; `follow` is given what tells how far it is. */
export type Move<B extends Blob> = (blob: B, follow: (completed: () => number) => void, signal: AbortSignal) => Promise<void>

interface MoveOptions {
  verb: 'pulling' | 'pushing' | 'copying'
  /** Blobs at a time. */
  together: number
  /** Bytes of each that were told already; by digest. */
  told?: ReadonlyMap<string, number>
}

interface Piece<B extends Blob> {
  blob: B
  completed: () => number
  /** What was last told. */
  told: number
  speed: Speed
}

/** Lines of a blob's progress are so far apart, as the peer's. */
const tickMs = 60

/** Moves all blobs, a line for each that has come further; one that is left stops all of them. */
export async function* moveBlobs<B extends Blob>(
  blobs: readonly B[],
  { verb, together, told = new Map() }: MoveOptions,
  move: Move<B>,
  signal: AbortSignal,
): AsyncGenerator<TransferProgress, void> {
  const pieces = blobs.map((blob): Piece<B> => ({ blob, completed: () => 0, told: told.get(blob.digest) ?? -1, speed: new Speed() }))
  const started = new Set<Piece<B>>()
  const leaving = new AbortController()
  let ended = false
  const work = inParallel(
    pieces,
    together,
    async (piece, either) => {
      started.add(piece)
      await move(piece.blob, (completed) => Object.assign(piece, { completed }), either)
      piece.completed = () => piece.blob.sizeBytes
    },
    AbortSignal.any([signal, leaving.signal]),
  ).finally(() => {
    ended = true
  })
  const settled = work.catch(() => undefined)
  try {
    while (!ended) {
      await Promise.race([settled, sleep(tickMs)])
      for (const piece of started) {
        const completed = piece.completed()
        if (completed <= piece.told) continue
        piece.told = completed
        piece.speed.add(completed)
        yield progressOf(verb, piece.blob, completed, piece.speed)
      }
    }
    await work
  } finally {
    leaving.abort()
    await settled
  }
}

export function progressOf(verb: MoveOptions['verb'], { digest, sizeBytes }: Blob, completed: number, speed?: Speed): TransferProgress {
  const perSecond = speed?.bytesPerSecond ?? null
  const left = speed?.secondsFor(sizeBytes - completed) ?? null
  return {
    status: `${verb} ${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`,
    digest,
    total: sizeBytes,
    // As the peer's, which leaves out what is zero.
    ...(completed > 0 && { completed }),
    ...(perSecond !== null && completed < sizeBytes && { bytes_per_second: perSecond }),
    ...(left !== null && completed < sizeBytes && { seconds_left: left }),
  }
}
