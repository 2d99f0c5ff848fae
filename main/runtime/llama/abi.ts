/**
 * The part of llama.cpp's C interface that we call, as data: struct layouts, functions and enum values of one release.
 *
 * Order and types of the fields are the ABI. A wrong one is silent corruption, so `test/main/runtime/llama/abi.test.ts` compares sizes, offsets and defaults
 * with the headers of this release.
 */
export const release = '0.4.0'

/** An address in C's memory; only files of this folder hold one. */
export type Pointer = bigint

const pointer = 'void *'

export const structs = {
  llama_model_params: {
    devices: pointer,
    tensor_buft_overrides: pointer,
    n_gpu_layers: 'int32',
    split_mode: 'int32',
    load_mode: 'int32',
    lazy_mode: 'int32',
    main_gpu: 'int32',
    tensor_split: pointer,
    progress_callback: pointer,
    progress_callback_user_data: pointer,
    kv_overrides: pointer,
    vocab_only: 'bool',
    check_tensors: 'bool',
    use_extra_bufts: 'bool',
    no_host: 'bool',
    no_alloc: 'bool',
    load_mtp: 'bool',
  },
  llama_context_params: {
    n_ctx: 'uint32',
    n_batch: 'uint32',
    n_ubatch: 'uint32',
    n_seq_max: 'uint32',
    n_rs_seq: 'uint32',
    n_outputs_max: 'uint32',
    n_outputs_max_per_seq: 'uint32',
    n_threads: 'int32',
    n_threads_batch: 'int32',
    ctx_type: 'int32',
    rope_scaling_type: 'int32',
    pooling_type: 'int32',
    attention_type: 'int32',
    flash_attn_type: 'int32',
    rope_freq_base: 'float',
    rope_freq_scale: 'float',
    yarn_ext_factor: 'float',
    yarn_attn_factor: 'float',
    yarn_beta_fast: 'float',
    yarn_beta_slow: 'float',
    yarn_orig_ctx: 'uint32',
    defrag_thold: 'float',
    cb_eval: pointer,
    cb_eval_user_data: pointer,
    type_k: 'int32',
    type_v: 'int32',
    abort_callback: pointer,
    abort_callback_data: pointer,
    embeddings: 'bool',
    offload_kqv: 'bool',
    no_perf: 'bool',
    op_offload: 'bool',
    swa_full: 'bool',
    kv_unified: 'bool',
    samplers: pointer,
    n_samplers: 'size_t',
    ctx_other: pointer,
  },
  llama_model_quantize_params: {
    nthread: 'int32',
    ftype: 'int32',
    output_tensor_type: 'int32',
    token_embedding_type: 'int32',
    allow_requantize: 'bool',
    quantize_output_tensor: 'bool',
    only_copy: 'bool',
    pure: 'bool',
    keep_split: 'bool',
    dry_run: 'bool',
    imatrix: pointer,
    kv_overrides: pointer,
    tt_overrides: pointer,
    prune_layers: pointer,
    max_buf_size: 'size_t',
  },
  llama_batch: { n_tokens: 'int32', token: pointer, embd: pointer, pos: pointer, n_seq_id: pointer, seq_id: pointer, logits: pointer },
  llama_sampler_chain_params: { no_perf: 'bool' },
  llama_token_data: { id: 'int32', logit: 'float', p: 'float' },
  llama_token_data_array: { data: pointer, size: 'size_t', selected: 'int64', sorted: 'bool' },
  llama_logit_bias: { token: 'int32', bias: 'float' },
  ggml_threadpool_params: { cpumask: 'uint8[512]', n_threads: 'int32', prio: 'int32', poll: 'uint32', strict_cpu: 'bool', paused: 'bool' },
  ggml_backend_dev_caps: { async: 'bool', host_buffer: 'bool', buffer_from_host_ptr: 'bool', events: 'bool', mmap_support: 'bool' },
  ggml_backend_dev_props: {
    name: 'const char *',
    description: 'const char *',
    memory_free: 'size_t',
    memory_total: 'size_t',
    type: 'int32',
    device_id: 'const char *',
    caps: 'ggml_backend_dev_caps',
  },
} as const

