import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Device } from './device.ts'

/** A build of the runtime that this platform could have. */
export interface InstalledBuild {
  /** `linux-x64-cuda`: the name of its package. */
  target: string
  kind: 'cuda' | 'cuda-ext' | 'vulkan' | 'metal' | 'cpu'
  /** Folder of its libraries; null when it is not installed. */
  folder: string | null
  /** The library that needs a driver; null on the CPU and where it is part of another. */
  backend: string | null
}

/** What the probe process is asked; one build a process. */
export interface ProbeRequest {
  build: string
  backend: string | null
}

export type ProbeReply = { type: 'devices'; devices: Device[] } | { type: 'failed'; reason: string }

/** Kinds in the order in which they are tried; Apple Silicon has one build for both its GPU and its CPU. */
const kinds: Record<string, InstalledBuild['kind'][]> = {
  'linux-x64': ['cuda', 'cuda-ext', 'vulkan', 'cpu'],
  'win-x64': ['cuda', 'cuda-ext', 'vulkan', 'cpu'],
  'mac-arm64': ['metal'],
}

/** The builds for this platform, the preferred first; packages of other architectures that npm installed do not count. */
export function platformBuilds(packages: string | null, platform: NodeJS.Platform, arch: string): InstalledBuild[] {
  const system = { darwin: 'mac', win32: 'win' }[platform as string] ?? platform
  const base = `${system}-${arch === 'arm' ? 'armv7l' : arch}`
  return (kinds[base] ?? (['cpu'] as const)).map((kind) => {
    const target = kind === 'cpu' ? base : `${base}-${kind}`
    // The package for older CUDA holds nothing but its backend, to be used with the libraries of the other.
    const folder =
      packages === null ? null : kind === 'cuda-ext' ? join(packages, target, 'bins', `${base}-cuda`, 'fallback') : join(packages, target, 'bins', target)
    const installed = folder !== null && existsSync(folder)
    return { target, kind, folder: installed ? folder : null, backend: installed ? backendFile(folder, kind) : null }
  })
}

function backendFile(folder: string, kind: InstalledBuild['kind']): string | null {
  if (kind === 'cpu') return null
  const name = readdirSync(folder).find((file) => new RegExp(`^(lib)?ggml-${kind.replace('-ext', '')}\\.(so|dll|dylib)$`).test(file))
  return name === undefined ? null : join(folder, name)
}

/** The folder `@node-llama-cpp` that a file of ours would find; beside the archive when it is packed, as libraries cannot be opened within. */
export function findPackages(from: string): string | null {
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    const packages = join(folder.replace(/app\.asar(?=$|[\\/])/, 'app.asar.unpacked'), 'node_modules', '@node-llama-cpp')
    if (existsSync(packages)) return packages
    if (dirname(folder) === folder) return null
  }
}

/** Why a build cannot be used, in words for the user, from what the system's loader or the child said. */
export function explain(kind: InstalledBuild['kind'], reason: string): string {
  const library = /(\S+?\.(?:so[.\d]*|dylib|dll)): cannot open shared object file/.exec(reason)?.[1] ?? /Library not loaded: (\S+)/.exec(reason)?.[1]
  if (library !== undefined) {
    if (/vulkan/.test(library)) return `no Vulkan loader on this machine (${library} is missing)`
    if (/libcuda\.so/.test(library)) return `no NVIDIA driver on this machine (${library} is missing)`
    if (/cudart|cublas/.test(library)) return `CUDA runtime ${library} not found`
    return `${library} not found`
  }
  if (/The specified module could not be found/.test(reason)) {
    if (kind === 'vulkan') return 'no Vulkan loader on this machine (vulkan-1.dll is missing)'
    if (kind !== 'cpu') return 'the NVIDIA driver or the CUDA runtime is missing'
  }
  return reason.split('\n')[0] ?? reason
}
