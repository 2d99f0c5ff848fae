import { createHash } from 'node:crypto'
import { constants, copyFile, lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { criaFile, minilmFile } from './library.ts'

/** Copies a file there: a link would share times and counts with other tests'. */
export async function place(file: string, target: string): Promise<string> {
  await mkdir(path.dirname(target), { recursive: true })
  await copyFile(file, target, constants.COPYFILE_FICLONE)
  return target
}

async function text(file: string, content: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, content)
}

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex')

/** A store as Ollama writes it: cria under its own name, with a template, a system text and parameters of its own. */
export async function makeOllamaStore(root: string, name = 'registry.ollama.ai/library/llama-tiny/latest', system = 'Be brief.'): Promise<void> {
  const blob = async (content: string) => {
    await text(path.join(root, 'blobs', `sha256-${sha256(content)}`), content)
    return { digest: `sha256:${sha256(content)}`, size: content.length }
  }
  const weights = await readFile(criaFile)
  await place(criaFile, path.join(root, 'blobs', `sha256-${sha256(weights)}`))
  const layer = (kind: string, of: { digest: string; size: number }) => ({ mediaType: `application/vnd.ollama.image.${kind}`, ...of })
  const config = await blob(
    JSON.stringify({
      model_format: 'gguf',
      model_family: 'llama',
      model_families: ['llama'],
      model_type: '3.3M',
      file_type: 'Q8_0',
      architecture: 'amd64',
      os: 'linux',
    }),
  )
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...config },
    layers: [
      layer('model', { digest: `sha256:${sha256(weights)}`, size: weights.length }),
      layer('template', await blob('{{ .System }} {{ .Prompt }}')),
      layer('system', await blob(system)),
      layer('params', await blob('{"temperature":0.5,"stop":["END"]}')),
      layer('license', await blob('Do as you like.')),
    ],
  }
  await text(path.join(root, 'manifests', name), JSON.stringify(manifest))
}

/** LM Studio's folder: a chat model, an embedding model, and what it keeps beside them. */
export async function makeLmStudioFolder(root: string): Promise<void> {
  await place(criaFile, path.join(root, 'lmstudio-community', 'Cria-3M-GGUF', 'Cria-3M-Q8_0.gguf'))
  await place(minilmFile, path.join(root, 'second-state', 'All-MiniLM-L6-v2-Embedding-GGUF', 'all-MiniLM-L6-v2-Q8_0.gguf'))
  await text(path.join(root, 'lmstudio-community', 'Cria-3M-GGUF', 'downloading_Cria-3M-F16.gguf.part'), 'half')
  await text(path.join(root, 'lmstudio-community', 'Cria-3M-GGUF', 'README.md'), '# Cria')
  await text(path.join(path.dirname(root), '.internal', 'model-index-cache.json'), '{}')
}

/** The Hugging Face cache: snapshots of two revisions as links to blobs, of which `refs/main` names the first. */
export async function makeHubCache(root: string): Promise<void> {
  const repository = path.join(root, 'models--someone--Cria-GGUF')
  const digest = sha256(await readFile(criaFile))
  await place(criaFile, path.join(repository, 'blobs', digest))
  await text(path.join(repository, 'blobs', '0123456789012345678901234567890123456789'), 'a readme')
  for (const [revision, name] of [
    ['aaaa', 'cria-Q8_0.gguf'],
    ['bbbb', 'cria-old-Q8_0.gguf'],
  ] as const) {
    await mkdir(path.join(repository, 'snapshots', revision), { recursive: true })
    await symlink(path.join('..', '..', 'blobs', digest), path.join(repository, 'snapshots', revision, name))
    await symlink(path.join('..', '..', 'blobs', '0123456789012345678901234567890123456789'), path.join(repository, 'snapshots', revision, 'README.md'))
  }
  await text(path.join(repository, 'refs', 'main'), 'aaaa')
  await text(path.join(root, 'version.txt'), '1')
}

/** llama.cpp's cache: flat files, with what its versions leave beside them. */
export async function makeLlamaCache(root: string): Promise<void> {
  const old = await place(criaFile, path.join(root, 'some_one_my_Cria_cria-q8_0.gguf'))
  await text(`${old}.json`, JSON.stringify({ etag: '"x"', lastModified: '', url: 'https://huggingface.co/some_one/my_Cria/resolve/main/cria-q8_0.gguf' }))
  const fresh = await place(minilmFile, path.join(root, 'ggml-org_all-MiniLM-GGUF_all-minilm-q8_0.gguf'))
  await text(`${fresh}.etag`, '"abc"')
  await text(path.join(root, 'manifest=ggml-org=all-MiniLM-GGUF=latest.json'), '{}')
}

export interface Print {
  mtimeMs: number
  ctimeMs: number
  size: number
  mode: number
  ino: number
  nlink: number
  content: string
}

/** All there is to know of a folder's content: kinds, sizes, times (of links to files too), hashes. Access times are the reader's. */
export async function fingerprint(root: string): Promise<Record<string, Print>> {
  const seen: Record<string, Print> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name)
    const { mtimeMs, ctimeMs, size, mode, ino, nlink } = await lstat(file)
    const content = entry.isSymbolicLink() ? await readlink(file) : entry.isFile() ? sha256(await readFile(file)) : 'folder'
    seen[path.relative(root, file)] = { mtimeMs, ctimeMs, size, mode, ino, nlink, content }
  }
  return seen
}
