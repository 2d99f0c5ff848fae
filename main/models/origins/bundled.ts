import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { JsonObject } from '../../lib/json.ts'
import type { Log } from '../../lib/log.ts'
import { digestOf } from '../blobs.ts'
import { mediaTypes } from '../manifest.ts'
import { displayName, type ModelName, nameKey, parseName } from '../name.ts'
import type { Entry, Origin } from '../origin.ts'
import { makeEntry } from './entry.ts'

interface Shipped {
  name: string
  weights: { path: string; digest: string; sizeBytes: number }
  license: string
  config: JsonObject
}

// The files of `resources/models/`; a test checks the digests.
const shipped: Shipped[] = [
  {
    name: 'smollm2:135m',
    weights: {
      path: 'smollm2/smollm2-135m-instruct-q4_1.gguf',
      digest: 'sha256:b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
      sizeBytes: 98_362_432,
    },
    license: 'smollm2/LICENSE',
    config: {
      model_format: 'gguf',
      model_family: 'llama',
      model_families: ['llama'],
      model_type: '134.52M',
      file_type: 'Q4_1',
      context_length: 8192,
      embedding_length: 576,
      architecture: 'amd64',
      os: 'linux',
    },
  },
  {
    name: 'all-minilm:latest',
    weights: {
      path: 'all-minilm/all-minilm.gguf',
      digest: 'sha256:9de29973c32cdee9cf124ed6ad4dfa116b045cd8c26a8acf83933bc94c8f53fc',
      sizeBytes: 25_279_296,
    },
    license: 'all-minilm/LICENSE',
    config: {
      model_format: 'gguf',
      model_family: 'bert',
      model_families: ['bert'],
      model_type: '22.57M',
      file_type: 'Q8_0',
      context_length: 512,
      embedding_length: 384,
      architecture: 'amd64',
      os: 'linux',
    },
  },
]

/** Unpacked files carry odd dates (1970, 1980), so those that ship have the day they were added. */
const addedAt = new Date('2026-11-22T00:00:00Z')

/** The models that ship with the app, run where they lie, with manifests made up as `create` would. */
export class Bundled implements Origin {
  readonly id = 'bundled'
  readonly #folder: string
  readonly #log: Log
  #entries: Promise<Entry[]> | null = null

  constructor(folder: string, log: Log) {
    this.#folder = folder
    this.#log = log
  }

  list(): Promise<Entry[]> {
    this.#entries ??= this.#find()
    return this.#entries
  }

  async resolve(name: ModelName): Promise<Entry | null> {
    const entries = await this.list()
    return entries.find((entry) => nameKey(entry.name) === nameKey(name)) ?? null
  }

  async #find(): Promise<Entry[]> {
    const entries: Entry[] = []
    for (const one of shipped) {
      try {
        entries.push(await this.#entry(one))
      } catch (error) {
        this.#log.warn('a model that ships is left out', { name: one.name, reason: error instanceof Error ? error.message : String(error) })
      }
    }
    return entries
  }

  async #entry({ name: text, weights, license, config }: Shipped): Promise<Entry> {
    const name = parseName(text)
    if (name === null) throw new Error(`${text} is not a name`)
    const file = path.join(this.#folder, weights.path)
    const { size } = await stat(file)
    if (size !== weights.sizeBytes) throw new Error(`${file} has ${size} bytes, not ${weights.sizeBytes}`)
    const licenseFile = path.join(this.#folder, license)
    const licenseBytes = await readFile(licenseFile)

    return makeEntry({
      name,
      origin: this.id,
      modifiedAt: addedAt,
      config,
      layers: [
        { mediaType: mediaTypes.model, digest: weights.digest, sizeBytes: size, file, from: null },
        { mediaType: mediaTypes.license, digest: digestOf(licenseBytes), sizeBytes: licenseBytes.length, file: licenseFile, from: null },
      ],
    })
  }
}

/** What ships, by name: for a list of what can be brought back. */
export function bundledNames(): string[] {
  return shipped.map(({ name }) => displayName(parseName(name) as ModelName))
}
