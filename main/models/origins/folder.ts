import path from 'node:path'
import { readSmallFile } from '../small-file.ts'
import type { FileFacts } from './facts.ts'
import { isGguf, modelsOf, type PlacedFile, stemOf } from './gguf-files.ts'
import type { Scan } from './scanned.ts'
import { type FoundFile, findFiles } from './walk.ts'

/** GGUF files below a folder at any depth. */
export function scanFolder(root: string, origin: string, facts: FileFacts): Scan {
  return scanPlaces(root, origin, facts, (file) => placeInFolder(root, file))
}

/** LM Studio's folder, `publisher/repository/file.gguf`, wherever its settings say that it is. */
export function scanLmStudio(root: string, origin: string, facts: FileFacts): Scan {
  return async (signal) => {
    const folder = await downloadsFolder(path.join(path.dirname(root), 'settings.json'))
    return scanFolder(folder ?? root, origin, facts)(signal)
  }
}

/** llama.cpp's flat cache. */
export function scanLlamaCpp(root: string, origin: string, facts: FileFacts): Scan {
  return scanPlaces(root, origin, facts, placeInLlamaCache)
}

function scanPlaces(root: string, origin: string, facts: FileFacts, placeOf: (file: FoundFile) => PlacedFile['place'] | Promise<PlacedFile['place']>): Scan {
  return async (signal) => {
    const { found, warnings } = await findFiles(root, isGguf, signal)
    const placed: PlacedFile[] = []
    for (const file of found) placed.push({ ...file, place: await placeOf(file), digest: null })
    const models = await modelsOf(placed, origin, facts, signal)
    facts.tidy()
    return { found: models.found, warnings: [...warnings, ...models.warnings] }
  }
}

/** The folder that a file lies in names it; the one above tells apart. */
export function placeInFolder(root: string, { folders, name }: Pick<FoundFile, 'folders' | 'name'>): PlacedFile['place'] {
  const above = [path.basename(root), ...folders]
  return { namespace: above.at(-1) ?? '', publisher: above.at(-2) ?? null, stem: stemOf(name) }
}

/** `user_repository_file.gguf`; the JSON that older versions leave beside it says where user, repository and file begin. */
async function placeInLlamaCache({ file, name }: FoundFile): Promise<PlacedFile['place']> {
  const [, publisher, namespace, stem] = (await sourceOf(`${file}.json`)) ?? /^([^_]+)_(.+?[-_]gguf|[^_]+)_(.+)$/i.exec(stemOf(name)) ?? []
  if (publisher === undefined || namespace === undefined || stem === undefined) return { namespace: 'llama-cpp', publisher: null, stem: stemOf(name) }
  return { namespace, publisher, stem: stemOf(stem) }
}

async function sourceOf(file: string): Promise<RegExpExecArray | null> {
  const { url } = (await readSmallJson(file)) ?? {}
  return typeof url === 'string' ? /^https?:\/\/[^/]+\/([^/]+)\/([^/]+)\/resolve\/[^/]+\/(?:.*\/)?([^/?]+)/.exec(url) : null
}

async function downloadsFolder(file: string): Promise<string | null> {
  const { downloadsFolder: folder } = (await readSmallJson(file)) ?? {}
  return typeof folder === 'string' && path.isAbsolute(folder) ? folder : null
}

/** An object of another program's; null where there is none, or none that can be read. */
async function readSmallJson(file: string): Promise<Record<string, unknown> | null> {
  try {
    const value: unknown = JSON.parse((await readSmallFile(file)).toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    // Only a hint: without it the place is told by the usual rule.
    return null
  }
}
