import { execFile } from 'node:child_process'
import { createPrivateKey, createSign, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const issuer = 'paddock-tests'
const service = 'registry'

export interface TokenRequest {
  url: URL
  headers: IncomingHttpHeaders
}

/** Hands out the tokens that a registry asks for; keeps what it was asked. */
export interface TokenServer extends AsyncDisposable {
  realm: string
  requests: readonly TokenRequest[]
  /** Lets nobody in from now on. */
  refuse(): void
  /** The part `auth.token` of the registry's configuration. */
  registryConfig: object
}

/** A server of tokens for `docker-registry`: anyone gets what the scope asks for, signed with a certificate made in `folder`. */
export async function startTokenServer(folder: string): Promise<TokenServer> {
  const [keyFile, certificateFile] = [path.join(folder, 'key.pem'), path.join(folder, 'certificate.pem')]
  await run('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=paddock tests',
    '-days',
    '2',
    '-keyout',
    keyFile,
    '-out',
    certificateFile,
  ])
  const key = createPrivateKey(await readFile(keyFile))
  const certificate = new X509Certificate(await readFile(certificateFile)).raw.toString('base64')
  const requests: TokenRequest[] = []
  let refusing = false

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://tokens')
    requests.push({ url, headers: request.headers })
    if (refusing) return response.writeHead(403).end()
    const access = url.searchParams.getAll('scope').flatMap((scope) => {
      const [type, name, actions = ''] = /^([^:]+):(.+):([^:]*)$/.exec(scope)?.slice(1) ?? []
      return type === undefined ? [] : [{ type, name, actions: actions.split(',') }]
    })
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: issuer, sub: '', aud: url.searchParams.get('service'), nbf: now - 60, exp: now + 600, iat: now, jti: String(requests.length), access }
    const body = [{ typ: 'JWT', alg: 'RS256', x5c: [certificate] }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
    const token = `${body}.${createSign('RSA-SHA256').update(body).sign(key, 'base64url')}`
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  return {
    realm,
    requests,
    refuse: () => {
      refusing = true
    },
    registryConfig: { realm, service, issuer, rootcertbundle: certificateFile },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
