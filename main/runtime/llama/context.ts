import { AppError } from '../../errors.ts'
import type { ContextOptions } from '../options.ts'
import { flashAttention, kvCacheTypes, type Pointer, pooling, type Struct } from './abi.ts'
import { deviceNames, inBackground } from './library.ts'
import { type BufferSizes, bufferSizes, failureReason, isOutOfMemory } from './log.ts'
import { AbortFlag, type Batch, floats } from './memory.ts'
import type { LoraAdapter, Model } from './model.ts'

/** llama.cpp's limit on the sequences of a context (LLAMA_MAX_SEQ). */
const maxSequences = 256

/**
 * How long ggml's idle threads spin before they sleep, of 100; its own default is 50. At 5 they bridge the gap between two steps and little more;
 * at 50 they hold their cores for a third of a second after each reply.
 */
const polling = 5

export interface EmbeddingContextOptions {
  /** Tokens of one decode, and of the longest input. */
  batchSize: number
  sequences: number
  threads: number
}

/** The cells and buffers in which a model evaluates tokens. One decode at a time. */
export class Context {
  readonly model: Model
  readonly #handle: Pointer
  readonly sequences: number
  /** Tokens of one sequence. */
  readonly sequenceLength: number
  readonly batchSize: number
  readonly threads: number
  readonly buffers: BufferSizes
  readonly canShift: boolean
  /** One pool of cells for all sequences. */
  readonly unified: boolean
  readonly #memory: Pointer | null
  readonly #abort: AbortFlag
  readonly #threadPool: Pointer | null
  #threadsInUse: number
  #adaptersInUse = ''
  #rows = 0
  #freed = false

