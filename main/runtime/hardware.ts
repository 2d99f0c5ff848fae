import { cpus, totalmem } from 'node:os'
import type { Log } from '../lib/log.ts'
import { explain, findPackages, type InstalledBuild, type ProbeReply, type ProbeRequest, platformBuilds } from './builds.ts'
import type { Device } from './device.ts'
import type { ChildHandle, Spawn } from './process.ts'
import { systemMemory } from './system-memory.ts'
import { physicalCores } from './threads.ts'

/** One build of the runtime (a platform package) and what became of it. */
export interface Build {
  /** linux-x64, linux-x64-vulkan, … */
  target: string
  state: 'used' | 'available' | 'unusable' | 'missing'
  /** Why it is not used, in words for the user; '' when it is. */
  reason: string
  devices: Device[]
}

/** What this machine computes with: one object that the API, the log, the settings screen and the scheduler share. */
export interface Hardware {
  cpu: { model: string; physicalCores: number; totalBytes: number }
  builds: Build[]
  /** The build that runners load. */
  build: string
  /** Its devices, GPUs first. */
  devices: Device[]
}

/** Which builds the machine's owner wants; a `Config` is one. */
export interface ProbeSettings {
  /** A build's name or kind, as the peer spells them (`cpu_avx2`, `cuda_v12`, `vulkan`); '' for the best that works. */
  llmLibrary: string
  vulkan: boolean
  /** GPUs that share the machine's memory, except Apple's, are slower than the CPU more often than not. */
  integratedGpu: boolean
  /** Variables that hide or choose devices. */
  deviceEnvironment: Readonly<Record<string, string>>
}

export interface HardwareProbeOptions {
  spawn: Spawn
  /** File of the probe process. */
  entry: string
  config: ProbeSettings
  log: Log
  /** Folder of the runtime's packages; by default the one that `entry` would find. */
  packages?: string | null
  platform?: NodeJS.Platform
  arch?: string
  timeoutMs?: number
}

/** Finds out behind the start what this machine can compute with: each build of the runtime is tried in a process of its own. */
export class HardwareProbe implements AsyncDisposable {
  /** Resolves when it is known which build runners load; at once when there is no choice. */
  readonly ready: Promise<Hardware>
  readonly #options: HardwareProbeOptions
  readonly #builds: InstalledBuild[]
  readonly #onReady: (hardware: Hardware) => void
  readonly #cpu: Hardware['cpu']
  #found: Build[]
  #chosen: string
  #done: Promise<void> = Promise.resolve()
  #child: ChildHandle | null = null
  #disposed = false

  constructor(options: HardwareProbeOptions) {
    this.#options = options
    const { entry, platform = process.platform, arch = process.arch, packages = findPackages(entry) } = options
    this.#builds = platformBuilds(packages, platform, arch)
    this.#cpu = { model: cpus()[0]?.model.trim() ?? 'unknown', physicalCores: physicalCores(), totalBytes: systemMemory().totalBytes || totalmem() }
    this.#chosen = this.#builds.at(-1)?.target ?? ''
    this.#found = this.#builds.map((build) => ({ target: build.target, ...this.#before(build), devices: [] }))
    const chosen = Promise.withResolvers<Hardware>()
    this.ready = chosen.promise
    this.#onReady = chosen.resolve
    if (!this.#candidates().some(({ kind }) => kind !== 'cpu')) chosen.resolve(this.current())
  }

  /** Tries the builds, once; starting their processes takes time that the program's own start does not have. */
  start(): void {
    const ready = () => this.#onReady(this.current())
    this.#done = this.#probeAll(ready).finally(ready)
  }

  /** What is known now; before the probes have ended, the machine without its GPUs. */
  current(): Hardware {
    const used = this.#found.find(({ target }) => target === this.#chosen)
    const { freeBytes, totalBytes } = systemMemory()
    const processor: Device = { name: 'CPU', description: this.#cpu.model, kind: 'cpu', freeBytes, totalBytes }
    const gpus = used?.devices.filter(isGpu) ?? []
    return { cpu: this.#cpu, builds: this.#found, build: this.#chosen, devices: [...gpus, processor] }
  }

  /** Every build has been tried, if there was a start. */
  get complete(): Promise<void> {
    return this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#child?.kill()
    await this.#done
  }

  /** What can be said of a build before it is tried. */
  #before({ kind, folder }: InstalledBuild): Pick<Build, 'state' | 'reason'> {
    const { config } = this.#options
    if (folder === null) return { state: 'missing', reason: 'not installed' }
    const wanted = wantedKind(config.llmLibrary)
    if (wanted !== null && wanted !== kind && kind !== 'metal') return { state: 'available', reason: `OLLAMA_LLM_LIBRARY asks for ${config.llmLibrary}` }
    if (kind === 'vulkan' && !config.vulkan) return { state: 'available', reason: 'switched off by OLLAMA_VULKAN' }
    return { state: 'available', reason: 'not tried yet' }
  }

  #candidates(): InstalledBuild[] {
    return this.#builds.filter((_, at) => this.#found[at]?.reason === 'not tried yet')
  }

  async #probeAll(onChosen: () => void): Promise<void> {
    const { log } = this.#options
    let gpuBuild: string | null = null
    for (const build of this.#candidates()) {
      if (this.#disposed) return
      if (build.kind === 'cuda-ext' && gpuBuild !== null) {
        this.#set(build, { state: 'available', reason: 'the build for newer CUDA works here', devices: [] })
        continue
      }
      if (build.kind === 'cpu') onChosen()
      const result = await this.#probe(build)
      if (this.#disposed) return
      this.#set(build, result)
      if (result.state === 'available' && build.kind !== 'cpu' && gpuBuild === null) {
        gpuBuild = build.target
        this.#choose(build)
        onChosen()
      }
      log.debug('runtime build probed', { build: build.target, state: result.state, reason: result.reason, devices: result.devices.map(({ name }) => name) })
    }
    this.#choose(this.#builds.find(({ target }) => target === this.#chosen) as InstalledBuild)
    const { build, devices, builds } = this.current()
    const unused = builds.filter(({ state }) => state === 'unusable').map(({ target, reason }) => `${target}: ${reason}`)
    log.info('hardware', { build, devices: devices.map(({ name, description }) => `${name} ${description}`), unused })
  }

  #set(build: InstalledBuild, result: Pick<Build, 'state' | 'reason' | 'devices'>): void {
    this.#found = this.#found.map((known) => (known.target === build.target ? { target: build.target, ...result } : known))
  }

  #choose(build: InstalledBuild): void {
    this.#chosen = build.target
    this.#found = this.#found.map((known) => (known.target === build.target && known.state === 'available' ? { ...known, state: 'used', reason: '' } : known))
  }

