import { access, constants } from 'node:fs/promises'
import { AppError } from '../../errors.ts'
import type { LoadOptions } from '../options.ts'
import { loadMode, type Pointer } from './abi.ts'
import { Candidates } from './candidates.ts'
import { deviceNames, inBackground, type Library, withProgress } from './library.ts'
import { type BufferSizes, bufferSizes, failureReason, isOutOfMemory } from './log.ts'
import { pinned } from './memory.ts'

/** The bytes of a token, and its text where they are whole characters. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly text: string | null
}

/** What lives on a model and must be freed before it, in this order. */
const dependentKinds = ['sampler', 'context', 'adapter'] as const
type DependentKind = (typeof dependentKinds)[number]

interface Freeable {
  free(): void
}

/** Loaded weights with their vocabulary. */
export class Model {
  readonly library: Library
  readonly #handle: Pointer
  readonly #vocab: Pointer
  readonly vocabularySize: number
  readonly buffers: BufferSizes
  readonly hasEncoder: boolean
  readonly hasDecoder: boolean
  /** The state can be cut and shifted: neither recurrent nor hybrid. */
  readonly rewindable: boolean
  readonly trainedContextLength: number
  /** -1: none. */
  readonly bosToken: number
  readonly eosToken: number
  /** Parts two texts in one input. */
  readonly sepToken: number
  readonly addsBos: boolean
  readonly addsEos: boolean
  readonly addsSep: boolean
  readonly #dependents: Record<DependentKind, Set<Freeable>> = { sampler: new Set(), context: new Set(), adapter: new Set() }
  readonly #pieces: [plain: (Piece | undefined)[], special: (Piece | undefined)[]] = [[], []]
  readonly #ends: (boolean | undefined)[] = []
  readonly #adapters = new Map<string, LoraAdapter>()
  #buffer = pinned(Uint8Array, 256)
  #candidates: Candidates | null = null
  #freed = false

  /** Reads the weights on another thread; `onProgress` hears fractions, an abort stops the reading. */
  static async load(library: Library, options: LoadOptions, signal: AbortSignal, onProgress: (fraction: number) => void = () => {}): Promise<Model> {
    const files = options.parts ?? [options.file]
    for (const file of files) await checkReadable(file)
    signal.throwIfAborted()
    const { c, log } = library
    const params = c.llama_model_default_params()
    if (options.gpuLayers >= 0) params.n_gpu_layers = options.gpuLayers
    if (options.mainGpu !== null) Object.assign(params, { main_gpu: options.mainGpu, split_mode: 0 })
    params.load_mode = chosenLoadMode(options)
    params.vocab_only = options.vocabOnly ?? false
    // Mapping takes part in the plan's load and has nothing to map: llama.cpp asserts that it is off.
    if (options.planOnly) Object.assign(params, { no_alloc: true, load_mode: loadMode.read })
    const report = (fraction: number) => {
      onProgress(fraction)
      return !signal.aborted
    }
    const { result: handle, lines } = await withProgress(library, report, (callback) => {
      params.progress_callback = callback
      return log.record(() =>
        files.length > 1
          ? inBackground(c.llama_model_load_from_splits, files, files.length, params)
          : inBackground(c.llama_model_load_from_file, options.file, params),
      )
    })
    if (signal.aborted) {
      if (handle !== null) c.llama_model_free(handle)
      throw signal.reason
    }
    if (handle === null) throw loadError(failureReason(lines))
    return new Model(library, handle, bufferSizes(lines, deviceNames(library)))
  }

