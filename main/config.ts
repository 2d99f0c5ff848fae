import os from 'node:os'
import path from 'node:path'
import { Environment } from './environment.ts'
import type { LogLevel } from './lib/log.ts'
import { knownFolders, type OriginFolder } from './models/origins/known.ts'
import type { KvCacheType } from './runtime/options.ts'

/** Where the server listens, and where a client of this machine finds it. */
export interface ListenAddress {
  scheme: 'http' | 'https'
  /** '' stands for every interface. */
  host: string
  /** 0 lets the system choose. */
  port: number
  /** Path behind which a proxy serves us; for clients. */
  path: string
}

/** What is fixed at start. Every part of the program is handed the values it needs; none reads the environment. */
export interface Config {
  listen: ListenAddress
  /** Base address for a client on this machine, without a slash at the end. */
  url: string
  /** Patterns with at most one `*` each; the protocol's own included. */
  origins: readonly string[]
  /** Demand a key on loopback too. */
  requireKey: boolean
  modelsFolder: string
  /** `OLLAMA_MODELS` names it: a store that another program may have made. */
  modelsFolderGiven: boolean
  /** Folders where other programs keep models; they are only read. */
  originFolders: readonly OriginFolder[]
  dataFolder: string
  cacheFolder: string
  logsFolder: string
  homeFolder: string
  databaseFile: string
  settingsFile: string
  /** Infinity: for ever. */
  keepAliveMs: number
  /** Infinity: for ever. */
  loadTimeoutMs: number
  /** null: by memory. */
  numParallel: number | null
  /** null: by the number of GPUs. */
  maxLoadedModels: number | null
  maxQueue: number
  maxTransferStreams: number
  /** null: what fits. */
  contextLength: number | null
  kvCacheType: KvCacheType
  /** null: by device. */
  flashAttention: boolean | null
  /** null: by capability. */
  goTemplate: boolean | null
  noPrune: boolean
  schedSpread: boolean
  gpuOverheadBytes: number
  integratedGpu: boolean
  vulkan: boolean
  /** '' : the best that works. */
  llmLibrary: string
  /** Variables that child processes which touch a GPU need as they are. */
  deviceEnvironment: Readonly<Record<string, string>>
  proxy: { https: string; http: string; exceptions: readonly string[] }
  huggingFace: { endpoint: string; token: string }
  noCloud: boolean
  cloudUrl: string
  remotes: readonly string[]
  logLevel: LogLevel
  debugLogRequests: boolean
  /** Count requests and tell Prometheus. */
  metrics: boolean
  /** Key that the command line presents; '' none. */
  apiKey: string
  signRequests: boolean
  keepHistory: boolean
  editor: string
  experiments: readonly string[]
  /** What the environment says that could not be understood, for the log. */
  warnings: readonly string[]
}

