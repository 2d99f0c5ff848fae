import { parseDuration } from './lib/duration.ts'

/** One row of `serve --help` and of the settings page: what a variable does and what holds without it. */
export interface Variable {
  name: string
  default: string
  meaning: string
}

/** Every variable that is honoured: the protocol's (ollama-api §13), ours, and those of others that we follow. */
export const variables: readonly Variable[] = [
  { name: 'OLLAMA_HOST', default: '127.0.0.1:11434', meaning: 'address to listen on and to connect to: host, :port, host:port or URL' },
  { name: 'OLLAMA_ORIGINS', default: '', meaning: 'further origins of web pages that may call, separated by commas; one * each' },
  { name: 'OLLAMA_MODELS', default: '<data>/models', meaning: 'folder of the model store' },
  { name: 'OLLAMA_KEEP_ALIVE', default: '5m', meaning: 'how long an idle model stays in memory; negative: for ever' },
  { name: 'OLLAMA_LOAD_TIMEOUT', default: '5m', meaning: 'how long a load may stand still before it is given up; 0 or negative: for ever' },
  { name: 'OLLAMA_NUM_PARALLEL', default: 'by memory, up to 4', meaning: 'replies that one model writes at the same time' },
  { name: 'OLLAMA_MAX_LOADED_MODELS', default: '0', meaning: 'models in memory at the same time; 0: 3 for each GPU, 3 on the processor' },
  { name: 'OLLAMA_MAX_QUEUE', default: '512', meaning: 'requests that may wait for a model; more are answered 503' },
  { name: 'OLLAMA_MAX_TRANSFER_STREAMS', default: '4', meaning: 'parallel transfers of a safetensors model' },
  { name: 'OLLAMA_CONTEXT_LENGTH', default: '0', meaning: 'context length where neither request nor model names one; 0: what fits, up to 32768' },
  { name: 'OLLAMA_KV_CACHE_TYPE', default: 'f16', meaning: 'element type of the KV cache: f16, bf16, f32, q8_0, q5_1, q5_0, q4_1, q4_0, iq4_nl' },
  { name: 'OLLAMA_FLASH_ATTENTION', default: 'by device', meaning: 'switch flash attention on or off' },
  { name: 'OLLAMA_GO_TEMPLATE', default: 'by capability', meaning: "true: a layer's Go template always, false: the file's own Jinja always" },
  { name: 'OLLAMA_DEBUG', default: '0', meaning: 'log level: 1 debug, 2 trace, -1 warnings, -2 errors only' },
  { name: 'OLLAMA_DEBUG_LOG_REQUESTS', default: 'false', meaning: 'keep the bodies of requests in a temporary folder, prompts included' },
  { name: 'OLLAMA_NOHISTORY', default: 'false', meaning: 'keep no history of what is typed in `run`' },
  { name: 'OLLAMA_EDITOR', default: '$VISUAL, $EDITOR', meaning: 'editor that Ctrl+G opens in `run`' },
  { name: 'OLLAMA_NOPRUNE', default: 'false', meaning: 'keep blobs that no model uses' },
  { name: 'OLLAMA_SCHED_SPREAD', default: 'false', meaning: 'spread a model over all GPUs even when one has room' },
  { name: 'OLLAMA_GPU_OVERHEAD', default: '0', meaning: 'bytes of each GPU that are left free' },
  { name: 'OLLAMA_IGPU_ENABLE', default: 'false', meaning: 'use integrated GPUs too' },
  { name: 'OLLAMA_VULKAN', default: 'true', meaning: 'let the Vulkan build be used' },
  { name: 'OLLAMA_LLM_LIBRARY', default: 'by device', meaning: 'build of the runtime to use: cpu, cuda, vulkan, metal' },
  { name: 'OLLAMA_NO_CLOUD', default: 'false', meaning: 'refuse models that would run elsewhere' },
  { name: 'OLLAMA_REMOTES', default: 'ollama.com', meaning: 'hosts that remote models may name, separated by commas' },
  { name: 'OLLAMA_AUTH', default: 'false', meaning: 'sign the requests of the command line' },
  { name: 'OLLAMA_CLOUD_BASE_URL', default: 'https://ollama.com', meaning: 'address of the cloud service' },
  { name: 'OLLAMA_API_KEY', default: '', meaning: 'key that the command line presents to the server' },
  { name: 'OLLAMA_EXPERIMENT', default: '', meaning: 'experiments by name, separated by commas; there are none' },
  { name: 'PADDOCK_HOME', default: "the platform's folders", meaning: 'one folder for data, cache and logs' },
  { name: 'PADDOCK_REQUIRE_KEY', default: 'false', meaning: 'demand a key on loopback too' },
  {
    name: 'PADDOCK_ORIGINS',
    default: 'all',
    meaning:
      'programs whose models are listed where they lie, separated by commas: ollama, ollama-service, lm-studio, lm-studio-old, hugging-face, llama.cpp; or none',
  },
  { name: 'PADDOCK_METRICS', default: 'false', meaning: 'count requests and tell Prometheus at /metrics' },
  { name: 'HF_HUB_CACHE', default: '$HF_HOME/hub', meaning: 'cache of Hugging Face, whose models are listed too' },
  { name: 'HF_HOME', default: '~/.cache/huggingface', meaning: 'folder of Hugging Face, in which its cache lies' },
  { name: 'LLAMA_CACHE', default: "the platform's cache", meaning: 'cache of llama.cpp, whose models are listed too' },
  { name: 'LLAMA_ARG_FIT', default: '', meaning: 'handed to the runner processes' },
  { name: 'LLAMA_ARG_FIT_TARGET', default: '', meaning: 'handed to the runner processes' },
  { name: 'HF_ENDPOINT', default: 'https://huggingface.co', meaning: 'address of Hugging Face, or of a mirror' },
  { name: 'HF_TOKEN', default: '', meaning: 'token of an account at Hugging Face, for what is gated or private; only the endpoint sees it' },
  { name: 'HTTPS_PROXY', default: '', meaning: 'proxy for downloads and engines elsewhere' },
  { name: 'HTTP_PROXY', default: '', meaning: 'the same, without TLS' },
  { name: 'NO_PROXY', default: '', meaning: 'hosts that are reached without the proxy, separated by commas' },
  { name: 'CUDA_VISIBLE_DEVICES', default: '', meaning: 'NVIDIA GPUs that may be used' },
  { name: 'HIP_VISIBLE_DEVICES', default: '', meaning: 'AMD GPUs that may be used' },
  { name: 'ROCR_VISIBLE_DEVICES', default: '', meaning: 'AMD GPUs that may be used, by the driver below' },
  { name: 'GGML_VK_VISIBLE_DEVICES', default: '', meaning: 'Vulkan devices that may be used' },
  { name: 'GPU_DEVICE_ORDINAL', default: '', meaning: 'AMD GPUs that may be used, by number' },
  { name: 'HSA_OVERRIDE_GFX_VERSION', default: '', meaning: 'architecture that an AMD GPU pretends to be' },
]