  private constructor(library: Library, handle: Pointer, buffers: BufferSizes) {
    const { c } = library
    this.library = library
    this.#handle = handle
    this.buffers = buffers
    this.#vocab = c.llama_model_get_vocab(handle) as Pointer
    this.vocabularySize = c.llama_vocab_n_tokens(this.vocab)
    // llama.cpp means the two halves of T5 by its own words; a model whose tokens see what follows them, such as BERT, only encodes.
    const looksAhead = this.metadata(`${this.metadata('general.architecture')}.attention.causal`) === 'false'
    this.hasEncoder = c.llama_model_has_encoder(handle) || looksAhead
    this.hasDecoder = c.llama_model_has_decoder(handle) && !looksAhead
    this.rewindable = !c.llama_model_is_recurrent(handle) && !c.llama_model_is_hybrid(handle)
    this.trainedContextLength = c.llama_model_n_ctx_train(handle)
    this.bosToken = c.llama_vocab_bos(this.vocab)
    this.eosToken = c.llama_vocab_eos(this.vocab)
    this.sepToken = c.llama_vocab_sep(this.vocab)
    this.addsBos = c.llama_vocab_get_add_bos(this.vocab)
    this.addsEos = c.llama_vocab_get_add_eos(this.vocab)
    this.addsSep = c.llama_vocab_get_add_sep(this.vocab)
  }

