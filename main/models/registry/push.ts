import { digestOfFile } from '../blobs.ts'
import { bytesOf } from '../file-bytes.ts'
import type { Library } from '../library.ts'
import { formatManifest, parseManifest } from '../manifest.ts'
import { displayName, type ModelName, nameKey, parseName } from '../name.ts'
import type { Entry, Layer } from '../origin.ts'
import { type RegistryClient, registryUrl } from './client.ts'
import { RegistryError } from './errors.ts'
import { type Move, moveBlobs, type TransferProgress } from './pieces.ts'
import { retryRules, withRetries } from './retry.ts'
import { type BlobToPush, putManifest, Upload, type UploadRules } from './upload.ts'
import { UploadSessions } from './upload-sessions.ts'

export interface PushRequest {
  name: ModelName
  /** Plain HTTP. */
  insecure: boolean
}

export interface PushOptions {
  library: Pick<Library, 'find' | 'store'>
  client: RegistryClient
  /** Where unfinished uploads are noted. */
  sessionsFile: string
  rules?: UploadRules
}

/** Brings a model into the registry that its name speaks of. */
export type Push = (request: PushRequest, signal: AbortSignal) => AsyncIterable<TransferProgress>

interface PushParts {
  library: Pick<Library, 'find' | 'store'>
  client: RegistryClient
  sessions: UploadSessions
  rules: UploadRules
  /** One upload at a time of each blob to each repository, whoever asks. */
  turns: Turns
}

const uploadRules: UploadRules = { parts: { count: 16, minBytes: 32 * 2 ** 20, maxBytes: 1000 * 2 ** 20 }, retries: retryRules }

export function createPush({ library, client, sessionsFile, rules = uploadRules }: PushOptions): Push {
  const parts = { library, client, sessions: new UploadSessions(sessionsFile), rules, turns: new Turns() }
  return (request, signal) => pushModel(parts, request, signal)
}

/** Blobs at a time. */
const together = 4

/**
 * Yields what it does, `success` last.
 *
 * The manifest goes last, so that nobody sees a model of which a part is missing. What the registry has taken when the signal aborts counts the next time.
 */
async function* pushModel(
  { library, client, sessions, rules, turns }: PushParts,
  { name, insecure }: PushRequest,
  signal: AbortSignal,
): AsyncGenerator<TransferProgress, void> {
  yield { status: 'retrieving manifest' }
  const found = await library.find(name)
  if (found === null) {
    yield { status: "couldn't retrieve manifest" }
    throw new RegistryError(`model '${displayName(name)}' not found`, { isTemporary: false })
  }
  // Who deletes the model meanwhile takes nothing from those who are being sent it.
  using pins = new DisposableStack()
  for (const { digest } of [found.configBlob, ...found.layers]) pins.use(library.store.pin(digest))
  const entry = await withDigests(found, signal)
  const repository = registryUrl(name, '', { insecure })
  await requireAnswer(client, repository, entry, signal)
  const move: Move<BlobToPush> = async (blob, follow, either) => {
    using _turn = await turns.take(`${repository.href} ${blob.digest}`, either)
    const upload = new Upload({ client, repository, blob, sessions, rules })
    follow(() => upload.completedBytes)
    await upload.run(either)
  }
  yield* moveBlobs(blobsOf(entry, name), { verb: 'pushing', together }, move, signal)
  yield { status: 'pushing manifest' }
  await withRetries(
    rules.retries,
    () => 0,
    () => putManifest(client, repository, name.tag, entry.manifest, signal),
    signal,
  )
  yield { status: 'success' }
}

/** Throws when nobody answers there: a wrong name or a registry that is off is told at once; what fails later is tried again. */
async function requireAnswer(client: RegistryClient, repository: URL, { configBlob }: Entry, signal: AbortSignal): Promise<void> {
  const url = new URL(`blobs/${configBlob.digest}`, repository)
  try {
    using _answer = await client.request(url, { method: 'HEAD', expect: [404] }, signal)
  } catch (error) {
    if (!(error instanceof RegistryError && error.isTemporary && error.status !== null)) throw error
  }
}

/** Each blob of a model once, the config last as the peer sends it. */
function blobsOf({ layers, configBlob }: Entry, name: ModelName): BlobToPush[] {
  const blobs = new Map<string, BlobToPush>()
  for (const layer of layers) {
    const { digest, sizeBytes, file } = layer
    blobs.set(digest, {
      digest,
      sizeBytes,
      open: (start, end) => bytesOf(file, undefined, { start, end }),
      mountFrom: mountFrom(layer, name),
    })
  }
  const { digest, bytes } = configBlob
  blobs.set(digest, {
    digest,
    sizeBytes: bytes.length,
    open: async function* (start, end) {
      yield bytes.subarray(start, end)
    },
    mountFrom: null,
  })
  return [...blobs.values()]
}

/** The repository that a layer came from, if it is one of the same registry. */
function mountFrom({ from }: Layer, name: ModelName): string | null {
  const origin = from === null ? null : parseName(from)
  if (origin === null || origin.host.toLowerCase() !== name.host.toLowerCase() || nameKey({ ...origin, tag: name.tag }) === nameKey(name)) return null
  return `${origin.namespace}/${origin.model}`
}

/** The entry with true digests: of files of other programs nobody may have counted the bytes yet. */
async function withDigests(entry: Entry, signal: AbortSignal): Promise<Entry> {
  if (!entry.layers.some(({ unhashed }) => unhashed)) return entry
  const digests = new Map<string, string>()
  for (const { digest, file, unhashed } of entry.layers) if (unhashed) digests.set(digest, await digestOfFile(file, signal))
  const named = <T extends { digest: string }>(layer: T): T => ({ ...layer, digest: digests.get(layer.digest) ?? layer.digest })
  const manifest = parseManifest(entry.manifest)
  return { ...entry, manifest: Buffer.from(formatManifest({ ...manifest, layers: manifest.layers.map(named) })), layers: entry.layers.map(named) }
}

/** Lets one in at a time for each key. */
class Turns {
  readonly #tails = new Map<string, Promise<void>>()

  async take(key: string, signal: AbortSignal): Promise<Disposable> {
    const mine = Promise.withResolvers<void>()
    const before = this.#tails.get(key)
    const tail = Promise.all([before, mine.promise]).then(() => undefined)
    this.#tails.set(key, tail)
    void tail.then(() => this.#tails.get(key) === tail && this.#tails.delete(key))
    const aborted = Promise.withResolvers<never>()
    const abort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    try {
      signal.throwIfAborted()
      await Promise.race([before, aborted.promise])
    } catch (error) {
      mine.resolve()
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
    return { [Symbol.dispose]: () => mine.resolve() }
  }
}