/** llama.h: name → signature, the name left out. */
export const llamaFunctions = {
  llama_model_default_params: 'llama_model_params()',
  llama_context_default_params: 'llama_context_params()',
  llama_sampler_chain_default_params: 'llama_sampler_chain_params()',
  llama_model_quantize_default_params: 'llama_model_quantize_params()',
  llama_version: 'const char *()',
  llama_backend_init: 'void()',
  llama_log_set: 'void(void *callback, void *data)',

  llama_model_load_from_file: 'void *(const char *path, llama_model_params params)',
  llama_model_load_from_splits: 'void *(const char **paths, size_t count, llama_model_params params)',
  llama_model_free: 'void(void *model)',
  llama_model_get_vocab: 'void *(void *model)',
  llama_model_n_ctx_train: 'int32(void *model)',
  llama_model_n_embd: 'int32(void *model)',
  llama_model_n_embd_out: 'int32(void *model)',
  llama_model_n_layer: 'int32(void *model)',
  llama_model_n_swa: 'int32(void *model)',
  llama_model_n_cls_out: 'uint32(void *model)',
  llama_model_size: 'uint64(void *model)',
  llama_model_n_params: 'uint64(void *model)',
  llama_model_has_encoder: 'bool(void *model)',
  llama_model_has_decoder: 'bool(void *model)',
  llama_model_is_recurrent: 'bool(void *model)',
  llama_model_is_hybrid: 'bool(void *model)',
  llama_model_meta_val_str: 'int32(void *model, const char *key, void *buffer, size_t size)',
  llama_vocab_n_tokens: 'int32(void *vocab)',
  llama_vocab_is_eog: 'bool(void *vocab, int32 token)',
  llama_vocab_bos: 'int32(void *vocab)',
  llama_vocab_eos: 'int32(void *vocab)',
  llama_vocab_sep: 'int32(void *vocab)',
  llama_vocab_get_add_bos: 'bool(void *vocab)',
  llama_vocab_get_add_eos: 'bool(void *vocab)',
  llama_vocab_get_add_sep: 'bool(void *vocab)',
  llama_tokenize: 'int32(void *vocab, void *text, int32 length, void *tokens, int32 capacity, bool addSpecial, bool parseSpecial)',
  llama_token_to_piece: 'int32(void *vocab, int32 token, void *buffer, int32 length, int32 leftStrip, bool special)',
  llama_model_quantize: 'uint32(const char *source, const char *target, const llama_model_quantize_params *params)',
  llama_adapter_lora_init: 'void *(void *model, const char *path)',
  llama_adapter_lora_free: 'void(void *adapter)',

  llama_init_from_model: 'void *(void *model, llama_context_params params)',
  llama_free: 'void(void *context)',
  llama_n_ctx_seq: 'uint32(void *context)',
  llama_pooling_type: 'int32(void *context)',
  llama_get_memory: 'void *(void *context)',
  llama_decode: 'int32(void *context, llama_batch batch)',
  llama_set_abort_callback: 'void(void *context, void *callback, void *data)',
  llama_set_n_threads: 'void(void *context, int32 threads, int32 batchThreads)',
  llama_attach_threadpool: 'void(void *context, void *threads, void *batchThreads)',
  llama_detach_threadpool: 'void(void *context)',
  llama_set_adapters_lora: 'int32(void *context, void *adapters, size_t count, void *scales)',
  llama_get_logits_ith: 'void *(void *context, int32 row)',
  llama_get_embeddings_ith: 'void *(void *context, int32 row)',
  llama_get_embeddings_seq: 'void *(void *context, int32 sequence)',
  llama_memory_clear: 'void(void *memory, bool data)',
  llama_memory_seq_rm: 'bool(void *memory, int32 sequence, int32 from, int32 to)',
  llama_memory_seq_cp: 'void(void *memory, int32 source, int32 target, int32 from, int32 to)',
  llama_memory_seq_add: 'void(void *memory, int32 sequence, int32 from, int32 to, int32 delta)',
  llama_memory_seq_pos_min: 'int32(void *memory, int32 sequence)',
  llama_memory_can_shift: 'bool(void *memory)',

  llama_sampler_chain_init: 'void *(llama_sampler_chain_params params)',
  llama_sampler_chain_add: 'void(void *chain, void *sampler)',
  llama_sampler_free: 'void(void *sampler)',
  llama_sampler_accept: 'void(void *sampler, int32 token)',
  llama_sampler_apply: 'void(void *sampler, void *candidates)',
  llama_sampler_sample: 'int32(void *sampler, void *context, int32 row)',
  llama_sampler_init_greedy: 'void *()',
  llama_sampler_init_dist: 'void *(uint32 seed)',
  llama_sampler_init_top_k: 'void *(int32 k)',
  llama_sampler_init_top_p: 'void *(float p, size_t minKeep)',
  llama_sampler_init_min_p: 'void *(float p, size_t minKeep)',
  llama_sampler_init_typical: 'void *(float p, size_t minKeep)',
  llama_sampler_init_temp: 'void *(float temperature)',
  llama_sampler_init_temp_ext: 'void *(float temperature, float range, float exponent)',
  llama_sampler_init_xtc: 'void *(float probability, float threshold, size_t minKeep, uint32 seed)',
  llama_sampler_init_top_n_sigma: 'void *(float n)',
  llama_sampler_init_mirostat: 'void *(int32 vocabularySize, uint32 seed, float tau, float eta, int32 m)',
  llama_sampler_init_mirostat_v2: 'void *(uint32 seed, float tau, float eta)',
  llama_sampler_init_penalties: 'void *(int32 vocabularySize, int32 lastN, float repeat, float frequency, float presence)',
  llama_sampler_init_dry: 'void *(void *vocab, float multiplier, float base, int32 allowedLength, int32 lastN, const char **breakers, size_t count)',
  llama_sampler_init_logit_bias: 'void *(int32 vocabularySize, int32 count, const llama_logit_bias *biases)',
  llama_sampler_init_grammar: 'void *(void *vocab, const char *grammar, const char *root)',
} as const

