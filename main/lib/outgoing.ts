import http from 'node:http'
import https from 'node:https'
import tls from 'node:tls'

export interface ProxySettings {
  /** URL of the proxy for TLS; '' for none. */
  https: string
  http: string
  /** Hosts that are reached without it, as in `NO_PROXY`. */
  exceptions: readonly string[]
}

/** This machine is never reached by way of another. */
const near = ['localhost', '127.0.0.1', '::1', '[::1]']

/** Connections to other machines, kept for a while: by the user's proxy, trusting what the system trusts. For `agent` of `node:http` and `node:https`. */
export class Outgoing implements Disposable {
  readonly #options: http.AgentOptions
  readonly #http: http.Agent
  #https: https.Agent | null = null

  constructor(proxy: ProxySettings) {
    const proxyEnv = { HTTP_PROXY: proxy.http, HTTPS_PROXY: proxy.https, NO_PROXY: [...proxy.exceptions, ...near].join(',') }
    this.#options = { keepAlive: true, maxFreeSockets: 16, proxyEnv }
    this.#http = new http.Agent(this.#options)
  }

  agent(url: URL): http.Agent {
    if (url.protocol !== 'https:') return this.#http
    // Made when first needed: reading the system's certificates takes a while.
    this.#https ??= new https.Agent({ ...this.#options, secureContext: tls.createSecureContext({ ca: trusted() }) })
    return this.#https
  }

  [Symbol.dispose](): void {
    this.#http.destroy()
    this.#https?.destroy()
  }
}

/** Node's own list, `NODE_EXTRA_CA_CERTS` and the system's. */
function trusted(): string[] {
  return [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])]
}
