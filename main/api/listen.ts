import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import type { ApiEnv } from './routes.ts'
import { json } from './wire.ts'

/** How long answers that are under way may take to end when the server stops. */
const graceMs = 3000

export interface ListenOptions {
  /** '' stands for every interface. */
  host: string
  /** 0 lets the system choose. */
  port: number
}

/** A server that listens. Disposing it takes no new connection, lets answers end for a moment, then hangs up. */
export interface Listening extends AsyncDisposable {
  /** For a client on this machine; no slash at the end. */
  readonly url: string
  readonly port: number
}

/** Puts the API on a port. Throws `conflict` naming who holds it, or `forbidden`, `invalid-request` for an address that cannot be had. */
export async function listen(app: Hono<ApiEnv>, { host, port }: ListenOptions, log: Log): Promise<Listening> {
  const server = createServer(
    {
      // A caller that dawdles over its headers holds nothing but a socket, and not for long; bodies may be gigabytes.
      headersTimeout: 30_000,
      requestTimeout: 0,
      keepAliveTimeout: 60_000,
      maxHeaderSize: 64 * 1024,
    },
    getRequestListener((request, env) => app.fetch(request, env), {
      hostname: 'localhost',
      errorHandler: (error) => unreadable(error, log),
    }),
  )
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  try {
    server.listen({ port, ...(host !== '' && { host }) })
    await once(server, 'listening')
  } catch (cause) {
    throw await explained(cause as NodeJS.ErrnoException, host, port)
  }
  server.on('error', (error) => log.error('the server reports an error', error))
  const bound = server.address() as AddressInfo
  const reachable = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  const url = `http://${bracketed(reachable)}:${bound.port}`
  return { url, port: bound.port, [Symbol.asyncDispose]: () => close(server) }
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  // A connection whose answer ends now would stay open for the next request.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  const end = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearInterval(sweep)
  clearTimeout(end)
}

/** For what is no request that a URL can be made of; nothing of ours has seen it. */
function unreadable(error: unknown, log: Log): Response {
  log.debug('a request could not be read', { reason: String(error) })
  return json({ error: 'the request line or the Host header cannot be read' }, 400)
}

async function explained(error: NodeJS.ErrnoException, host: string, port: number): Promise<unknown> {
  const where = `${host === '' ? '*' : bracketed(host)}:${port}`
  const elsewhere = `set OLLAMA_HOST to another address, such as OLLAMA_HOST=127.0.0.1:${port === 11434 ? 11435 : 11434}`
  switch (error.code) {
    case 'EADDRINUSE': {
      const holder = await holderOf(host, port)
      return new AppError('conflict', `the address ${where} is in use by ${holder}. Stop it, or ${elsewhere}.`, { cause: error })
    }
    case 'EACCES':
      return new AppError('forbidden', `the system does not allow to listen on ${where}; ${elsewhere}.`, { cause: error })
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new AppError('invalid-request', `this machine has no address ${host}; ${elsewhere}.`, { cause: error })
    default:
      return error
  }
}

/** Who answers there, as far as its version route tells. */
async function holderOf(host: string, port: number): Promise<string> {
  const near = host === '' || host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  try {
    const answer = await fetch(`http://${bracketed(near)}:${port}/api/version`, { signal: AbortSignal.timeout(1000) })
    const body = (await answer.json()) as { version?: unknown; paddock?: unknown }
    if (typeof body.paddock === 'string') return `another Paddock (version ${body.paddock})`
    if (typeof body.version === 'string') return `Ollama (version ${body.version})`
  } catch {
    // Whoever it is does not speak the protocol.
  }
  return 'another program'
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
