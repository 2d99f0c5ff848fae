import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { digestOf } from '../blobs.ts'
import { formatManifest, type ManifestLayer, mediaTypes } from '../manifest.ts'
import type { ModelName } from '../name.ts'
import { jsonBlob } from '../store.ts'
import type { RegistryClient } from './client.ts'
import { RegistryError } from './errors.ts'
import { chooseModel, type HubFile, type HubModel, modelsOf, projectorFor } from './hub-files.ts'
import type { RemoteBlob, RemoteModel } from './source.ts'
import type { RegistryResponse } from './transport.ts'

export interface HubOptions {
  client: Pick<RegistryClient, 'request'>
  /** Base address, without a slash at the end. */
  endpoint: string
  /** Whether the client shows it a token, for what an error advises. */
  hasToken: () => boolean
}

const maxManifestBytes = 1024 * 1024
const maxPageBytes = 8 * 1024 * 1024
/** A thousand files each. */
const maxPages = 50
const maxTextBytes = 64 * 1024

const Revision = z.object({ sha: z.string().regex(/^[0-9a-f]{40}$/) })
const Tree = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.number().int().nonnegative(),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() }).optional(),
  }),
)

/** Files in which a repository says what a Modelfile would. */
const textLayers = { template: mediaTypes.template, system: mediaTypes.system, params: mediaTypes.params }

/** True for a name whose registry is Hugging Face. */
export function isHubName({ host }: ModelName): boolean {
  return ['hf.co', 'huggingface.co', 'www.huggingface.co'].includes(host.toLowerCase())
}

/**
 * Models of Hugging Face: through the registry that the hub offers to Ollama, where that has them.
 *
 * It does not serve files in several parts; those come from the repository itself, with a manifest that we make.
 */
export class HuggingFace {
  readonly #client: HubOptions['client']
  readonly #endpoint: string
  readonly #hasToken: HubOptions['hasToken']

  constructor({ client, endpoint, hasToken }: HubOptions) {
    this.#client = client
    this.#endpoint = endpoint
    this.#hasToken = hasToken
  }

  /** Throws RegistryError when the hub refuses, `invalid-request` naming the quantisations when the one asked for is not there. */
  async find(name: ModelName, signal: AbortSignal): Promise<RemoteModel> {
    const repository = `${name.namespace}/${name.model}`
    const base = `${this.#endpoint}/v2/${repository}`
    using response = await this.#get(new URL(`${base}/manifests/${encodeURIComponent(name.tag)}`), signal, { accept: mediaTypes.manifest })
    if (response.status === 200) {
      const manifest = await response.bytes(maxManifestBytes)
      return { manifest, blob: (digest) => ({ url: new URL(`${base}/blobs/${digest}`) }) }
    }
    return this.#assembled(name, repository, signal)
  }

  /** What the repository itself holds, as a model. */
  async #assembled(name: ModelName, repository: string, signal: AbortSignal): Promise<RemoteModel> {
    const shown = `${name.host}/${repository}`
    using response = await this.#asked(repository, new URL(`${this.#endpoint}/api/models/${repository}/revision/main`), signal)
    const { sha } = await read(Revision, response)
    const files = await this.#files(repository, sha, signal)
    const model = chooseModel(shown, modelsOf(files), name.tag)
    const blobs = new Map<string, RemoteBlob>()
    const layers: ManifestLayer[] = []
    const add = (mediaType: string, digest: string, size: number, blob: RemoteBlob) => {
      blobs.set(digest, blob)
      layers.push({ mediaType, digest, size })
    }
    const addFile = (mediaType: string, { path, sizeBytes, sha256 }: HubFile) => {
      if (sha256 === null) throw new AppError('invalid-model', `${shown}: the hub tells no checksum of ${path}`)
      add(mediaType, `sha256:${sha256}`, sizeBytes, { url: this.#fileUrl(repository, sha, path) })
    }
    for (const file of model.files) addFile(mediaTypes.model, file)
    const projector = projectorFor(files, model)
    if (projector !== null) addFile(mediaTypes.projector, projector)
    for (const [path, mediaType] of Object.entries(textLayers)) {
      if (!files.some((file) => file.path === path && file.sizeBytes <= maxTextBytes)) continue
      const bytes = await this.#bytes(repository, this.#fileUrl(repository, sha, path), maxTextBytes, signal)
      add(mediaType, digestOf(bytes), bytes.length, { bytes })
    }
    const config = jsonBlob(configOf(model))
    blobs.set(config.digest, { bytes: config.bytes })
    const manifest = formatManifest({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
      layers,
    })
    return {
      manifest: Buffer.from(manifest),
      blob: (digest) => {
        const blob = blobs.get(digest)
        if (blob === undefined) throw new Error(`${digest} is not of ${shown}`)
        return blob
      },
    }
  }

  /** All files of a revision. */
  async #files(repository: string, sha: string, signal: AbortSignal): Promise<HubFile[]> {
    const files: HubFile[] = []
    let url: URL | null = new URL(`${this.#endpoint}/api/models/${repository}/tree/${sha}?recursive=true`)
    for (let page = 0; url !== null; page++) {
      if (page === maxPages) throw new RegistryError(`${repository} has more than ${maxPages} pages of files`, { isTemporary: false })
      using response: RegistryResponse = await this.#asked(repository, url, signal)
      for (const { type, path, size, lfs } of await read(Tree, response)) {
        if (type === 'file') files.push({ path, sizeBytes: lfs?.size ?? size, sha256: lfs?.oid ?? null })
      }
      url = this.#nextPage(response.headers.link)
    }
    return files
  }

