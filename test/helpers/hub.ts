import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HubRepository {
  /** By path; those that end in `.gguf` lie in large file storage, which means behind the CDN. */
  files: Record<string, Uint8Array>
  /** Only who holds the hub's token may read it; with a token of someone else: asked for, not yet granted. */
  gated?: boolean
  /** Strangers hear that there is no such thing. */
  private?: boolean
}

export interface HubRequest {
  method: string
  /** With its query. */
  path: string
  headers: IncomingMessage['headers']
}

/** Hugging Face in small: the routes that a download needs, as its own servers answer them. */
export interface Hub extends AsyncDisposable {
  url: string
  host: string
  /** Lets its holder in. */
  token: string
  /** Base address to which downloads are led, on another host; may be set to a proxy before it. */
  cdnUrl: string
  readonly repositories: Map<string, HubRepository>
  readonly seen: HubRequest[]
  readonly cdnSeen: HubRequest[]
}

interface Answer {
  status: number
  headers?: Record<string, string | number>
  body?: string | Uint8Array
}

const revision = '0123456789abcdef0123456789abcdef01234567'
const quantization = /(?:^|[-._])((?:UD-)?(?:IQ\d\w*|Q\d\w*|BF16|F16|F32|MXFP4\w*))(?:-\d{5}-of-\d{5})?\.gguf$/i
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')
const isLarge = (path: string) => path.endsWith('.gguf')

