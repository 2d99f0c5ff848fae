import { AppError } from '../../errors.ts'

/** A registry refused, or could not be reached; the message is the peer's where it has one. */
export class RegistryError extends AppError {
  /** Of the answer; null when there was none. */
  readonly status: number | null
  /** How long the registry asks to be left alone; null when it says nothing. */
  readonly retryAfterMs: number | null
  /** Whether the same request may succeed later. */
  readonly isTemporary: boolean

  constructor(message: string, { status = null, retryAfterMs = null, isTemporary = mayPass(status), cause }: RegistryErrorOptions = {}) {
    super('registry-failed', message, { cause })
    this.status = status
    this.retryAfterMs = retryAfterMs
    this.isTemporary = isTemporary
  }
}

interface RegistryErrorOptions extends ErrorOptions {
  status?: number | null
  retryAfterMs?: number | null
  isTemporary?: boolean
}

/** null: the connection failed. */
function mayPass(status: number | null): boolean {
  return status === null || status === 408 || status === 425 || status === 429 || status >= 500
}

/** `Retry-After` in milliseconds, seconds or a date; an hour at most. */
export function retryAfterMs(header: string | undefined, now = Date.now()): number | null {
  if (header === undefined) return null
  const delay = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(delay) ? Math.min(Math.max(0, delay), 3_600_000) : null
}

/** The sentence that the peer's HTTP client makes of a failed connection: `Get "https://…": dial tcp …: connection refused`. */
export function unreachable(method: string, url: URL, error: unknown): RegistryError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase()
  // Without its query, which may hold a signature.
  const shown = `${url.origin}${url.pathname}`
  const isTemporary = !speaksPlainly(error)
  return new RegistryError(`${verb} ${JSON.stringify(shown)}: ${reason(url, error)}`, { isTemporary, cause: error })
}

function reason(url: URL, error: unknown): string {
  const [first = error] = error instanceof AggregateError ? error.errors : []
  const { code, address = url.hostname, port = '', message } = first as NodeJS.ErrnoException & { address?: string; port?: number }
  const dialled = `dial tcp ${address.includes(':') && !address.startsWith('[') ? `[${address}]` : address}${port ? `:${port}` : ''}`
  switch (code) {
    case 'ECONNREFUSED':
      return `${dialled}: connect: connection refused`
    case 'EHOSTUNREACH':
      return `${dialled}: connect: no route to host`
    case 'ENETUNREACH':
      return `${dialled}: connect: network is unreachable`
    case 'ETIMEDOUT':
      return `${dialled}: i/o timeout`
    case 'ENOTFOUND':
      return `dial tcp: lookup ${url.hostname}: no such host`
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${url.hostname}: temporary failure in name resolution`
    case 'ECONNRESET':
      return 'connection reset by peer'
    default:
      return speaksPlainly(first) ? 'http: server gave HTTP response to HTTPS client' : message
  }
}

/** A server without TLS, asked with it. */
function speaksPlainly(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPROTO' && error.message.includes('wrong version number')
}