/** Reads variables by the protocol's rules: blanks and one layer of quotes go, what is not understood is a warning and the default. */
export class Environment {
  readonly warnings: string[] = []
  readonly #env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  text(name: string): string {
    return (this.#env[name] ?? '')
      .trim()
      .replace(/^["']|["']$/g, '')
      .trim()
  }

  list(name: string): string[] {
    return this.text(name)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  }

  /** null when unset; any text that is no boolean counts as true. */
  flag(name: string): boolean | null {
    const text = this.text(name)
    if (text === '') return null
    return !['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)
  }

  uint(name: string, fallback: number): number {
    const text = this.text(name)
    if (text === '') return fallback
    if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
    this.ignored(name, text, 'is not a whole number', String(fallback))
    return fallback
  }

  /** Milliseconds of a Go duration or of a whole number of seconds. */
  duration(name: string, fallbackMs: number): number {
    const text = this.text(name)
    if (text === '') return fallbackMs
    if (/^[+-]?\d+$/.test(text)) return Number(text) * 1000
    try {
      return parseDuration(text)
    } catch {
      this.ignored(name, text, 'is no duration such as 5m or 300', `${fallbackMs / 1000} s`)
      return fallbackMs
    }
  }

  oneOf<const T extends string>(name: string, values: readonly T[], fallback: T): T {
    const text = this.text(name).toLowerCase()
    if (text === '') return fallback
    const found = values.find((value) => value === text)
    if (found === undefined) this.ignored(name, text, `is none of ${values.join(', ')}`, fallback)
    return found ?? fallback
  }

  /** The variables that are set, as they are. */
  pick(names: readonly string[]): Record<string, string> {
    return Object.fromEntries(names.flatMap((name) => (this.#env[name] === undefined ? [] : [[name, this.#env[name]]])))
  }

  ignored(name: string, text: string, why: string, instead: string): void {
    this.warnings.push(`${name}=${JSON.stringify(text)} ${why}; using ${instead === '' ? 'none' : instead}`)
  }
}