  #nextPage(link: string | string[] | undefined): URL | null {
    const [, next] = /<([^>]+)>\s*;\s*rel="?next"?/.exec([link ?? ''].flat().join(',')) ?? []
    if (next === undefined || !URL.canParse(next, this.#endpoint)) return null
    const url = new URL(next, this.#endpoint)
    return url.origin === new URL(this.#endpoint).origin ? url : null
  }

  async #bytes(repository: string, url: URL, limit: number, signal: AbortSignal): Promise<Buffer> {
    using response = await this.#asked(repository, url, signal)
    return response.bytes(limit)
  }

  /** As `#get`, but nothing else than a good answer will do. */
  async #asked(repository: string, url: URL, signal: AbortSignal): Promise<RegistryResponse> {
    const response = await this.#get(url, signal)
    if (response.status === 200) return response
    using refused = response
    throw refusal(refused, this.#endpoint, repository, this.#hasToken())
  }

  async #get(url: URL, signal: AbortSignal, headers: Record<string, string> = {}): Promise<RegistryResponse> {
    return this.#client.request(url, { headers, expect: [400, 401, 403, 404] }, signal)
  }

  #fileUrl(repository: string, sha: string, path: string): URL {
    return new URL(`${this.#endpoint}/${repository}/resolve/${sha}/${path.split('/').map(encodeURIComponent).join('/')}`)
  }
}

async function read<T>(schema: z.ZodType<T>, response: RegistryResponse): Promise<T> {
  const bytes = await response.bytes(maxPageBytes)
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')))
  } catch (cause) {
    throw new RegistryError(`${response.url.origin}${response.url.pathname}: the answer cannot be understood`, { isTemporary: false, cause })
  }
}

/** The header of the weights tells the rest when they are there. */
function configOf({ quantization }: HubModel): object {
  return {
    model_format: 'gguf',
    model_family: '',
    model_families: null,
    model_type: '',
    file_type: quantization || 'unknown',
    architecture: 'amd64',
    os: 'linux',
  }
}

/** What the user can do about it; the hub tells a stranger 401 of what is gated, private or not there at all. */
function refusal({ status, headers }: RegistryResponse, endpoint: string, repository: string, hasToken: boolean): RegistryError {
  const page = `${endpoint}/${repository}`
  const gated = headers['x-error-code'] === 'GatedRepo'
  if (gated && !hasToken) {
    return new RegistryError(`${repository} is gated: accept its terms at ${page}, then give a token of your account in HF_TOKEN`, {
      status,
      isTemporary: false,
    })
  }
  if (gated || status === 403) return new RegistryError(`your token may not read ${repository}: ask for access at ${page}`, { status, isTemporary: false })
  if (status === 401 && !hasToken) {
    return new RegistryError(`${repository} does not exist, or is private: for your own, give a token of your account in HF_TOKEN`, {
      status,
      isTemporary: false,
    })
  }
  if (status === 401) return new RegistryError('the hub does not know your token: check HF_TOKEN', { status, isTemporary: false })
  return new RegistryError('file does not exist', { status, isTemporary: false })
}