export async function startHub(repositories: Record<string, HubRepository>, { pageSize = 1000 }: { pageSize?: number } = {}): Promise<Hub> {
  await using stack = new AsyncDisposableStack()
  const all = new Map(Object.entries(repositories))
  const seen: HubRequest[] = []
  const cdnSeen: HubRequest[] = []
  const hub = await listening(stack, seen, answer)
  const cdn = await listening(stack, cdnSeen, (request) => {
    const digest = /^\/blobs\/([0-9a-f]{64})\?signature=/.exec(request.url ?? '')?.[1]
    const bytes = [...all.values()].flatMap(({ files }) => Object.values(files)).find((file) => sha256(file) === digest)
    if (bytes === undefined) return { status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }
    return content(request, bytes, { etag: `"${digest}"` })
  })
  const owned = stack.move()
  const self: Hub = {
    url: `http://127.0.0.1:${hub}`,
    host: `127.0.0.1:${hub}`,
    token: 'hf_paddockTests',
    // Another name of the same machine is another host.
    cdnUrl: `http://localhost:${cdn}`,
    repositories: all,
    seen,
    cdnSeen,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
  const cdnAddress = (digest: string) => `${self.cdnUrl}/blobs/${digest}?signature=secret`

  function answer(request: IncomingMessage): Answer {
    const url = new URL(request.url ?? '/', self.url)
    const path = decodeURIComponent(url.pathname)
    const [, kind = '', name = '', rest = ''] = /^\/(v2\/|api\/models\/)?([^/]+\/[^/]+)\/(.+)$/.exec(path) ?? []
    const repository = all.get(name)
    const refusal = refused(repository, name, request.headers.authorization)
    if (refusal !== null) return refusal
    const { files } = repository as HubRepository
    if (kind === 'v2/') return registry(request, files, rest)
    return kind === '' ? resolved(request, files, rest) : api(url, name, files, rest)
  }

  function refused(repository: HubRepository | undefined, name: string, authorization = ''): Answer | null {
    const known = authorization === `Bearer ${self.token}`
    if (repository === undefined || (repository.private && !known)) {
      return authorization === '' ? failure(401, 'RepoNotFound', 'Invalid username or password.') : failure(404, 'RepoNotFound', 'Repository not found')
    }
    if (!repository.gated || known) return null
    const restricted = `Access to model ${name} is restricted`
    if (authorization === '') return failure(401, 'GatedRepo', `${restricted}. You must have access to it and be authenticated to access it. Please log in.`)
    return failure(403, 'GatedRepo', `${restricted} and you are not in the authorized list. Visit ${self.url}/${name} to ask for access.`)
  }

  /** What the hub offers to Ollama: files in one part, by quantisation or file name. */
  function registry(request: IncomingMessage, files: Record<string, Uint8Array>, rest: string): Answer {
    const texts = [JSON.stringify({ model_format: 'gguf', model_family: 'llama' }), '{{ .Prompt }}', '{"stop":["<|end|>"]}']
    const digest = /^blobs\/sha256:([0-9a-f]{64})$/.exec(rest)?.[1]
    if (digest !== undefined) {
      const text = texts.find((one) => sha256(one) === digest)
      return text === undefined ? { status: 307, headers: { location: cdnAddress(digest) } } : content(request, Buffer.from(text), {})
    }
    const tag = /^manifests\/(.+)$/.exec(rest)?.[1]?.toLowerCase() ?? ''
    const models = Object.keys(files).filter((file) => isLarge(file) && !/mmproj/i.test(file))
    if (models.length === 0) return failure(400, 'BadRequest', 'Repository is not GGUF or is not compatible with llama.cpp')
    const called = (wanted: string) => models.filter((file) => quantization.exec(file)?.[1]?.toLowerCase() === wanted || file.toLowerCase() === wanted)
    const [chosen] = tag === 'latest' ? [...called('q4_k_m'), ...models] : called(tag)
    if (chosen === undefined) return failure(400, 'BadRequest', 'The specified tag is not a valid quantization scheme. Please use another tag or "latest"')
    if (/-of-\d{5}\.gguf$/.test(chosen)) {
      return failure(400, 'BadRequest', 'The specified repository contains sharded GGUF. Ollama does not support this yet.')
    }
    const layer = (mediaType: string, bytes: Uint8Array) => ({ mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length })
    const projector = Object.keys(files).find((file) => /mmproj/i.test(file))
    const [config, template, params] = texts.map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer]
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: layer('application/vnd.docker.container.image.v1+json', config),
      layers: [
        layer('application/vnd.ollama.image.model', files[chosen] as Uint8Array),
        ...(projector === undefined ? [] : [layer('application/vnd.ollama.image.projector', files[projector] as Uint8Array)]),
        layer('application/vnd.ollama.image.template', template),
        layer('application/vnd.ollama.image.params', params),
      ],
    }
    return content(request, Buffer.from(JSON.stringify(manifest)), { 'content-type': manifest.mediaType })
  }

  function api(url: URL, name: string, files: Record<string, Uint8Array>, rest: string): Answer {
    if (/^revision\/[^/]+$/.test(rest)) {
      return json({ id: name, sha: revision, gated: false, siblings: Object.keys(files).map((rfilename) => ({ rfilename })) })
    }
    if (!/^tree\/(?:main|[0-9a-f]{40})$/.test(rest)) return failure(404, 'RevisionNotFound', 'Invalid rev id')
    const folders = new Set(Object.keys(files).flatMap((file) => (file.includes('/') ? [file.slice(0, file.lastIndexOf('/'))] : [])))
    const entries = [
      ...[...folders].map((path) => ({ type: 'directory', oid: sha256(path).slice(0, 40), size: 0, path })),
      ...Object.entries(files).map(([path, bytes]) => ({
        type: 'file',
        oid: sha256(bytes).slice(0, 40),
        size: bytes.length,
        path,
        ...(isLarge(path) && { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 134 } }),
      })),
    ].filter(({ path }) => url.searchParams.get('recursive') === 'true' || !path.includes('/'))
    const from = Number(url.searchParams.get('cursor') ?? 0)
    const next = new URL(url)
    next.searchParams.set('cursor', String(from + pageSize))
    return json(entries.slice(from, from + pageSize), from + pageSize < entries.length ? { link: `<${next.href}>; rel="next"` } : {})
  }

  function resolved(request: IncomingMessage, files: Record<string, Uint8Array>, rest: string): Answer {
    const path = /^resolve\/[^/]+\/(.+)$/.exec(rest)?.[1] ?? ''
    const bytes = files[path]
    if (bytes === undefined) return failure(404, 'EntryNotFound', 'Entry not found')
    if (!isLarge(path)) return content(request, bytes, { etag: `"${sha256(bytes).slice(0, 40)}"`, 'x-repo-commit': revision })
    const linked = { 'x-repo-commit': revision, 'x-linked-size': bytes.length, 'x-linked-etag': `"${sha256(bytes)}"` }
    return { status: 302, headers: { ...linked, location: cdnAddress(sha256(bytes)) } }
  }

  return self
}

async function listening(stack: AsyncDisposableStack, seen: HubRequest[], answer: (request: IncomingMessage) => Answer): Promise<number> {
  const server: Server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request
    seen.push({ method, path: url, headers: { ...headers } })
    const { status, headers: given, body } = answer(request)
    response.writeHead(status, given).end(method === 'HEAD' ? undefined : body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stack.defer(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function failure(status: number, code: string, message: string): Answer {
  return { ...json({ error: message }, { 'x-error-code': code, 'x-error-message': message }), status }
}

function json(value: unknown, headers: Record<string, string> = {}): Answer {
  return { status: 200, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

/** The whole or the part that was asked for. */
function content(request: IncomingMessage, bytes: Uint8Array, headers: Record<string, string>): Answer {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined) return { status: 200, headers: { 'accept-ranges': 'bytes', 'content-length': bytes.length, ...headers }, body: bytes }
  const start = Number(first)
  if (start >= bytes.length) return { status: 416, headers: { 'content-range': `bytes */${bytes.length}` } }
  const end = Math.min(last ? Number(last) + 1 : bytes.length, bytes.length)
  const range = { 'accept-ranges': 'bytes', 'content-length': end - start, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` }
  return { status: 206, headers: { ...range, ...headers }, body: bytes.subarray(start, end) }
}
