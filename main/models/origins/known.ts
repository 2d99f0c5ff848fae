import path from 'node:path'

export type OriginKind = 'ollama' | 'lm-studio' | 'hugging-face' | 'llama.cpp' | 'folder'

/** A folder with models that is looked at and never written. */
export interface OriginFolder {
  /** Stands for the host in names, so it is a valid one; each folder has its own. */
  id: string
  kind: OriginKind
  /** Whose it is, as a sentence says it. */
  owner: string
  folder: string
}

export interface KnownPlaces {
  home: string
  platform: NodeJS.Platform
  /** `HF_HUB_CACHE`, `HF_HOME`, `LLAMA_CACHE` and `XDG_CACHE_HOME`; '' where unset. */
  hubCache: string
  hubHome: string
  llamaCache: string
  userCache: string
}

/** Where other programs keep models unless told otherwise, in the order in which they win a name. */
export function knownFolders({ home, platform, hubCache, hubHome, llamaCache, userCache }: KnownPlaces): OriginFolder[] {
  const { join } = platform === 'win32' ? path.win32 : path.posix
  const cache = userCache || join(home, '.cache')
  const llamaFolders = { darwin: join(home, 'Library', 'Caches', 'llama.cpp'), win32: join(home, 'AppData', 'Local', 'llama.cpp') } as Partial<
    Record<NodeJS.Platform, string>
  >
  const of = (id: string, kind: OriginKind, owner: string, folder: string): OriginFolder => ({ id, kind, owner, folder })
  return [
    of('ollama', 'ollama', 'Ollama', join(home, '.ollama', 'models')),
    ...(platform === 'linux' ? [of('ollama-service', 'ollama', 'Ollama (system service)', '/usr/share/ollama/.ollama/models')] : []),
    of('lm-studio', 'lm-studio', 'LM Studio', join(home, '.lmstudio', 'models')),
    of('lm-studio-old', 'lm-studio', 'LM Studio', join(home, '.cache', 'lm-studio', 'models')),
    of('hugging-face', 'hugging-face', 'the Hugging Face cache', hubCache || join(hubHome || join(cache, 'huggingface'), 'hub')),
    of('llama.cpp', 'llama.cpp', "llama.cpp's cache", llamaCache || (llamaFolders[platform] ?? join(cache, 'llama.cpp'))),
  ]
}

/** Folders that the user named, each with an id made from its last part. */
export function userFolders(folders: readonly string[], known: readonly OriginFolder[]): OriginFolder[] {
  const taken = new Set(['store', 'bundled', 'file', ...known.map(({ id }) => id)])
  const elsewhere = new Set(known.map(({ folder }) => path.resolve(folder)))
  return folders.flatMap((given) => {
    const folder = path.resolve(given)
    if (elsewhere.has(folder)) return []
    elsewhere.add(folder)
    const base =
      path
        .basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 60) || 'folder'
    let id = base
    for (let number = 2; taken.has(id); number++) id = `${base}-${number}`
    taken.add(id)
    return [{ id, kind: 'folder' as const, owner: `the folder ${folder}`, folder }]
  })
}