  static async forReplies(model: Model, options: ContextOptions): Promise<Context> {
    if (options.slots > maxSequences) throw new AppError('invalid-request', `a context has room for ${maxSequences} replies, not ${options.slots}`)
    const cells = options.unified ? options.cells : options.contextLength * options.slots
    const type = kvCacheTypes[options.kvCacheType]
    return await Context.#create(model, {
      n_ctx: cells,
      n_batch: options.batchSize,
      n_ubatch: options.batchSize,
      n_seq_max: options.slots,
      // Logits of the last tokens only: the buffer has a row of the vocabulary's size for each.
      n_outputs_max: options.slots,
      n_threads: options.threads,
      n_threads_batch: options.threads,
      kv_unified: options.unified,
      // Whole caches for sliding layers too, so that a prompt can be cut anywhere.
      swa_full: true,
      type_k: type,
      type_v: type,
      flash_attn_type: options.flashAttention === null ? flashAttention.auto : options.flashAttention ? flashAttention.on : flashAttention.off,
    })
  }

  static forEmbeddings(model: Model, options: EmbeddingContextOptions): Promise<Context> {
    return Context.#create(model, {
      n_ctx: options.batchSize,
      n_batch: options.batchSize,
      // An encoder sees an input whole or wrong.
      n_ubatch: options.batchSize,
      n_seq_max: options.sequences,
      n_threads: options.threads,
      n_threads_batch: options.threads,
      kv_unified: true,
      embeddings: true,
      pooling_type: embeddingPooling(model),
    })
  }

  static async #create(model: Model, fields: Partial<Struct<'llama_context_params'>>): Promise<Context> {
    const { c, log } = model.library
    const params = Object.assign(c.llama_context_default_params(), fields)
    const { result: handle, lines } = await log.record(() => inBackground(c.llama_init_from_model, model.handle, params))
    if (handle === null) {
      const reason = failureReason(lines)
      const size = `a context of ${params.n_ctx} tokens`
      if (isOutOfMemory(reason)) throw new AppError('out-of-memory', `not enough memory for ${size}: ${reason}`)
      throw new AppError('load-failed', `cannot make ${size}: ${reason || 'llama.cpp gives no reason'}`)
    }
    return new Context(model, handle, params, bufferSizes(lines, deviceNames(model.library)))
  }

  private constructor(model: Model, handle: Pointer, params: Struct<'llama_context_params'>, buffers: BufferSizes) {
    const { c } = model.library
    this.model = model
    this.#handle = handle
    this.buffers = buffers
    this.sequences = params.n_seq_max
    this.batchSize = params.n_batch
    this.threads = params.n_threads
    this.#threadsInUse = params.n_threads
    this.unified = params.kv_unified
    this.sequenceLength = c.llama_n_ctx_seq(handle)
    this.#memory = c.llama_get_memory(handle)
    this.canShift = this.#memory !== null && model.rewindable && c.llama_memory_can_shift(this.#memory)
    this.#abort = new AbortFlag(model.library, handle)
    this.#threadPool = this.#attachThreads(params.n_threads)
    model.own('context', this)
  }

  /** For the files of this folder. */
  get handle(): Pointer {
    if (this.#freed) throw new Error('the context has been freed')
    return this.#handle
  }

  /** null where the model keeps no state between decodes. */
  get #cells(): Pointer | null {
    return this.#freed ? this.handle : this.#memory
  }

  /** Without a pool of its own, a context starts and ends its threads with every decode. */
  #attachThreads(threads: number): Pointer | null {
    const { c } = this.model.library
    if (threads < 2) return null
    const pool = c.ggml_threadpool_new({ ...c.ggml_threadpool_params_default(threads), poll: polling })
    if (pool !== null) c.llama_attach_threadpool(this.handle, pool, pool)
    return pool
  }

  /** Threads of the decodes that follow, at most those that the context was made with. */
  setThreads(threads: number): void {
    if (threads === this.#threadsInUse) return
    this.#threadsInUse = threads
    const { c } = this.model.library
    c.llama_set_n_threads(this.handle, threads, threads)
    if (this.#threadPool === null) return
    // The pool's other threads would wake and spin with every decode.
    if (threads < this.threads) c.llama_detach_threadpool(this.handle)
    else c.llama_attach_threadpool(this.handle, this.#threadPool, this.#threadPool)
  }

  /** On another thread. 0: done; 1: no room for a sequence; 2: stopped; negative: refused or failed. */
  async decode(batch: Batch): Promise<number> {
    this.#rows = 0
    const code = await inBackground(this.model.library.c.llama_decode, this.handle, batch.c)
    if (code === 0) this.#rows = batch.size
    return code
  }

  /** On this thread: quicker when it is short, but nothing else is heard meanwhile. */
  decodeNow(batch: Batch): number {
    this.#rows = 0
    const code = this.model.library.c.llama_decode(this.handle, batch.c)
    if (code === 0) this.#rows = batch.size
    return code
  }

  /** Stops the decode that runs, at its next operation; take it back before the next. */
  abort(on: boolean): void {
    this.#abort.set(on)
  }

  /** llama.cpp ends the process when asked for a row that it does not have. */
  checkedRow(row: number): number {
    if (!Number.isInteger(row) || row < 0 || row >= this.#rows) throw new Error(`row ${row} is not one of the last decode's ${this.#rows}`)
    return row
  }

  /** Valid until the next decode; the row's token must have asked for output. */
  logits(row: number): Float32Array {
    const address = this.model.library.c.llama_get_logits_ith(this.handle, this.checkedRow(row))
    if (address === null) throw new Error(`row ${row} has no logits`)
    return floats(this.model.library, address, this.model.vocabularySize)
  }

  /** One vector per sequence of the last decode; without pooling, that of the row of its last token. A copy. */
  embedding(sequence: number, lastRow: number): Float32Array {
    const { c } = this.model.library
    const kind = c.llama_pooling_type(this.handle)
    const address =
      kind === pooling.none
        ? c.llama_get_embeddings_ith(this.handle, this.checkedRow(lastRow))
        : c.llama_get_embeddings_seq(this.handle, this.#checked(sequence))
    if (address === null) throw new Error(`sequence ${sequence} has no embedding`)
    const length = kind === pooling.rank ? c.llama_model_n_cls_out(this.model.handle) : c.llama_model_n_embd_out(this.model.handle)
    return floats(this.model.library, address, length).slice()
  }

  /** Forgets all cells. */
  clear(): void {
    if (this.#cells !== null) this.model.library.c.llama_memory_clear(this.#cells, false)
  }

  /** Forgets the cells of a sequence from a position on (to another, exclusive; -1 the end); false when this state cannot be cut there. */
  remove(sequence: number, from: number, to = -1): boolean {
    return this.#cells === null || this.model.library.c.llama_memory_seq_rm(this.#cells, this.#checked(sequence), from, to)
  }

  /** Gives `target` the first `length` cells of `source`. A pool shares them, separate streams copy the whole buffer first. */
  copy(source: number, target: number, length: number): boolean {
    if (this.#cells === null) return false
    const { c } = this.model.library
    this.remove(target, -1)
    // A part of a stream cannot be copied: llama.cpp ends the process.
    c.llama_memory_seq_cp(this.#cells, this.#checked(source), this.#checked(target), this.unified ? 0 : -1, this.unified ? length : -1)
    return this.unified || this.remove(target, length)
  }

  /** Forgets the cells from `from` to `to` and moves the later ones, up to `end`, into their place. */
  shift(sequence: number, from: number, to: number, end: number): boolean {
    if (!this.canShift || !this.remove(sequence, from, to)) return false
    this.model.library.c.llama_memory_seq_add(this.#cells, this.#checked(sequence), to, end, from - to)
    return true
  }

  /** First position that is still held; -1 when the sequence is empty. */
  firstPosition(sequence: number): number {
    return this.#cells === null ? -1 : this.model.library.c.llama_memory_seq_pos_min(this.#cells, this.#checked(sequence))
  }

  /** The adapters of the decodes that follow. */
  setAdapters(adapters: readonly { adapter: LoraAdapter; scale: number }[]): void {
    const key = adapters.map(({ adapter, scale }) => `${adapter.handle}*${scale}`).join()
    if (key === this.#adaptersInUse) return
    const handles = BigUint64Array.from(adapters, ({ adapter }) => adapter.handle)
    const scales = Float32Array.from(adapters, ({ scale }) => scale)
    this.model.library.c.llama_set_adapters_lora(this.handle, handles, adapters.length, scales)
    this.#adaptersInUse = key
  }

  free(): void {
    if (this.#freed) return
    this.#freed = true
    const { c } = this.model.library
    this.model.disown('context', this)
    if (this.#threadPool !== null) c.llama_detach_threadpool(this.#handle)
    c.llama_free(this.#handle)
    if (this.#threadPool !== null) c.ggml_threadpool_free(this.#threadPool)
  }

  #checked(sequence: number): number {
    if (!Number.isInteger(sequence) || sequence < 0 || sequence >= this.sequences) throw new Error(`sequence ${sequence} is not one of ${this.sequences}`)
    return sequence
  }
}

/** As the file says; a model for chat, which says nothing, gives the vector of its last token. */
function embeddingPooling(model: Model): number {
  if (model.metadata(`${model.metadata('general.architecture')}.pooling_type`) !== null) return pooling.unspecified
  return model.hasEncoder ? pooling.mean : pooling.last
}
