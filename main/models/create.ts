import { AppError } from '../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../lib/json.ts'
import { readTexts } from './content.ts'
import { type ConfigOverrides, configOf, readOverrides } from './create-config.ts'
import { checkPaths, type ImportedFile, importFiles } from './create-files.ts'
import { type Quantizer, quantizationTarget, quantized } from './create-quantized.ts'
import type { Library } from './library.ts'
import { formatManifest, type ManifestLayer, mediaTypes } from './manifest.ts'
import { isVersion } from './modelfile.ts'
import { displayName, type ModelName, parseName, parseReference } from './name.ts'
import type { Entry } from './origin.ts'
import { checkParameters } from './parameters.ts'
import type { Progress } from './progress.ts'
import { jsonBlob } from './store.ts'

/** A request to make a model, by the protocol's meaning (native protocol reference, §5.8); files are named by digests of blobs. */
export interface CreateRequest {
  model: string
  from?: string
  files?: Record<string, string>
  adapters?: Record<string, string>
  draftFiles?: Record<string, string>
  draftQuantize?: string
  quantize?: string
  template?: string
  system?: string
  parameters?: JsonObject
  messages?: { role: string; content: string }[]
  licenses?: string[]
  renderer?: string
  parser?: string
  requires?: string
  info?: JsonObject
  remoteHost?: string
}

/** What `createModel` needs beside the request. */
export interface CreateParts {
  library: Library
  /** The template engine's complaint about a Go template; null when it is good. */
  templateProblem: (template: string) => string | null
  /** Fetches a base model that is missing. */
  pull?: (name: ModelName, signal: AbortSignal) => AsyncIterable<Progress>
  quantizer: Quantizer
  /** Remove what only the former manifest of the same name needed; false with `OLLAMA_NOPRUNE`. */
  prune: boolean
}

/**
 * Makes a model in our store from another model or from uploaded files; yields what it does, `success` last.
 *
 * What is wrong with the request itself is found before anything is written, so then the first step rejects.
 */
export async function* createModel(parts: CreateParts, request: CreateRequest, signal: AbortSignal): AsyncGenerator<Progress, void> {
  const { library, prune } = parts
  const { name, parameters, overrides, quantization } = checkRequest(parts, request)
  using pins = new DisposableStack()

  const base = request.from ? yield* findBase(parts, request.from, signal) : null
  const recipe = base === null ? new Recipe() : yield* Recipe.from(library, base, pins, signal)
  if (isFilled(request.files)) {
    yield { status: 'parsing GGUF' }
    for (const file of await importFiles(library, request.files, pins)) recipe.addFile(file)
  }
  if (isFilled(request.adapters)) for (const file of await importFiles(library, request.adapters, pins)) recipe.addAdapter(file)
  const given = recipe.finishedWeights()
  const weights = quantization === null ? given : yield* quantized(library, given, quantization, parts.quantizer, pins, signal)
  if (weights !== given) recipe.replace(mediaTypes.model, weights.layers, 'creating new layer')

  const keep = async (mediaType: string, text: string) => {
    const { digest, sizeBytes, created } = await library.store.blobs.writeText(text, signal, (found) => pins.use(library.store.pin(found)))
    return { layer: { mediaType, digest, size: sizeBytes }, how: created ? 'creating new layer' : 'using existing layer' } as const
  }
  const texts: [mediaType: string, text: string | undefined][] = [
    [mediaTypes.template, request.template],
    [mediaTypes.system, request.system],
    ...(request.licenses ?? []).map((license): [string, string] => [mediaTypes.license, license]),
    [mediaTypes.params, await mergedParameters(base, parameters)],
    [mediaTypes.messages, messagesText(request.messages)],
  ]
  for (const [mediaType, text] of texts) {
    if (!text) continue
    const { layer, how } = await keep(mediaType, text)
    if (mediaType === mediaTypes.license) recipe.append(layer, how)
    else recipe.replace(mediaType, [layer], how)
  }
  for (const { layer, how } of recipe.steps) yield { status: `${how} ${layer.digest}` }

  const config = jsonBlob(configOf({ base: base?.config ?? null, header: weights.header, layers: recipe.layers, overrides }))
  pins.use(library.store.pin(config.digest))
  await library.store.blobs.write(config.digest, [config.bytes], signal)
  yield { status: 'writing manifest' }
  const manifest = formatManifest({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: config.digest, size: config.bytes.length },
    layers: recipe.layers,
  })
  await library.store.put(name, Buffer.from(manifest), { prune, pins })
  yield { status: 'success' }
}

interface CheckedRequest {
  name: ModelName
  parameters: JsonObject
  overrides: ConfigOverrides
  /** Type to convert the weights to. */
  quantization: string | null
}

/** Everything that can be said of a request without looking at the disk. */
function checkRequest({ templateProblem, quantizer }: CreateParts, request: CreateRequest): CheckedRequest {
  const refuse = (text: string) => new AppError('invalid-request', text)
  for (const files of [request.files, request.adapters, request.draftFiles]) checkPaths(files ?? {})
  if (request.draftQuantize && !isFilled(request.draftFiles)) throw refuse('--draft-quantize requires a DRAFT model')
  const name = parseName(request.model)
  if (name === null) throw refuse('invalid model name')
  if (request.remoteHost) throw new AppError('forbidden', 'ollama cloud is disabled: remote models are unavailable; models run on this machine only')
  if (!request.from && !isFilled(request.files)) throw refuse("neither 'from' or 'files' was specified")
  if (request.from && parseReference(request.from) === null) throw refuse('invalid model name')
  if (isFilled(request.draftFiles)) throw new AppError('not-implemented', 'DRAFT models are not supported yet; create the model without one')
  if (Object.keys(request.adapters ?? {}).length > 1) throw refuse('only one adapter is currently supported')
  if (request.requires && !isVersion(request.requires)) throw refuse('requires must be a valid semver (e.g. 0.14.0)')
  const problem = request.template ? templateProblem(request.template) : null
  if (problem !== null) throw new AppError('invalid-template', `template error: ${problem}`)
  const { renderer, parser, requires } = request
  return {
    name,
    parameters: checkParameters(request.parameters ?? {}),
    overrides: {
      ...readOverrides(request.info ?? {}),
      ...(renderer && { renderer }),
      ...(parser && { parser }),
      ...(requires && { requires }),
    },
    quantization: request.quantize ? quantizationTarget(request.quantize, quantizer.types) : null,
  }
}

