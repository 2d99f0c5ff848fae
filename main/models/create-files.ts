import { AppError } from '../errors.ts'
import { normalizeDigest } from './blobs.ts'
import type { GgufHeader } from './gguf-header.ts'
import type { Library } from './library.ts'
import { type ManifestLayer, mediaTypes } from './manifest.ts'

/** An uploaded GGUF file, or all parts of one in their order, checked, as the layers that they will be. */
export interface ImportedFile {
  layers: ManifestLayer[]
  /** One for all parts. */
  header: GgufHeader
  files: string[]
}

/** One file, which may be a part. */
interface UploadedFile {
  /** As the client calls it. */
  name: string
  layer: ManifestLayer
  header: GgufHeader
  file: string
}

/** Files are named as on the client's disk, but never reach ours under these names; whatever is not a plain relative path is refused. */
export function checkPaths(files: Record<string, string>): void {
  for (const file of Object.keys(files)) {
    const parts = file.split('/')
    const plain = parts.every((part) => part !== '' && part !== '.' && part !== '..') && !/[\\\0]|^[A-Za-z]:/.test(file)
    if (!plain) throw new AppError('invalid-request', 'file path must be relative')
  }
}

/** Looks at each blob: it must be a GGUF file whose header stands up to the checks. Pins keep the blobs until a manifest names them. */
export async function importFiles(library: Library, files: Record<string, string>, pins: DisposableStack): Promise<ImportedFile[]> {
  const whole: ImportedFile[] = []
  const parts: UploadedFile[] = []
  for (const [name, text] of Object.entries(files)) {
    const digest = normalizeDigest(text)
    // The protocol answers 500 to these two, as its server finds out while it works.
    if (digest === null) throw new AppError('invalid-model', 'invalid digest format')
    pins.use(library.store.pin(digest))
    if (!(await library.store.blobs.has(digest))) {
      throw new AppError('invalid-model', `the blob ${digest} of ${JSON.stringify(name)} is not here; upload it first with POST /api/blobs/${digest}`)
    }
    const { layer, header, file } = await importFile(library, name, digest)
    if (header.splitCount > 1) parts.push({ name, layer, header, file })
    else whole.push({ layers: [layer], header, files: [file] })
  }
  return parts.length === 0 ? whole : [await joined(library, parts), ...whole]
}

async function joined(library: Library, uploaded: UploadedFile[]): Promise<ImportedFile> {
  const parts = uploaded.toSorted((a, b) => a.header.splitIndex - b.header.splitIndex)
  const [first] = parts as [UploadedFile]
  const { splitCount } = first.header
  const missing = Array.from({ length: splitCount }, (_, at) => at).filter((at) => !parts.some(({ header }) => header.splitIndex === at))
  if (missing.length > 0 || parts.length !== splitCount || parts.some(({ header }) => header.splitCount !== splitCount)) {
    const some = missing.slice(0, 5).map((at) => at + 1)
    const more = missing.length > some.length ? ` and ${missing.length - some.length} more are missing` : ' is missing'
    const lacking = missing.length > 0 ? `part ${some.join(', ')}${more}` : 'the others are of another model, or the same again'
    throw new AppError('invalid-request', `${JSON.stringify(first.name)} is one of ${splitCount} parts of a model: ${lacking}`)
  }
  const files = parts.map(({ file }) => file)
  return { layers: parts.map(({ layer }) => ({ ...layer, mediaType: mediaTypes.model })), header: await library.header(...files), files }
}

async function importFile(library: Library, name: string, digest: string): Promise<Omit<UploadedFile, 'name'>> {
  const file = library.store.blobs.path(digest)
  await checkMagic(library, name, digest)
  const header = await library.header(file)
  return { layer: { mediaType: mediaTypeOf(header), digest, size: header.sizeBytes }, header, file }
}

function mediaTypeOf({ architecture, type }: GgufHeader): string {
  if (architecture === 'clip' || type === 'mmproj' || type === 'projector') return mediaTypes.projector
  return type === 'adapter' ? mediaTypes.adapter : mediaTypes.model
}

async function checkMagic(library: Library, name: string, digest: string): Promise<void> {
  await using handle = await library.store.blobs.open(digest)
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(16), 0, 16, 0)
  const head = buffer.toString('latin1', 0, bytesRead)
  if (head.startsWith('GGUF')) return
  if (name.endsWith('.safetensors') || head.startsWith('{"', 8)) {
    throw new AppError(
      'not-implemented',
      `${JSON.stringify(name)} is in the safetensors format, which cannot be converted here; convert it with llama.cpp's convert_hf_to_gguf.py first`,
    )
  }
  throw new AppError('invalid-request', name.endsWith('.gguf') ? 'supplied file was not in GGUF format' : 'unknown type')
}
