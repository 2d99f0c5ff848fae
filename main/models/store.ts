import { existsSync, readdirSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { AppError } from '../errors.ts'
import type { Log } from '../lib/log.ts'
import { BlobStore, digestOf, normalizeDigest, type StoredBlob } from './blobs.ts'
import { diskError, makeFolder } from './disk.ts'
import { identity } from './headers.ts'
import {
  type BrokenManifest,
  brokenError,
  isBroken,
  type Manifest,
  ManifestStore,
  type ModelConfig,
  parseConfig,
  parseManifest,
  type StoredManifest,
} from './manifest.ts'
import { displayName, type ModelName } from './name.ts'
import type { Entry, Origin } from './origin.ts'
import { readBlob } from './small-file.ts'

const markerName = '.paddock'
const markerText = 'Paddock made this folder and keeps its models here, laid out as Ollama does. Blobs that no manifest names are removed at start.\n'
const hourMs = 3_600_000

/** Our models folder: manifests and blobs, laid out exactly as Ollama's, so that either program can use it. */
export class Store implements Origin {
  readonly id = 'store'
  readonly root: string
  readonly blobs: BlobStore
  readonly manifests: ManifestStore
  readonly #log: Log
  readonly #refuse: (name: ModelName) => void
  readonly #configs = new Map<string, { config: ModelConfig; bytes: Uint8Array }>()
  readonly #reported = new Set<string>()
  readonly #pins = new Map<string, number>()
  /** Blobs that a deleted model has left to those who hold them. */
  readonly #left = new Set<string>()
  /** When somebody was told that a blob is here, in milliseconds since 1970. */
  readonly #offered = new Map<string, number>()
  #tail: Promise<unknown> = Promise.resolve()

  /** @param refuse throws for a name that stands for something else, which is not the disk's to know */
  constructor(root: string, log: Log, refuse: (name: ModelName) => void = () => {}) {
    this.root = root
    this.blobs = new BlobStore(root)
    this.manifests = new ManifestStore(root)
    this.#log = log
    this.#refuse = refuse
  }

  /** Makes the folder when there is none and marks it as ours. One that another program made stays unmarked, and is never tidied. */
  async prepare(): Promise<void> {
    try {
      const fresh = !existsSync(this.root) || readdirSync(this.root).length === 0
      await makeFolder(path.join(this.root, 'blobs'))
      await makeFolder(path.join(this.root, 'manifests'))
      if (fresh) await writeFile(path.join(this.root, markerName), markerText)
    } catch (error) {
      // Reading goes on: models that ship need no folder. A write will say the same to whoever asks for it.
      const reason = diskError(error, this.root)
      this.#log.warn('the models folder cannot be prepared', { folder: this.root, reason: reason instanceof Error ? reason.message : String(reason) })
    }
  }

  get isOurs(): boolean {
    return existsSync(path.join(this.root, markerName))
  }

  async list(): Promise<Entry[]> {
    const entries: Entry[] = []
    for (const manifest of this.manifests.list()) {
      try {
        if (isBroken(manifest)) throw brokenError(manifest)
        entries.push(await this.#entry(manifest))
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        this.#reportOnce(manifest, error)
      }
    }
    return entries
  }

  async resolve(name: ModelName): Promise<Entry | null> {
    const manifest = this.manifests.find(name)
    if (manifest === null) return null
    if (isBroken(manifest)) throw brokenError(manifest)
    return this.#entry(manifest)
  }

  /**
   * Writes a manifest and removes the blobs that only the one before it needed. Every blob must be there.
   *
   * The caller's `pins` are let go in between: from then on the manifest itself holds what it names.
   */
  async put(name: ModelName, manifest: Uint8Array, { prune, pins }: { prune: boolean; pins?: Disposable }): Promise<ModelName> {
    this.#refuse(name)
    return this.#exclusively(async () => {
      const { config, layers } = parseManifest(manifest)
      for (const { digest } of [config, ...layers]) {
        if (!(await this.blobs.has(digest))) {
          throw new AppError('invalid-model', `blob ${digest} is missing: it was removed or a model was deleted meanwhile; try again`)
        }
      }
      const before = this.manifests.find(name)
      const spelled = await this.manifests.write(name, manifest)
      pins?.[Symbol.dispose]()
      for (const { digest } of [config, ...layers]) this.#offered.delete(digest)
      if (before !== null && !isBroken(before) && prune) await this.#release(before.manifest)
      return spelled
    })
  }

  /** Removes the manifest, the folders that it leaves empty, and the blobs that nothing else needs; false when there is none. */
  async delete(name: ModelName): Promise<boolean> {
    return this.#exclusively(async () => {
      const manifest = this.manifests.find(name)
      if (manifest === null) return false
      await this.manifests.remove(manifest)
      if (!isBroken(manifest)) await this.#release(manifest.manifest)
      return true
    })
  }

  /** Keeps these blobs from being removed until disposed: someone is about to name them in a manifest. */
  pin(digest: string): Disposable {
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        const left = (this.#pins.get(digest) ?? 1) - 1
        if (left > 0) this.#pins.set(digest, left)
        else {
          this.#pins.delete(digest)
          if (this.#left.has(digest)) void this.#exclusively(() => this.#removeUnnamed([digest]))
        }
      },
    }
  }

  /** Whether a blob is here, for somebody who then need not send it: it stays for an hour, or until a manifest names it. */
  async offers(digest: string): Promise<boolean> {
    if (!(await this.blobs.has(digest))) return false
    this.#offered.set(normalizeDigest(digest) ?? digest, Date.now())
    return true
  }

  /**
   * Housekeeping at start: blobs that no manifest names go once they are an hour old, as do remains of writes.
   *
   * Does nothing in a folder that is not ours, and leaves all blobs while a manifest cannot be read: it may name them.
   */
  async tidy({ prune, now = Date.now() }: { prune: boolean; now?: number }): Promise<void> {
    if (!this.isOurs) return
    await this.#exclusively(async () => {
      const unneeded = prune ? await this.#unneeded(now) : null
      await this.blobs.removeAbandoned(now - hourMs)
      for (const { digest, sizeBytes } of unneeded ?? []) {
        if (!(await this.#removeUnheld(digest))) continue
        this.#log.info('removed a blob that no model needs', { digest, bytes: sizeBytes })
      }
    })
  }

  /**
   * Removes the blobs that no model needs, and begun ones that no download in the list is going on with, an hour old or older: a younger one may be part of a
   * model that is being made. Gives what was removed, or with `dryRun` what would be.
   *
   * Throws `forbidden` where another program made the folder, and `conflict` while a manifest cannot be read.
   */
  async prune({ dryRun = false, now = Date.now() }: { dryRun?: boolean; now?: number } = {}): Promise<StoredBlob[]> {
    if (!this.isOurs) throw new AppError('forbidden', `${this.root} was made by another program: nothing is removed there but models that you delete`)
    return this.#exclusively(async () => {
      const unneeded = await this.#unneeded(now)
      if (unneeded === null)
        throw new AppError('conflict', 'a manifest is damaged and may name any blob, so none is removed; delete the model named in the log first')
      const begun = (await this.blobs.listPartial()).filter(({ digest, modifiedAtMs }) => !this.#pins.has(digest) && modifiedAtMs <= now - hourMs)
      if (dryRun) return [...unneeded, ...begun]
      await this.blobs.removeAbandoned(now - hourMs)
      const removed: StoredBlob[] = []
      for (const blob of unneeded) if (await this.#removeUnheld(blob.digest)) removed.push(blob)
      for (const blob of begun) {
        if (this.#pins.has(blob.digest)) continue
        await this.blobs.removePartial(blob.digest)
        removed.push(blob)
      }
      return removed
    })
  }

  /** Removes a blob whose bytes are not what its name says, so that getting its models again fetches it; false when another file has taken its place. */
  async discard(digest: string, known: string): Promise<boolean> {
    return this.#exclusively(async () => {
      const file = this.blobs.path(digest)
      const stats = await stat(file).catch(() => null)
      if (stats === null || identity(file, stats) !== known) return false
      await this.blobs.remove(digest)
      return true
    })
  }

  async #entry({ name, modifiedAt, digest, bytes, manifest }: StoredManifest): Promise<Entry> {
    const { config, bytes: configBytes } = await this.#config(name, manifest)
    return {
      name,
      origin: this.id,
      digest,
      manifest: bytes,
      sizeBytes: manifest.layers.reduce((sum, layer) => sum + layer.size, manifest.config.size),
      modifiedAt,
      config,
      configBlob: { digest: manifest.config.digest, bytes: configBytes },
      layers: manifest.layers.map((layer) => ({
        mediaType: layer.mediaType,
        digest: layer.digest,
        sizeBytes: layer.size,
        file: this.blobs.path(layer.digest),
        from: layer.from ?? null,
      })),
    }
  }

  /** A blob never changes, so it is read once. */
  async #config(name: ModelName, { config: { digest } }: Manifest): Promise<{ config: ModelConfig; bytes: Uint8Array }> {
    const known = this.#configs.get(digest)
    if (known !== undefined) return known
    const file = this.blobs.path(digest)
    try {
      const bytes = await readBlob(file, digest)
      const read = { config: parseConfig(bytes), bytes }
      this.#configs.set(digest, read)
      return read
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new AppError('invalid-model', `the model ${displayName(name)} is damaged: its config ${file}: ${reason}; get it again`, { cause: error })
    }
  }

  /** Removes what only this manifest needed, which is no more; what somebody holds goes when he lets go. */
  async #release({ config, layers }: Manifest): Promise<void> {
    await this.#removeUnnamed([config, ...layers].map(({ digest }) => digest))
  }

  async #removeUnnamed(digests: Iterable<string>): Promise<void> {
    const named = this.#digestsNamed()
    for (const digest of new Set(digests)) {
      this.#left.delete(digest)
      if (named === null || named.has(digest)) continue
      try {
        if (!(await this.#removeUnheld(digest))) this.#left.add(digest)
      } catch (error) {
        // The model is gone all the same; on Windows a runner may still have the file open.
        this.#log.warn('a blob that no model needs cannot be removed yet', { digest, reason: error instanceof Error ? error.message : String(error) })
      }
    }
  }

  /** False when somebody holds it: asked at the last moment, as others come and go while blobs are removed. */
  async #removeUnheld(digest: string): Promise<boolean> {
    if (this.#pins.has(digest)) return false
    await this.blobs.remove(digest)
    return true
  }

  /** Blobs that no manifest names and nobody holds or was told of, of at least an hour's age; null when that cannot be known. */
  async #unneeded(now: number): Promise<StoredBlob[] | null> {
    const blobs = await this.blobs.list()
    const named = this.#digestsNamed()
    const old = now - hourMs
    const isWanted = (digest: string) => this.#pins.has(digest) || (this.#offered.get(digest) ?? 0) > old
    return named && blobs.filter(({ digest, modifiedAtMs }) => !named.has(digest) && !isWanted(digest) && modifiedAtMs <= old)
  }

  /** null when that cannot be known. */
  #digestsNamed(): Set<string> | null {
    const named = new Set<string>()
    for (const manifest of this.manifests.list()) {
      if (isBroken(manifest)) {
        this.#log.warn('no blobs are removed while a manifest is damaged', { file: manifest.file, problem: manifest.problem })
        return null
      }
      for (const { digest } of [manifest.manifest.config, ...manifest.manifest.layers]) named.add(digest)
    }
    return named
  }

  #reportOnce({ file, modifiedAt }: StoredManifest | BrokenManifest, error: AppError): void {
    const key = `${file} ${modifiedAt.getTime()}`
    if (this.#reported.has(key)) return
    this.#reported.add(key)
    this.#log.warn('a model is left out of the list', { file, reason: error.message })
  }

  /** One change of the store at a time: what is in use must not change while it is counted. */
  async #exclusively<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#tail.then(change)
    this.#tail = turn.catch(() => undefined)
    return turn
  }
}

/** The config or another small JSON as bytes, with its digest. */
export function jsonBlob(value: unknown): { digest: string; bytes: Uint8Array } {
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`)
  return { digest: digestOf(bytes), bytes }
}
