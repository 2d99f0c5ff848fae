/** What went wrong, as far as a caller can act on it. Doors translate the code; nobody branches on the text. */
export type ErrorCode = keyof typeof httpStatus

/** The dialects share the status and differ only in the body. */
export const httpStatus = {
  'invalid-request': 400,
  'context-exceeded': 400,
  'invalid-template': 400,
  unauthorized: 401,
  forbidden: 403,
  'model-not-found': 404,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'upstream-busy': 429,
  cancelled: 499,
  internal: 500,
  'invalid-model': 500,
  'out-of-memory': 500,
  'runner-crashed': 500,
  'load-failed': 500,
  'registry-failed': 500,
  'timed-out': 500,
  'not-implemented': 501,
  'upstream-failed': 502,
  'queue-full': 503,
  'upstream-unreachable': 503,
  unavailable: 503,
  'disk-full': 507,
} as const

/** A failure the caller can act on. Any other error is a bug and reaches the user as "internal error". */
export class AppError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AppError'
    this.code = code
  }
}

/** An error in the shape that crosses a process border. */
export interface PlainError {
  code: ErrorCode
  message: string
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof AppError) return { code: error.code, message: error.message }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) }
}

export function fromPlainError(error: PlainError): AppError {
  return new AppError(error.code, error.message)
}

/** True for the reason of an aborted signal: not a failure, never logged. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || (error instanceof AppError && error.code === 'cancelled'))
}
