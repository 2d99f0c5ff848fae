import { createHash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { BlobStore } from '../blobs.ts'
import type { InspectTemplates } from '../capabilities.ts'
import { describeEntry, describeOnce } from '../describe.ts'
import { HeaderCache, identity } from '../headers.ts'
import type { KeptFacts } from '../kept-facts.ts'
import { type Manifest, type ManifestLayer, mediaTypes, parseConfig, parseManifest } from '../manifest.ts'
import type { ModelProblem } from '../model.ts'
import { nameOfParts } from '../name.ts'
import type { Entry, Layer } from '../origin.ts'
import { readBlob, readSmallFile } from '../small-file.ts'
import type { Scan } from './scanned.ts'
import { isMissing, unreadable } from './walk.ts'

const maxManifests = 10_000

/** The store of another Ollama (or another Paddock), read only: its names, manifests and layers as they are. */
export function scanOllama(root: string, origin: string, inspect: InspectTemplates, kept: KeptFacts | null = null): Scan {
  const blobs = new BlobStore(root)
  const headers = new HeaderCache()
  let known = new Map<string, Entry>()

  return async (signal) => {
    const warnings: string[] = []
    const found: Entry[] = []
    const next = new Map<string, Entry>()
    for (const parts of await manifestFiles(root, signal, warnings)) {
      signal.throwIfAborted()
      const file = path.join(root, 'manifests', ...parts)
      try {
        const { mtime, size } = await stat(file)
        const key = [file, mtime.getTime(), size].join('\0')
        const entry = known.get(key) ?? (await readEntry(parts, mtime))
        if (entry === null) continue
        next.set(key, entry)
        const state = await stateOfWeights(entry)
        if (typeof state !== 'string') found.push({ ...entry, problem: state })
        else {
          entry.described ??= await describeOnce(`${entry.digest} ${state}`, kept, () => describeEntry(entry, headers, inspect))
          found.push(entry)
        }
      } catch (error) {
        signal.throwIfAborted()
        warnings.push(`${file} is left out: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    known = next
    return { found, warnings }
  }

  async function readEntry(parts: [string, string, string, string], modifiedAt: Date): Promise<Entry | null> {
    const name = nameOfParts(...parts)
    if (name === null) return null
    const bytes = await readSmallFile(path.join(root, 'manifests', ...parts))
    const manifest = parseManifest(bytes)
    const configBytes = await readBlob(blobs.path(manifest.config.digest), manifest.config.digest)
    return {
      name,
      origin,
      digest: createHash('sha256').update(bytes).digest('hex'),
      manifest: bytes,
      sizeBytes: sizeOf(manifest),
      modifiedAt,
      config: parseConfig(configBytes),
      configBlob: { digest: manifest.config.digest, bytes: configBytes },
      layers: manifest.layers.map(layerOf),
    }
  }

  function layerOf({ mediaType, digest, size, from }: ManifestLayer): Layer {
    return { mediaType, digest, sizeBytes: size, file: blobs.path(digest), from: from ?? null }
  }
}

function sizeOf({ config, layers }: Manifest): number {
  return layers.reduce((sum, layer) => sum + layer.size, config.size)
}

/** The four path parts of every file where a manifest may be. */
async function manifestFiles(root: string, signal: AbortSignal, warnings: string[]): Promise<[string, string, string, string][]> {
  let level: string[][] = [[]]
  for (let depth = 0; depth < 4; depth++) {
    const next: string[][] = []
    for (const parts of level) {
      signal.throwIfAborted()
      const folder = path.join(root, 'manifests', ...parts)
      for (const entry of await sortedEntries(folder, warnings)) {
        if (!entry.name.startsWith('.') && entry.isDirectory() === depth < 3) next.push([...parts, entry.name])
      }
      if (next.length <= maxManifests) continue
      warnings.push(`${root} holds more than ${maxManifests} models: not all of them are listed`)
      break
    }
    level = next.slice(0, maxManifests)
  }
  return level as [string, string, string, string][]
}

async function sortedEntries(folder: string, warnings: string[]): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    if (!isMissing(error)) warnings.push(unreadable(folder, error))
    return []
  }
}

/** What identifies the present state of the weights, or why they cannot be run. Only what is needed to run counts: a licence that is gone keeps nobody from it. */
async function stateOfWeights({ layers }: Entry): Promise<string | ModelProblem> {
  const states: string[] = []
  for (const { mediaType, file, sizeBytes } of layers) {
    const isNeeded = mediaType === mediaTypes.model || mediaType === mediaTypes.adapter
    const stats = await stat(file).catch((error: unknown) => {
      if (isMissing(error) || !isNeeded) return null
      throw error
    })
    if (isNeeded && stats?.size !== sizeBytes) {
      return { state: 'incomplete', text: `its file ${file} ${stats === null ? 'is missing' : `has ${stats.size} bytes, not ${sizeBytes}`}` }
    }
    states.push(stats === null ? file : identity(file, stats))
  }
  return states.join('\n')
}