async function* findBase({ library, pull }: CreateParts, from: string, signal: AbortSignal): AsyncGenerator<Progress, Entry> {
  const reference = parseReference(from)
  if (reference === null) throw new AppError('invalid-request', 'invalid model name')
  const { name, source } = reference
  if (source === 'cloud') throw new AppError('forbidden', 'ollama cloud is disabled: remote models are unavailable; models run on this machine only')
  const here = await library.find(name)
  if (here !== null) return here
  if (pull !== undefined) {
    // Its `success` is not yet that of what is being made.
    for await (const step of pull(name, signal)) if (step.status !== 'success') yield step
  }
  const fetched = pull === undefined ? null : await library.find(name)
  if (fetched === null) throw new AppError('model-not-found', `model '${from}' not found, try pulling it first`)
  return fetched
}

type How = 'using existing layer' | 'creating new layer'

/** The layers of the model to be, in the order in which the manifest will name them. */
class Recipe {
  readonly steps: { layer: ManifestLayer; how: How }[] = []
  #weights: ImportedFile | null = null
  #adapter: ImportedFile | null = null

  /** All layers of another model, which stay unless something takes their place. */
  static async *from(library: Library, base: Entry, pins: DisposableStack, signal: AbortSignal): AsyncGenerator<Progress, Recipe> {
    const recipe = new Recipe()
    const { header } = await library.open(base)
    const { layers } = yield* library.bringIn(base, pins, signal)
    for (const { mediaType, digest, sizeBytes } of layers) {
      const layer: ManifestLayer = { mediaType, digest, size: sizeBytes, from: displayName(base.name) }
      recipe.steps.push({ layer, how: 'using existing layer' })
    }
    const weights = recipe.layers.filter(({ mediaType }) => mediaType === mediaTypes.model)
    if (weights.length > 0) recipe.#weights = { layers: weights, header, files: weights.map(({ digest }) => library.store.blobs.path(digest)) }
    return recipe
  }

  get layers(): ManifestLayer[] {
    return this.steps.map(({ layer }) => layer)
  }

  addFile(file: ImportedFile): void {
    switch (file.layers[0]?.mediaType) {
      case mediaTypes.adapter:
        this.addAdapter(file)
        return
      case mediaTypes.projector:
        this.replace(mediaTypes.projector, file.layers, 'using existing layer')
        return
      default:
        if (this.#weights !== null)
          throw new AppError('invalid-request', 'only one file with weights is supported; the others must be a projector or an adapter')
        this.#weights = file
        for (const layer of file.layers) this.append(layer, 'using existing layer')
    }
  }

  addAdapter(file: ImportedFile): void {
    if (file.layers[0]?.mediaType !== mediaTypes.adapter) throw new AppError('invalid-request', 'the adapter is a model of its own, not a LoRA adapter')
    if (this.#adapter !== null) throw new AppError('invalid-request', 'only one adapter is currently supported')
    this.#adapter = file
    this.replace(mediaTypes.adapter, file.layers, 'using existing layer')
  }

  /** The weights, once all files are known. */
  finishedWeights(): ImportedFile {
    if (this.#weights === null) throw new AppError('invalid-model', 'no base model was found')
    const [wanted, given] = [this.#weights.header.architecture, this.#adapter?.header.architecture]
    if (given !== undefined && given !== wanted) {
      throw new AppError('invalid-request', `the adapter was made for the architecture ${given}, the model is ${wanted}`)
    }
    return this.#weights
  }

  append(layer: ManifestLayer, how: How): void {
    const known = this.steps.some((step) => step.layer.mediaType === layer.mediaType && step.layer.digest === layer.digest)
    if (!known) this.steps.push({ layer, how })
  }

  /** Takes the place of all layers of this kind; weights stay first. */
  replace(mediaType: string, layers: ManifestLayer[], how: How): void {
    const others = this.steps.filter((step) => step.layer.mediaType !== mediaType)
    const steps = layers.map((layer) => ({ layer, how }))
    this.steps.splice(0, this.steps.length, ...(mediaType === mediaTypes.model ? [...steps, ...others] : [...others, ...steps]))
  }
}

async function mergedParameters(base: Entry | null, parameters: JsonObject): Promise<string | undefined> {
  if (Object.keys(parameters).length === 0) return undefined
  const inherited = base === null ? {} : (await readTexts(base)).parameters
  return jsonText(sorted({ ...inherited, ...parameters }))
}

function messagesText(messages: CreateRequest['messages']): string | undefined {
  if (messages === undefined || messages.length === 0) return undefined
  return jsonText(messages.map(({ role, content }) => ({ role, content })))
}

/** As Go's encoder writes it, so that the same content has the same digest in either program. */
function jsonText(value: Json): string {
  const escaped = JSON.stringify(value).replaceAll(/[<>&\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `${escaped}\n`
}

function sorted(value: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, isJsonObject(entry) ? sorted(entry) : entry]),
  )
}

function isFilled(files: Record<string, string> | undefined): files is Record<string, string> {
  return files !== undefined && Object.keys(files).length > 0
}
