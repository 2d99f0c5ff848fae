import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { normalizeDigest } from './blobs.ts'
import { diskError, replaceFile } from './disk.ts'
import { type ModelName, manifestPath, nameOfParts, pathParts } from './name.ts'

/** Media types of a manifest, its config and its layers. */
export const mediaTypes = {
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  model: 'application/vnd.ollama.image.model',
  projector: 'application/vnd.ollama.image.projector',
  adapter: 'application/vnd.ollama.image.adapter',
  draft: 'application/vnd.ollama.image.draft',
  template: 'application/vnd.ollama.image.template',
  system: 'application/vnd.ollama.image.system',
  params: 'application/vnd.ollama.image.params',
  messages: 'application/vnd.ollama.image.messages',
  license: 'application/vnd.ollama.image.license',
} as const

const Digest = z.string().transform((text, context) => {
  const digest = normalizeDigest(text)
  if (digest !== null) return digest
  context.addIssue('not a sha256 digest')
  return z.NEVER
})

const ManifestLayer = z.object({
  mediaType: z.string(),
  digest: Digest,
  size: z.number().int().nonnegative(),
  /** Name of the model that the layer came with. */
  from: z.string().optional(),
  name: z.string().optional(),
})

export const Manifest = z.object({
  schemaVersion: z.number().default(2),
  mediaType: z.string().default(mediaTypes.manifest),
  config: ManifestLayer,
  layers: z
    .array(ManifestLayer)
    .nullish()
    .transform((layers) => layers ?? []),
})
export type Manifest = z.infer<typeof Manifest>
export type ManifestLayer = z.infer<typeof ManifestLayer>

/** The blob that a manifest calls its config; published ones carry more keys, which are ignored. */
export const ModelConfig = z.object({
  model_format: z.string().default(''),
  model_family: z.string().default(''),
  model_families: z
    .array(z.string())
    .nullish()
    .transform((families) => families ?? []),
  /** Number of parameters, as shown. */
  model_type: z.string().default(''),
  /** Quantisation, as shown. */
  file_type: z.string().default(''),
  renderer: z.string().optional(),
  parser: z.string().optional(),
  requires: z.string().optional(),
  remote_host: z.string().optional(),
  remote_model: z.string().optional(),
  capabilities: z.array(z.string()).nullish(),
  context_length: z.number().optional(),
  embedding_length: z.number().optional(),
  base_name: z.string().optional(),
})
export type ModelConfig = z.infer<typeof ModelConfig>

/** Real manifests have a few hundred bytes. */
const maxManifestBytes = 1024 * 1024

export function parseManifest(bytes: Uint8Array): Manifest {
  return parseJson(Manifest, bytes)
}

export function parseConfig(bytes: Uint8Array): ModelConfig {
  return parseJson(ModelConfig, bytes)
}

function parseJson<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  if (bytes.length > maxManifestBytes) throw new Error(`larger than ${maxManifestBytes} bytes`)
  const result = schema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new Error(`${issue?.path.join('.') || 'manifest'}: ${issue?.message ?? 'invalid'}`)
}

/** The manifest as text, as Ollama writes it. */
export function formatManifest({ schemaVersion, mediaType, config, layers }: Manifest): string {
  return JSON.stringify({ schemaVersion, mediaType, config, layers })
}

/** A manifest on the disk. */
export interface StoredManifest {
  name: ModelName
  file: string
  modifiedAt: Date
  /** sha256 hex of the file. */
  digest: string
  bytes: Uint8Array
  manifest: Manifest
}

/** A file where a manifest should be, and why it is none. */
export interface BrokenManifest {
  name: ModelName
  file: string
  modifiedAt: Date
  problem: string
}

interface Found {
  name: ModelName
  file: string
}

/**
 * The folder `manifests/` of a models folder: `<host>/<namespace>/<model>/<tag>`.
 *
 * Its many small files are looked at synchronously: a thousand take milliseconds so, and ten times as long through the thread pool.
 */
export class ManifestStore {
  readonly folder: string
  readonly #cache = new Map<string, { stats: Stats; read: StoredManifest | BrokenManifest }>()

  constructor(root: string) {
    this.folder = path.join(root, 'manifests')
  }