  async #probe(build: InstalledBuild): Promise<Pick<Build, 'state' | 'reason' | 'devices'>> {
    const reply = await this.#ask(build)
    if (reply.type === 'failed') return { state: 'unusable', reason: explain(build.kind, reply.reason), devices: [] }
    const devices = usableDevices(reply.devices, this.#options.config.integratedGpu)
    if (build.kind === 'cpu' || devices.some(isGpu)) return { state: 'available', reason: '', devices }
    const integrated = reply.devices.find(({ kind }) => kind === 'igpu')
    if (integrated !== undefined)
      return { state: 'unusable', reason: `only an integrated GPU (${integrated.description}); OLLAMA_IGPU_ENABLE=1 uses it`, devices: [] }
    const lacking = { cuda: 'no NVIDIA GPU found', 'cuda-ext': 'no NVIDIA GPU found', vulkan: 'no Vulkan device found', metal: 'no Metal device found' }[
      build.kind
    ]
    // Apple's one build computes on the processor then.
    return build.kind === 'metal' ? { state: 'available', reason: lacking, devices } : { state: 'unusable', reason: lacking, devices: [] }
  }

  #ask(build: InstalledBuild): Promise<ProbeReply> {
    const { spawn, entry, config, timeoutMs = 10_000 } = this.#options
    const { promise, resolve } = Promise.withResolvers<ProbeReply>()
    const libraries = build.kind === 'cuda-ext' ? this.#builds.find(({ kind }) => kind === 'cuda')?.folder : null
    const child = spawn(entry, { name: 'paddock probe', env: { ...config.deviceEnvironment, ...(libraries ? { LD_LIBRARY_PATH: libraries } : {}) } })
    this.#child = child
    const limit = setTimeout(() => {
      resolve({ type: 'failed', reason: `did not answer within ${timeoutMs / 1000} seconds` })
      child.kill()
    }, timeoutMs)
    child.onMessage((message) => {
      resolve(message as ProbeReply)
      child.kill()
    })
    child.onExit(({ code, signal }) => {
      const lastLine = child.stderrTail().trim().split('\n').at(-1)
      resolve({ type: 'failed', reason: `crashed (${signal ?? `exit code ${code}`})${lastLine ? `: ${lastLine.slice(0, 200)}` : ''}` })
    })
    child.post({ build: build.target, backend: build.backend } satisfies ProbeRequest)
    return promise.finally(() => clearTimeout(limit))
  }
}

function isGpu({ kind }: Device): boolean {
  return kind === 'gpu' || kind === 'igpu'
}

/** llama.cpp leaves an integrated GPU alone when there is another. */
function usableDevices(devices: Device[], integratedGpu: boolean): Device[] {
  const discrete = devices.some(({ kind }) => kind === 'gpu')
  return devices.filter(({ kind }) => kind !== 'igpu' || (integratedGpu && !discrete))
}

function wantedKind(library: string): InstalledBuild['kind'] | null {
  const name = library.trim().toLowerCase()
  if (name === '') return null
  if (/^cuda_?v?1[0-2]|cuda-ext/.test(name)) return 'cuda-ext'
  if (name.includes('cuda')) return 'cuda'
  if (name.includes('vulkan')) return 'vulkan'
  if (name.includes('metal')) return 'metal'
  return 'cpu'
}
