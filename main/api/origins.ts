import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

const advertised = {
  'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS',
  'access-control-max-age': '43200',
}
const allowedHeaders =
  'Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,' +
  [
    'Arch',
    'Async',
    'Custom-Poll-Interval',
    'Helper-Method',
    'Lang',
    'Os',
    'Package-Version',
    'Poll-Helper',
    'Retry-Count',
    'Runtime',
    'Runtime-Version',
    'Timeout',
  ]
    .map((name) => `X-Stainless-${name}`)
    .join(',')
/** Request ids, and what Anthropic's own client sends from a browser; told only to those who ask. */
const allowedOnRequest = ['X-Request-Id', 'X-Api-Key', 'Anthropic-Version', 'Anthropic-Beta', 'Anthropic-Dangerous-Direct-Browser-Access']

/** Headers of an answer that a page may read. */
export const exposedHeaders = { 'access-control-expose-headers': 'X-Request-Id,X-Context-Truncated' }

/** What an `Origin` header means for a request (ollama-api §1.2). */
export type Verdict = { kind: 'same' } | { kind: 'refused' } | { kind: 'allowed'; headers: Record<string, string> }

/** Judges origins against patterns with at most one `*` each. */
export function originRule(patterns: readonly string[]): (origin: string | undefined, host: string) => Verdict {
  const any = patterns.includes('*')
  const tests = patterns.map((pattern) => {
    const [before = '', after] = pattern.split('*')
    return (origin: string) =>
      after === undefined ? origin === before : origin.length >= before.length + after.length && origin.startsWith(before) && origin.endsWith(after)
  })
  return (origin, host) => {
    if (origin === undefined || origin === `http://${host}` || origin === `https://${host}`) return { kind: 'same' }
    if (any) return { kind: 'allowed', headers: { 'access-control-allow-origin': '*' } }
    if (!tests.some((test) => test(origin))) return { kind: 'refused' }
    return { kind: 'allowed', headers: { 'access-control-allow-origin': origin, vary: 'Origin' } }
  }
}

/** Headers of the answer to an allowed preflight that asks for `requested` headers. */
export function preflightHeaders(verdict: Extract<Verdict, { kind: 'allowed' }>, requested: string | undefined): Record<string, string> {
  const wanted = (requested ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const extra = allowedOnRequest.filter((name) => wanted.includes(name.toLowerCase()))
  return {
    ...advertised,
    ...verdict.headers,
    'access-control-allow-headers': [allowedHeaders, ...extra].join(','),
    ...('vary' in verdict.headers && { vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers' }),
  }
}

/** `address` is an IP of this machine or its network, `name` a name that only this machine or its network gives. */
export type HostVerdict = 'address' | 'name' | 'foreign'

/** Whether a `Host` header can come from a page that was not rebound to us by DNS (ollama-api §1.3). */
export function hostVerdict(header: string): HostVerdict {
  const host = withoutPort(header.toLowerCase())
  if (isIP(host)) return isNear(host) || isOwn(host) ? 'address' : 'foreign'
  const near = host === '' || host === 'localhost' || host === hostname().toLowerCase() || /\.(localhost|local|internal)$/.test(host)
  return near ? 'name' : 'foreign'
}

function withoutPort(header: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(header)
  return bracketed?.[1] ?? header.replace(/:\d*$/, '')
}

/** Loopback, private (RFC 1918, unique local) or unspecified. */
function isNear(address: string): boolean {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.\d+\.\d+$/.exec(address)
  if (v4) {
    const [first, second] = [Number(v4[1]), Number(v4[2])]
    return (
      first === 127 ||
      first === 10 ||
      (first === 192 && second === 168) ||
      (first === 172 && second >= 16 && second < 32) ||
      /^(?:::ffff:)?0\.0\.0\.0$/.test(address)
    )
  }
  return address === '::1' || address === '::' || /^f[cd]/.test(address)
}

function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some((own) => own.address === address) ?? false)
}
