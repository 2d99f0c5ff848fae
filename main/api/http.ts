import { posix } from 'node:path'
import { type Context, Hono } from 'hono'
import { isLoopback } from '../config.ts'
import type { Scope } from '../settings.ts'
import { access } from './access.ts'
import { anthropicFailure, newId } from './anthropic/encode.ts'
import { anthropicRoutes } from './anthropic/routes.ts'
import { BodyRecorder } from './body-recorder.ts'
import { Metrics, metricsPath, metricsRoutes } from './metrics.ts'
import { ollamaRoutes } from './ollama/routes.ts'
import { openaiFailure } from './openai/encode.ts'
import { openaiRoutes } from './openai/routes.ts'
import { openapiRoute } from './openapi.ts'
import { exposedHeaders, hostVerdict, originRule, preflightHeaders } from './origins.ts'
import { paddockRoutes } from './paddock/routes.ts'
import { type ApiEnv, dialectOf, type Method, type Route } from './routes.ts'
import type { ApiServices } from './services.ts'
import { callerId, RequestTrace, short } from './trace.ts'
import { json } from './wire.ts'

/** Order of the methods in `Allow`, as the peer writes it. */
const methods: readonly Method[] = ['HEAD', 'GET', 'POST', 'DELETE']

/** The door for other programs: every dialect on one port (ollama-api §1). */
export function createApi(services: ApiServices): Hono<ApiEnv> {
  const metrics = services.config.metrics ? new Metrics() : null
  const routes: Route[] = [
    ...ollamaRoutes(services),
    ...openaiRoutes(services),
    ...anthropicRoutes(services),
    ...paddockRoutes(services),
    ...metricsRoutes(services, metrics),
    openapiRoute(() => routes, services.version),
  ]
  const api = new Hono<ApiEnv>()

  api.use(traced(services, metrics))
  api.use(gate(services, routes))
  for (const { path, handlers } of routes) {
    for (const method of methods) {
      const handler = handlers[method]
      // Hono hands HEAD to the GET handler; which of the two a path has is the gate's to say.
      if (handler) api.on(method === 'HEAD' ? 'GET' : method, path, handler)
    }
  }
  api.notFound(() => plain('404 page not found', 404))
  api.onError((error, c) => failed(c, error))
  return api
}

/** Tells the request log how each request went, and keeps bodies where that is switched on. */
function traced({ config, log, onRequest }: ApiServices, metrics: Metrics | null) {
  const recorder = config.debugLogRequests ? new BodyRecorder(log) : null
  return async (c: Context<ApiEnv>, next: () => Promise<void>) => {
    const { method, path } = c.req
    const anthropic = dialectOf(path) === 'anthropic'
    const id = callerId(c.req.header('x-request-id')) ?? (anthropic ? newId('req') : undefined)
    const caller = { id, method, path: short(path), client: short(c.req.header('user-agent') ?? '') }
    const trace = new RequestTrace(caller, log, (record, figures) => {
      metrics?.observe(record, figures)
      // Prometheus asks every few seconds, which would be all that the log shows.
      if (figures.route !== metricsPath) onRequest?.(record)
    })
    c.set('trace', trace)
    if (recorder) c.set('keepBody', (body) => recorder.keep(c.req.url, body))
    await next()
    c.res.headers.set('x-request-id', trace.id)
    if (anthropic) c.res.headers.set('request-id', trace.id)
    if (!trace.streaming) trace.finish(c.res.status)
  }
}