/** ggml-backend.h, from the library that knows the backends. */
export const ggmlFunctions = {
  ggml_backend_load_all_from_path: 'void(const char *folder)',
  ggml_backend_dev_count: 'size_t()',
  ggml_backend_dev_get: 'void *(size_t index)',
  ggml_backend_dev_by_type: 'void *(int32 type)',
} as const

/** ggml-backend.h and ggml.h, from the base library. */
export const ggmlBaseFunctions = {
  ggml_backend_dev_backend_reg: 'void *(void *device)',
  ggml_backend_dev_get_props: 'void(void *device, _Out_ ggml_backend_dev_props *props)',
  ggml_backend_reg_get_proc_address: 'void *(void *registry, const char *name)',
  ggml_threadpool_params_default: 'ggml_threadpool_params(int32 threads)',
} as const

/** Functions of the CPU backend, whose library is chosen at run time: found through its registry. */
export const cpuFunctions = {
  ggml_threadpool_new: 'void *(ggml_threadpool_params *params)',
  ggml_threadpool_free: 'void(void *pool)',
} as const

/** Types of functions that C calls. */
export const callbacks = {
  log: 'void paddock_log(int32 level, const char *text, void *data)',
  progress: 'bool paddock_progress(float fraction, void *data)',
} as const

/** `enum llama_load_mode` */
export const loadMode = { auto: -1, read: 0, map: 1, lock: 2, mapAndLock: 3 } as const
/** `enum llama_pooling_type` */
export const pooling = { unspecified: -1, none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const
/** `enum llama_flash_attn_type` */
export const flashAttention = { auto: -1, off: 0, on: 1 } as const
/** `enum ggml_backend_dev_type`, by value */
export const deviceKinds = ['cpu', 'gpu', 'igpu', 'accel'] as const
/** `enum ggml_type`, those that a KV cache may have */
export const kvCacheTypes = { f32: 0, f16: 1, q4_0: 2, q4_1: 3, q5_0: 6, q5_1: 7, q8_0: 8, iq4_nl: 20, bf16: 30 } as const
/** `enum llama_ftype`: what a model can be quantized to without a measured importance of its weights. */
export const fileTypes = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  Q2_K: 10,
  Q3_K_S: 11,
  Q3_K_M: 12,
  Q3_K_L: 13,
  Q4_K_S: 14,
  Q4_K_M: 15,
  Q5_K_S: 16,
  Q5_K_M: 17,
  Q6_K: 18,
  IQ3_XS: 22,
  IQ4_NL: 25,
  IQ3_S: 26,
  IQ3_M: 27,
  IQ4_XS: 30,
  BF16: 32,
  TQ1_0: 36,
  TQ2_0: 37,
} as const
export type FileType = keyof typeof fileTypes
/** `enum ggml_log_level`: a level of `continued` adds to the line before. */
export const logLevel = { info: 2, warn: 3, error: 4, continued: 5 } as const

type Structs = typeof structs
export type StructName = keyof Structs

/** A field or result as koffi gives it: 64-bit integers come as number or bigint. */
type Value<T extends string> = T extends `${string}*`
  ? T extends 'const char *'
    ? string | null
    : Pointer | null
  : T extends StructName
    ? Struct<T>
    : T extends 'bool'
      ? boolean
      : T extends 'void'
        ? undefined
        : T extends 'size_t' | 'uint64' | 'int64'
          ? number | bigint
          : T extends `${string}[${string}`
            ? number[]
            : number
export type Struct<Name extends StructName> = { -readonly [Field in keyof Structs[Name]]: Value<Structs[Name][Field] & string> }

/** An argument: addresses may also be typed arrays, lists or objects, which live for the call only. */
type Argument<T extends string> = T extends `const char *${infer Rest}`
  ? Rest extends `*${string}`
    ? readonly string[]
    : string
  : T extends `${string}*${string}`
    ? Pointer | object | null
    : T extends `${infer Type} ${string}`
      ? Value<Type>
      : never
type Arguments<T extends string> = T extends '' ? [] : T extends `${infer First}, ${infer Rest}` ? [Argument<First>, ...Arguments<Rest>] : [Argument<T>]
type Callable<T> = T extends `${infer Result}(${infer List})` ? ForeignFunction<Arguments<List>, Value<Result>> : never

/** A C function: called on this thread, or on one of libuv's with `async`. */
export interface ForeignFunction<Parameters extends unknown[] = never[], Result = unknown> {
  (...parameters: Parameters): Result
  async(...parameters: [...Parameters, done: (error: Error | null, result: Result) => void]): void
}
type Bound<Functions> = { [Name in keyof Functions]: Callable<Functions[Name]> }

export type LlamaApi = Bound<typeof llamaFunctions> & Bound<typeof ggmlFunctions> & Bound<typeof ggmlBaseFunctions> & Bound<typeof cpuFunctions>
