import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import koffi, { type TypeObject } from 'koffi'
import { AppError } from '../../errors.ts'
import type { Device } from '../device.ts'
import {
  callbacks,
  cpuFunctions,
  deviceKinds,
  type ForeignFunction,
  ggmlBaseFunctions,
  ggmlFunctions,
  type LlamaApi,
  llamaFunctions,
  type Pointer,
  release,
  type Struct,
  structs,
} from './abi.ts'
import { LogRing } from './log.ts'

/** llama.cpp in this process: one build, loaded once, its log kept in a ring. */
export interface Library {
  readonly c: LlamaApi
  readonly build: string
  readonly folder: string
  readonly log: LogRing
  /** The runtime lets JavaScript see C's memory; Electron does not. */
  readonly views: boolean
  /** Koffi's types of functions that C calls. */
  readonly types: { readonly progress: TypeObject }
}

/** The build without a GPU kind of its own; on Apple Silicon that is Metal's. */
export function platformBuild(platform: NodeJS.Platform = process.platform, arch: string = process.arch): string {
  const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[platform as string] ?? platform
  if (system === 'mac' && arch === 'arm64') return 'mac-arm64-metal'
  return `${system}-${arch === 'arm' ? 'armv7l' : arch}`
}

/** Where a build's libraries lie, or null when its package is not installed. Inside a packed app they are beside the archive, as C cannot open files within. */
export function libraryFolder(build: string, roots: readonly string[] = moduleRoots()): string | null {
  return binaryFolder(mainBuild(build), '', roots)
}

/** `linux-x64-cuda-ext` is a CUDA backend for older drivers, to be used with the libraries of `linux-x64-cuda`. */
function mainBuild(build: string): string {
  return build.replace(/-ext$/, '')
}

function binaryFolder(build: string, inner: string, roots: readonly string[]): string | null {
  for (const root of roots) {
    const folder = join(root.replace(/app\.asar(?=[\\/])/, 'app.asar.unpacked'), '@node-llama-cpp', build, 'bins', mainBuild(build), inner)
    if (existsSync(folder)) return folder
  }
  return null
}

function moduleRoots(): readonly string[] {
  return createRequire(import.meta.url).resolve.paths('@node-llama-cpp/any') ?? []
}

/** File names of a build: `libllama.metal.v0.4.0.dylib`, `llama.v0.4.0.dll`, `libllama.cuda.v0.4.0.so`; the base library bears no version. */
export function libraryNames(build: string): { base: string; ggml: string; llama: string } {
  const [system, , ...gpu] = build.split('-')
  const kind = gpu.length > 0 ? `.${gpu.join('-')}` : ''
  const prefix = system === 'win' ? '' : 'lib'
  const extension = { linux: 'so', mac: 'dylib', win: 'dll' }[system as string] ?? 'so'
  const versioned = (name: string) => `${prefix}${name}${kind}.v${release}.${extension}`
  return { base: `${prefix}ggml-base.${extension}`, ggml: versioned('ggml'), llama: versioned('llama') }
}

let loaded: Library | null = null