const kvCacheTypes = ['f16', 'bf16', 'f32', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0', 'iq4_nl'] as const satisfies readonly KvCacheType[]

const deviceVariables = [
  'CUDA_VISIBLE_DEVICES',
  'HIP_VISIBLE_DEVICES',
  'ROCR_VISIBLE_DEVICES',
  'GGML_VK_VISIBLE_DEVICES',
  'GPU_DEVICE_ORDINAL',
  'HSA_OVERRIDE_GFX_VERSION',
  'LLAMA_ARG_FIT',
  'LLAMA_ARG_FIT_TARGET',
]

/** Origins that the protocol always allows (ollama-api §1.2). */
const standardOrigins = [
  ...['localhost', '127.0.0.1', '0.0.0.0'].flatMap((host) => [`http://${host}`, `https://${host}`, `http://${host}:*`, `https://${host}:*`]),
  'app://*',
  'file://*',
  'tauri://*',
  'vscode-webview://*',
  'vscode-file://*',
]

/** The only reader of the environment. Never throws: what is not understood is in `warnings`, and its default holds. */
export function readConfig(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): Readonly<Config> {
  const vars = new Environment(env)
  const listen = parseHost(vars)
  const { join, resolve } = platform === 'win32' ? path.win32 : path.posix
  const { home, data, cache, logs } = folders(vars, platform)
  const keepAliveMs = vars.duration('OLLAMA_KEEP_ALIVE', 300_000)
  const loadTimeoutMs = vars.duration('OLLAMA_LOAD_TIMEOUT', 300_000)
  const models = vars.text('OLLAMA_MODELS')
  return Object.freeze({
    listen,
    url: clientUrl(listen),
    origins: [...extraOrigins(vars), ...standardOrigins],
    requireKey: vars.flag('PADDOCK_REQUIRE_KEY') ?? false,
    modelsFolder: models === '' ? join(data, 'models') : resolve(models),
    modelsFolderGiven: models !== '',
    originFolders: originFolders(vars, home, platform),
    dataFolder: data,
    cacheFolder: cache,
    logsFolder: logs,
    homeFolder: home,
    databaseFile: join(data, 'paddock.db'),
    settingsFile: join(data, 'settings.json'),
    keepAliveMs: keepAliveMs < 0 ? Number.POSITIVE_INFINITY : keepAliveMs,
    loadTimeoutMs: loadTimeoutMs <= 0 ? Number.POSITIVE_INFINITY : loadTimeoutMs,
    numParallel: vars.uint('OLLAMA_NUM_PARALLEL', 0) || null,
    maxLoadedModels: vars.uint('OLLAMA_MAX_LOADED_MODELS', 0) || null,
    maxQueue: vars.uint('OLLAMA_MAX_QUEUE', 512),
    maxTransferStreams: vars.uint('OLLAMA_MAX_TRANSFER_STREAMS', 4),
    contextLength: vars.uint('OLLAMA_CONTEXT_LENGTH', 0) || null,
    kvCacheType: vars.oneOf('OLLAMA_KV_CACHE_TYPE', kvCacheTypes, 'f16'),
    flashAttention: vars.flag('OLLAMA_FLASH_ATTENTION'),
    goTemplate: vars.flag('OLLAMA_GO_TEMPLATE'),
    noPrune: vars.flag('OLLAMA_NOPRUNE') ?? false,
    schedSpread: vars.flag('OLLAMA_SCHED_SPREAD') ?? false,
    gpuOverheadBytes: vars.uint('OLLAMA_GPU_OVERHEAD', 0),
    integratedGpu: vars.flag('OLLAMA_IGPU_ENABLE') ?? false,
    vulkan: vars.flag('OLLAMA_VULKAN') ?? true,
    llmLibrary: vars.text('OLLAMA_LLM_LIBRARY'),
    deviceEnvironment: vars.pick(deviceVariables),
    proxy: {
      https: vars.text('HTTPS_PROXY') || vars.text('https_proxy'),
      http: vars.text('HTTP_PROXY') || vars.text('http_proxy'),
      exceptions: [...vars.list('NO_PROXY'), ...vars.list('no_proxy')],
    },
    huggingFace: { endpoint: hubEndpoint(vars), token: vars.text('HF_TOKEN') },
    noCloud: vars.flag('OLLAMA_NO_CLOUD') ?? false,
    cloudUrl: vars.text('OLLAMA_CLOUD_BASE_URL') || 'https://ollama.com',
    remotes: vars.text('OLLAMA_REMOTES') === '' ? ['ollama.com'] : vars.list('OLLAMA_REMOTES'),
    logLevel: logLevel(vars),
    debugLogRequests: vars.flag('OLLAMA_DEBUG_LOG_REQUESTS') ?? false,
    metrics: vars.flag('PADDOCK_METRICS') ?? false,
    apiKey: vars.text('OLLAMA_API_KEY'),
    signRequests: vars.flag('OLLAMA_AUTH') ?? false,
    keepHistory: !(vars.flag('OLLAMA_NOHISTORY') ?? false),
    editor: vars.text('OLLAMA_EDITOR') || vars.text('VISUAL') || vars.text('EDITOR'),
    experiments: vars.list('OLLAMA_EXPERIMENT'),
    warnings: vars.warnings,
  })
}

/** True for an address that only programs of this machine can reach. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  return bare === 'localhost' || bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare) || /^::ffff:127(\.\d{1,3}){3}$/.test(bare)
}

/** host, :port, host:port, [v6], [v6]:port or a URL (ollama-api §13). */
function parseHost(vars: Environment): ListenAddress {
  const text = vars.text('OLLAMA_HOST')
  if (text === 'ollama.com') return { scheme: 'https', host: 'ollama.com', port: 443, path: '' }
  const [, schemeText, rest] = /^(?:([^:/]+):\/\/)?(.*)$/s.exec(text) ?? []
  const scheme = schemeText?.toLowerCase() === 'https' ? 'https' : 'http'
  const defaultPort = schemeText === undefined ? 11434 : scheme === 'https' ? 443 : 80
  const [hostPort = '', ...pathParts] = (rest ?? '').split('/')
  const split = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(hostPort)
  const host = split ? (split[1] ?? split[2] ?? '') : hostPort === '' ? '127.0.0.1' : hostPort.replace(/^\[|\]$/g, '')
  let port = defaultPort
  if (split) {
    if (/^\d+$/.test(split[3] ?? '') && Number(split[3]) <= 65_535) port = Number(split[3])
    else vars.ignored('OLLAMA_HOST', text, 'has no valid port', String(defaultPort))
  }
  const urlPath = pathParts.join('/').replace(/\/+$/, '')
  return { scheme, host, port, path: urlPath === '' ? '' : `/${urlPath}` }
}

function clientUrl({ scheme, host, port, path: urlPath }: ListenAddress): string {
  const reachable = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}${urlPath}`
}

function hubEndpoint(vars: Environment): string {
  const text = vars.text('HF_ENDPOINT').replace(/\/+$/, '')
  const preset = 'https://huggingface.co'
  if (text === '') return preset
  if (URL.canParse(text) && /^https?:\/\/[^/?#@]+(\/[^?#]*)?$/.test(text)) return text
  vars.ignored('HF_ENDPOINT', text, 'is no address such as https://hub.example.org', preset)
  return preset
}

/** The peer refuses to start over a bad origin; ours says so and allows one page less. */
function extraOrigins(vars: Environment): string[] {
  return vars.list('OLLAMA_ORIGINS').filter((origin) => {
    const fine = origin.includes('*')
      ? origin.split('*').length === 2
      : /^(https?|chrome-extension|safari-extension|moz-extension|ms-browser-extension):\/\//.test(origin)
    if (!fine) vars.ignored('OLLAMA_ORIGINS', origin, 'is no origin such as https://example.com or app://*', '')
    return fine
  })
}

function logLevel(vars: Environment): LogLevel {
  const text = vars.text('OLLAMA_DEBUG')
  if (/^-?\d+$/.test(text)) {
    const number = Number(text)
    return number >= 2 ? 'trace' : number === 1 ? 'debug' : number === 0 ? 'info' : number === -1 ? 'warn' : 'error'
  }
  return vars.flag('OLLAMA_DEBUG') ? 'debug' : 'info'
}

/** The known places, less those that `PADDOCK_ORIGINS` leaves out. */
function originFolders(vars: Environment, home: string, platform: NodeJS.Platform): OriginFolder[] {
  const folders = knownFolders({
    home,
    platform,
    hubCache: vars.text('HF_HUB_CACHE'),
    hubHome: vars.text('HF_HOME'),
    llamaCache: vars.text('LLAMA_CACHE'),
    userCache: vars.text('XDG_CACHE_HOME'),
  })
  const wanted = vars.list('PADDOCK_ORIGINS')
  if (wanted.length === 0 || wanted.includes('all')) return folders
  for (const name of wanted) {
    if (name !== 'none' && folders.every(({ id }) => id !== name))
      vars.ignored('PADDOCK_ORIGINS', name, `is none of ${folders.map(({ id }) => id).join(', ')}`, '')
  }
  return folders.filter(({ id }) => wanted.includes(id))
}

/** XDG, Application Support or AppData; `PADDOCK_HOME` puts all of it into one folder. */
function folders(vars: Environment, platform: NodeJS.Platform): { home: string; data: string; cache: string; logs: string } {
  const home = vars.text(platform === 'win32' ? 'USERPROFILE' : 'HOME') || os.homedir()
  const { join, resolve } = platform === 'win32' ? path.win32 : path.posix
  const own = vars.text('PADDOCK_HOME') && resolve(vars.text('PADDOCK_HOME'))
  if (own !== '') return { home, data: own, cache: join(own, 'cache'), logs: join(own, 'logs') }
  if (platform === 'darwin') {
    const library = join(home, 'Library')
    return { home, data: join(library, 'Application Support', 'Paddock'), cache: join(library, 'Caches', 'Paddock'), logs: join(library, 'Logs', 'Paddock') }
  }
  if (platform === 'win32') {
    // Local, not roaming: models are gigabytes and must not travel with a profile.
    const data = join(vars.text('LOCALAPPDATA') || join(home, 'AppData', 'Local'), 'Paddock')
    return { home, data, cache: join(data, 'cache'), logs: join(data, 'logs') }
  }
  const xdg = (name: string, ...fallback: string[]) => join(vars.text(name) || join(home, ...fallback), 'paddock')
  return {
    home,
    data: xdg('XDG_DATA_HOME', '.local', 'share'),
    cache: xdg('XDG_CACHE_HOME', '.cache'),
    logs: join(xdg('XDG_STATE_HOME', '.local', 'state'), 'logs'),
  }
}
