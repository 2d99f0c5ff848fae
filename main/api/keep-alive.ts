import { AppError } from '../errors.ts'
import { parseDuration } from '../lib/duration.ts'
import { custom } from './body.ts'
import { goKind } from './go.ts'

/** Seconds, or a duration in Go's notation; negative is for ever, absent leaves it to the server (ollama-api §2.2). */
export const keepAlive = custom(
  (value): number | null => {
    if (value === null) return null
    if (typeof value === 'number') return value < 0 ? Number.POSITIVE_INFINITY : value * 1000
    if (typeof value !== 'string') throw new AppError('invalid-request', `Unsupported type: '${goKind(value)}'`)
    try {
      const ms = parseDuration(value)
      return ms < 0 ? Number.POSITIVE_INFINITY : ms
    } catch (error) {
      throw new AppError('invalid-request', (error as Error).message, { cause: error })
    }
  },
  {
    anyOf: [
      { type: 'number', description: 'seconds' },
      { type: 'string', description: 'such as 5m or 1h30m' },
    ],
    description: 'negative: for ever',
  },
)