/** Loads a build's libraries, once in a process, and registers its compute backends. */
export function loadLibrary(build: string): Library {
  if (loaded?.build === build) return loaded
  if (loaded !== null) throw new Error(`this process has loaded ${loaded.build} and cannot load ${build}`)
  const folder = libraryFolder(build)
  if (folder === null) throw new AppError('load-failed', `the runtime package @node-llama-cpp/${build} is not installed`)
  // C runs on a stack of koffi's, by default 2 MiB, with `async` 128 KiB: too small for the tokenizer's regular expressions, grammars and graphs.
  koffi.config({ sync_stack_size: 8 * 2 ** 20, async_stack_size: 8 * 2 ** 20, resident_async_pools: 2 })
  const names = libraryNames(mainBuild(build))
  const open = (name: string) => {
    try {
      return koffi.load(join(folder, name), { global: true })
    } catch (error) {
      throw new AppError('load-failed', `cannot load ${name} of ${build}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
  // In this order and by full path: the libraries find each other beside themselves (Linux, macOS) or by being loaded already (Windows).
  const [base, ggml, llama] = [open(names.base), open(names.ggml), open(names.llama)]
  for (const [name, fields] of Object.entries(structs)) koffi.struct(name, fields)

  const c: Record<string, unknown> = {}
  const bind = (library: typeof base, functions: Record<string, string>) => {
    for (const [name, signature] of Object.entries(functions)) c[name] = library.func(declaration(name, signature))
  }
  bind(llama, llamaFunctions)
  bind(ggml, ggmlFunctions)
  bind(base, ggmlBaseFunctions)
  const api = c as unknown as LlamaApi

  const version = api.llama_version() ?? ''
  if (version.split('-')[0] !== release) throw new AppError('load-failed', `the runtime's libraries are llama.cpp ${version}, this program needs ${release}`)

  const log = new LogRing()
  // Safe from another thread too, as long as this one does not wait in a synchronous call meanwhile: koffi queues it to this thread's event loop.
  api.llama_log_set(
    koffi.register((level: number, text: string) => log.write(level, text), koffi.pointer(koffi.proto(callbacks.log))),
    null,
  )
  api.ggml_backend_load_all_from_path(folder)
  const extra = build === mainBuild(build) ? null : binaryFolder(build, 'fallback', moduleRoots())
  if (extra !== null) api.ggml_backend_load_all_from_path(extra)
  api.llama_backend_init()
  bindCpu(c, api)
  loaded = { c: api, build, folder, log, views: canView(), types: { progress: koffi.pointer(koffi.proto(callbacks.progress)) } }
  return loaded
}

function declaration(name: string, signature: string): string {
  return signature.replace('(', ` ${name}(`)
}

/** The CPU backend's library is chosen by the processor, so that its functions are only known by its registry. */
function bindCpu(c: Record<string, unknown>, api: LlamaApi): void {
  const device = api.ggml_backend_dev_by_type(deviceKinds.indexOf('cpu'))
  if (device === null) throw new AppError('load-failed', 'the runtime has no backend for this processor')
  const registry = api.ggml_backend_dev_backend_reg(device)
  for (const [name, signature] of Object.entries(cpuFunctions)) {
    const address = api.ggml_backend_reg_get_proc_address(registry, name)
    if (address === null) throw new AppError('load-failed', `the runtime's CPU backend has no function ${name}`)
    c[name] = koffi.decode(address, koffi.proto(declaration(name, signature)))
  }
}

/** Electron forbids array buffers over foreign memory. */
function canView(): boolean {
  const bytes = koffi.alloc('uint8', 16) // never freed: the view may outlive this call
  try {
    koffi.view(bytes, 16)
    return true
  } catch {
    return false
  }
}

/** The devices of the loaded build, as llama.cpp sees them now. */
export function listDevices({ c }: Library): Device[] {
  const count = Number(c.ggml_backend_dev_count())
  return Array.from({ length: count }, (_, index) => {
    const props = {} as Struct<'ggml_backend_dev_props'>
    c.ggml_backend_dev_get_props(c.ggml_backend_dev_get(index), props)
    return {
      name: props.name ?? '',
      description: props.description ?? '',
      kind: deviceKinds[props.type] ?? 'accel',
      freeBytes: Number(props.memory_free),
      totalBytes: Number(props.memory_total),
    }
  })
}

/** Names of the devices, as llama.cpp's log has them. */
export function deviceNames(library: Library): string[] {
  return listDevices(library).map(({ name }) => name)
}

/** Runs a C function on a thread of libuv's pool; nothing else may touch what it works on until this resolves. */
export function inBackground<Parameters extends unknown[], Result>(call: ForeignFunction<Parameters, Result>, ...parameters: Parameters): Promise<Result> {
  return new Promise((resolve, reject) => {
    call.async(...parameters, (error, result) => {
      if (error === null) resolve(result)
      else reject(error)
    })
  })
}

/** Makes a JavaScript function callable from C as long as `run` runs. */
export async function withProgress<T>({ types }: Library, report: (fraction: number) => boolean, run: (callback: Pointer) => Promise<T>): Promise<T> {
  const callback = koffi.register(report, types.progress)
  try {
    return await run(callback)
  } finally {
    koffi.unregister(callback)
  }
}