/** Who may come in, and by which path: origin, host, key, then the shape of the path. */
function gate(services: ApiServices, routes: readonly Route[]) {
  const { config } = services
  const judge = originRule(config.origins)
  const demand = access(services)
  const checksHost = isLoopback(config.listen.host)
  const known = routes.map(({ path, handlers, scope }) => ({ path, matches: pattern(path), allowed: methods.filter((method) => handlers[method]), scope }))
  const find = (path: string) => known.filter(({ matches }) => matches.test(path))

  return async (c: Context<ApiEnv>, next: () => Promise<void>): Promise<Response | undefined> => {
    const { pathname, search } = new URL(c.req.url)
    const method = c.req.method as Method
    const clean = cleaned(pathname)
    if (clean !== pathname) return redirect(c, clean + search, 307)

    const found = find(pathname)
    const allowed = methods.filter((one) => found.some((route) => route.allowed.includes(one)))
    const headers: Record<string, string> = allowed.length > 0 && !allowed.includes(method) ? { allow: allowed.join(', ') } : {}

    const host = c.req.header('host') ?? ''
    const verdict = judge(c.req.header('origin'), host)
    if (verdict.kind === 'refused') return new Response(null, { status: 403, headers })
    if (verdict.kind === 'allowed' && c.req.method === 'OPTIONS') {
      return new Response(null, { status: 204, headers: { ...headers, ...preflightHeaders(verdict, c.req.header('access-control-request-headers')) } })
    }
    // A refusal by the key is an answer like any other: a page may read why.
    const answer = await inside().catch((error: unknown) => failed(c, error))
    if (verdict.kind === 'allowed') {
      for (const [name, value] of Object.entries({ ...verdict.headers, ...exposedHeaders })) c.res.headers.set(name, value)
    }
    return answer

    async function inside(): Promise<Response | undefined> {
      if (checksHost) {
        const near = hostVerdict(host)
        if (near === 'foreign') return new Response(null, { status: 403, headers })
        if (near === 'name' && c.req.method === 'OPTIONS') return new Response(null, { status: 204, headers })
      }
      const route = found.find(({ allowed }) => allowed.includes(method))
      c.get('trace').route = route?.path ?? null
      const demandHere = (scope: Scope) => demand((name) => c.req.header(name), scope)
      c.set('demand', demandHere)
      if (route?.scope !== null) demandHere(route?.scope ?? 'use')
      if (allowed.includes(method)) {
        await next()
        return undefined
      }
      if (allowed.length > 0) return plain('405 method not allowed', 405, headers)
      const bare = pathname.replace(/\/$/, '')
      if (bare !== pathname && find(bare).some((route) => route.allowed.includes(method))) return redirect(c, bare + search, method === 'GET' ? 301 : 307)
      return plain('404 page not found', 404)
    }
  }
}

/** `/api/blobs/:digest` and `/v1/models/:model{.+}` as expressions. */
function pattern(path: string): RegExp {
  return new RegExp(`^${path.replace(/:\w+\{\.\+\}/g, '.+').replace(/:\w+/g, '[^/]+')}$`)
}

/** Without doubled slashes; a slash at the end stays. */
function cleaned(path: string): string {
  const clean = posix.normalize(path)
  return clean.startsWith('/') ? clean : `/${clean}`
}

function redirect(c: Context<ApiEnv>, location: string, status: 301 | 307): Response {
  const text = status === 301 ? 'Moved Permanently' : 'Temporary Redirect'
  const link = location.replaceAll('&', '&amp;').replaceAll('"', '&#34;').replaceAll("'", '&#39;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  const shown = c.req.method === 'GET'
  return new Response(shown ? `<a href="${link}">${text}</a>.\n\n` : null, {
    status,
    headers: { location, ...(shown && { 'content-type': 'text/html; charset=utf-8' }) },
  })
}

function plain(text: string, status: number, headers: Record<string, string> = {}): Response {
  return new Response(text, { status, headers: { 'content-type': 'text/plain', ...headers } })
}

/** An error before the first byte, in the words of the path's dialect. */
function failed(c: Context<ApiEnv>, error: unknown): Response {
  const failure = c.get('trace').fail(error)
  const accepted = c.get('accepted') === true
  const dialect = dialectOf(c.req.path)
  switch (dialect) {
    case 'anthropic':
      return anthropicFailure(failure, accepted, c.get('trace').id)
    case 'openai':
      return openaiFailure(failure, accepted)
    case 'ollama':
      return json({ error: failure.message }, failure.status)
    default:
      return dialect satisfies never
  }
}