  list(): (StoredManifest | BrokenManifest)[] {
    const found = this.#walk()
    const manifests = found.map((one) => this.#read(one)).filter((read) => read !== null)
    const files = new Set(found.map(({ file }) => file))
    for (const file of this.#cache.keys()) if (!files.has(file)) this.#cache.delete(file)
    return manifests
  }

  /** The manifest of `name`, whatever the case of its letters; the name comes back as it is spelled on the disk. */
  find(name: ModelName): StoredManifest | BrokenManifest | null {
    return this.#read(this.#locate(name))
  }

  /** Writes the manifest byte for byte as given; parts of the name that exist in another case keep their spelling. */
  async write(name: ModelName, bytes: Uint8Array): Promise<ModelName> {
    const { file, name: spelled } = this.#locate(name)
    await replaceFile(file, bytes)
    this.#cache.delete(file)
    return spelled
  }

  /** Removes the manifest and the folders that it leaves empty. */
  async remove({ file }: Found): Promise<void> {
    this.#cache.delete(file)
    await rm(file, { force: true }).catch((error: unknown) => {
      throw diskError(error, path.dirname(file))
    })
    for (let folder = path.dirname(file); folder !== this.folder; folder = path.dirname(folder)) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false, // Not empty, or no longer there.
      )
      if (!removed) return
    }
  }

  #walk(): Found[] {
    const found: Found[] = []
    for (const host of folders(this.folder)) {
      for (const namespace of folders(path.join(this.folder, host))) {
        for (const model of folders(path.join(this.folder, host, namespace))) {
          const folder = path.join(this.folder, host, namespace, model)
          for (const tag of names(folder)) {
            const name = nameOfParts(host, namespace, model, tag)
            if (name !== null) found.push({ name, file: path.join(folder, tag) })
          }
        }
      }
    }
    return found
  }

  #locate(name: ModelName): Found {
    const exact = manifestPath(this.folder, name)
    let folder = this.folder
    const spelled = pathParts(name).map((part) => {
      const existing = names(folder)
      const lower = part.toLowerCase()
      const spelling = existing.includes(part) ? part : (existing.find((other) => other.toLowerCase() === lower) ?? part)
      folder = path.join(folder, spelling)
      return spelling
    }) as [string, string, string, string]
    const found = nameOfParts(...spelled)
    return found === null ? { name, file: exact } : { name: found, file: manifestPath(this.folder, found) }
  }

  #read({ name, file }: Found): StoredManifest | BrokenManifest | null {
    let stats: Stats | undefined
    try {
      stats = statSync(file, { throwIfNoEntry: false })
    } catch (error) {
      // A loop of links, or a folder that may not be entered: it may name any blob.
      return { name, file, modifiedAt: new Date(0), problem: `it cannot be read (${(error as NodeJS.ErrnoException).code})` }
    }
    if (stats === undefined || stats.isDirectory()) return null
    const cached = this.#cache.get(file)
    if (cached && cached.stats.mtimeMs === stats.mtimeMs && cached.stats.size === stats.size && cached.stats.ino === stats.ino) return cached.read
    const read = readManifest({ name, file }, stats)
    this.#cache.set(file, { stats, read })
    return read
  }
}

function readManifest({ name, file }: Found, stats: Stats): StoredManifest | BrokenManifest {
  const modifiedAt = stats.mtime
  try {
    if (!stats.isFile()) throw new Error('not a file')
    if (stats.size > maxManifestBytes) throw new Error(`larger than ${maxManifestBytes} bytes`)
    const bytes = readFileSync(file)
    const digest = createHash('sha256').update(bytes).digest('hex')
    return { name, file, modifiedAt, digest, bytes, manifest: parseManifest(bytes) }
  } catch (error) {
    return { name, file, modifiedAt, problem: error instanceof Error ? error.message : String(error) }
  }
}

export function isBroken(manifest: StoredManifest | BrokenManifest): manifest is BrokenManifest {
  return 'problem' in manifest
}

export function brokenError({ file, problem }: BrokenManifest): AppError {
  return new AppError('invalid-model', `the manifest ${file} is damaged: ${problem}; delete the model and get it again`)
}

function folders(folder: string): string[] {
  return names(folder).filter((name) => !name.startsWith('.'))
}

/** Names in a folder; none when it is not one. */
function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw new AppError('unavailable', `the models folder ${folder} cannot be read (${code})`, { cause: error })
  }
}
