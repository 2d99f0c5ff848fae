import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import { isLoopback } from '../config.ts'
import { AppError } from '../errors.ts'
import { hostVerdict } from './origins.ts'
import type { ApiEnv } from './routes.ts'

/** What a reverse proxy adds: its connection comes from this machine, its caller does not. */
const forwarded = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Throws `forbidden` unless the caller is on this machine: for whatever names files here, whichever key it shows. */
export function demandLocalCaller(c: Context<ApiEnv>, listenHost: string): void {
  const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage }
  const connected = isLoopback(listenHost) || isLoopback(incoming?.socket.remoteAddress ?? '')
  const proxied = forwarded.some((name) => c.req.header(name) !== undefined)
  // A page whose name was rebound to this machine gives itself away by the Host header.
  if (connected && !proxied && hostVerdict(c.req.header('host') ?? '') !== 'foreign') return
  throw new AppError('forbidden', 'files of the machine that the server runs on can be named from that machine only')
}