  /** For the files of this folder. */
  get handle(): Pointer {
    if (this.#freed) throw new Error('the model has been freed')
    return this.#handle
  }

  /** For the files of this folder. */
  get vocab(): Pointer {
    if (this.#freed) throw new Error('the model has been freed')
    return this.#vocab
  }

  get embeddingLength(): number {
    return this.library.c.llama_model_n_embd(this.handle)
  }

  get layers(): number {
    return this.library.c.llama_model_n_layer(this.handle)
  }

  get parameters(): number {
    return Number(this.library.c.llama_model_n_params(this.handle))
  }

  get sizeBytes(): number {
    return Number(this.library.c.llama_model_size(this.handle))
  }

  /** Tokens that a sliding window sees; 0 without one. */
  get slidingWindow(): number {
    return this.library.c.llama_model_n_swa(this.handle)
  }

  /** A value of the file's metadata as text, null when it has none. */
  metadata(key: string): string | null {
    const buffer = pinned(Uint8Array, 512)
    const length = this.library.c.llama_model_meta_val_str(this.handle, key, buffer.address, buffer.array.length)
    return length < 0 ? null : Buffer.from(buffer.array.subarray(0, Math.min(length, buffer.array.length - 1))).toString()
  }

  /** Names of the devices that hold weights. */
  get devices(): string[] {
    const names = Object.keys(this.buffers.weights)
    return names.length > 0 ? names : deviceNames(this.library)
  }

  /** Token ids of a text. `addSpecial` adds what the vocabulary asks for (BOS, EOS, CLS), but no second BOS where the text has its own. */
  tokenize(text: string, { addSpecial, parseSpecial }: { addSpecial: boolean; parseSpecial: boolean }): number[] {
    const bytes = Buffer.from(text)
    let tokens = pinned(Int32Array, bytes.length + 16)
    const call = () =>
      this.library.c.llama_tokenize(
        this.vocab,
        bytes.length > 0 ? bytes : Buffer.alloc(1),
        bytes.length,
        tokens.address,
        tokens.array.length,
        addSpecial,
        parseSpecial,
      )
    let count = call()
    if (count < 0) {
      tokens = pinned(Int32Array, -count)
      count = call()
    }
    if (count < 0) throw new AppError('invalid-request', 'the tokenizer cannot read this text')
    const ids = Array.from(tokens.array.subarray(0, count))
    if (addSpecial && this.addsBos && ids[0] === this.bosToken && ids[1] === this.bosToken) ids.shift()
    return ids
  }

  isToken(token: number): boolean {
    return Number.isInteger(token) && token >= 0 && token < this.vocabularySize
  }

  /** Throws unless all are ids of the vocabulary: llama.cpp would refuse a whole batch for one that is not. */
  checkTokens(tokens: readonly number[]): void {
    const bad = tokens.find((token) => !this.isToken(token))
    if (bad !== undefined) throw new AppError('invalid-request', `token ${bad} is not in the model's vocabulary of ${this.vocabularySize}`)
  }

  /** What a token stands for; control tokens stand for nothing unless `special`. */
  piece(token: number, special: boolean): Piece {
    const pieces = this.#pieces[special ? 1 : 0]
    const known = pieces[token]
    if (known !== undefined) return known
    const piece = this.#readPiece(token, special)
    pieces[token] = piece
    return piece
  }

  #readPiece(token: number, special: boolean): Piece {
    if (!this.isToken(token)) throw new AppError('invalid-request', `token ${token} is not in the model's vocabulary of ${this.vocabularySize}`)
    const call = () => this.library.c.llama_token_to_piece(this.vocab, token, this.#buffer.address, this.#buffer.array.length, 0, special)
    let length = call()
    if (length < 0) {
      this.#buffer = pinned(Uint8Array, -length)
      length = call()
    }
    const bytes = Uint8Array.from(this.#buffer.array.subarray(0, length))
    return { bytes, text: wholeText(bytes) }
  }

  /** The text of one token, '' for none. */
  tokenText(token: number): string {
    return this.isToken(token) ? (this.piece(token, true).text ?? '') : ''
  }

  detokenize(tokens: readonly number[], special = true): string {
    return Buffer.concat(tokens.map((token) => this.piece(token, special).bytes)).toString()
  }

  /** Ends a reply: EOS, end of turn and their like. */
  isEndOfGeneration(token: number): boolean {
    const known = this.#ends[token]
    if (known !== undefined) return known
    const ends = this.library.c.llama_vocab_is_eog(this.vocab, token)
    this.#ends[token] = ends
    return ends
  }

  /** A LoRA adapter, read once and kept as long as the model. */
  async adapter(file: string): Promise<LoraAdapter> {
    const known = this.#adapters.get(file)
    if (known !== undefined) return known
    const { c, log } = this.library
    const { result: handle, lines } = await log.record(() => c.llama_adapter_lora_init(this.handle, file))
    if (handle === null) throw new AppError('load-failed', `cannot load the adapter ${file}: ${failureReason(lines) || 'it does not fit this model'}`)
    const adapter = new LoraAdapter(this, handle)
    this.#adapters.set(file, adapter)
    return adapter
  }

  /** Room for one number per token of the vocabulary, shared by all samplers. For the files of this folder. */
  get candidates(): Candidates {
    this.#candidates ??= new Candidates(this.vocabularySize)
    return this.#candidates
  }

  /** For the files of this folder: `thing` is freed before the model. */
  own(kind: DependentKind, thing: Freeable): void {
    this.#dependents[kind].add(thing)
  }

  disown(kind: DependentKind, thing: Freeable): void {
    this.#dependents[kind].delete(thing)
  }

  /** Frees what lives on the model, then the model. */
  free(): void {
    if (this.#freed) return
    this.#freed = true
    for (const kind of dependentKinds) for (const thing of this.#dependents[kind]) thing.free()
    this.library.c.llama_model_free(this.#handle)
  }
}

/** A low-rank change of a model's weights, chosen per decode. */
export class LoraAdapter {
  readonly #model: Model
  /** For the files of this folder. */
  readonly handle: Pointer
  #freed = false

  constructor(model: Model, handle: Pointer) {
    this.#model = model
    this.handle = handle
    model.own('adapter', this)
  }

  free(): void {
    if (this.#freed) return
    this.#freed = true
    this.#model.disown('adapter', this)
    this.#model.library.c.llama_adapter_lora_free(this.handle)
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function wholeText(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes)
  } catch {
    return null // a part of a character
  }
}

/** llama.cpp says the same of a file that it cannot open and of one that it cannot read. */
async function checkReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK)
  } catch (error) {
    throw new AppError('load-failed', `cannot read the model's file ${file}`, { cause: error })
  }
}

/** llama.cpp's own choice maps the file where all devices can use it so. */
function chosenLoadMode({ useMmap, useMlock }: LoadOptions): number {
  if (useMmap === null) return useMlock ? loadMode.mapAndLock : loadMode.auto
  if (useMmap) return useMlock ? loadMode.mapAndLock : loadMode.map
  return useMlock ? loadMode.lock : loadMode.read
}

function loadError(reason: string): AppError {
  if (isOutOfMemory(reason)) return new AppError('out-of-memory', `not enough memory for the model: ${reason}`)
  if (/failed to open|invalid value for main_gpu/i.test(reason)) return new AppError('load-failed', `cannot load the model: ${reason}`)
  return new AppError('invalid-model', `cannot load the model: ${reason || 'llama.cpp gives no reason'}`)
}
