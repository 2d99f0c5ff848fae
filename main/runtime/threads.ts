import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform } from 'node:os'

export interface CpuFacts {
  platform: NodeJS.Platform
  arch: string
  /** Model name of each logical processor. */
  models: string[]
  /** Logical processors that this process may use: affinity and the container's quota count. */
  available: number
  /** Text of `/sys/devices/system/cpu/cpuN/topology/thread_siblings_list` of each processor, '' where there is none. */
  siblings: string[]
}

/** Cores that can compute at once; two threads of one core share its arithmetic units and only slow each other down. */
export function physicalCores(facts: CpuFacts = readCpuFacts()): number {
  const logical = Math.max(1, facts.models.length)
  switch (facts.platform) {
    case 'linux': {
      const cores = new Set(facts.siblings.filter((list) => list !== ''))
      return cores.size > 0 ? cores.size : logical
    }
    default:
      // Neither says which processors share a core; those of x86 mostly come in pairs, Arm's never.
      return facts.arch === 'arm64' ? logical : Math.max(1, Math.floor(logical / 2))
  }
}

/**
 * Threads of a runner unless a request says otherwise.
 *
 * ggml's threads spin at barriers, so one more than there are free cores costs more than it brings (inference-runtime §1). Apple's efficiency cores, a
 * quarter to a half of all, would hold the fast ones up.
 */
export function defaultThreads(facts: CpuFacts = readCpuFacts()): number {
  const cores = physicalCores(facts)
  const fast = facts.platform === 'darwin' && facts.arch === 'arm64' ? performanceCores(cores) : cores
  return Math.max(1, Math.min(fast, facts.available))
}

/** M1 to M4: four efficiency cores beside four or more fast ones; Pro and Max have two to four. */
function performanceCores(cores: number): number {
  return cores <= 4 ? cores : Math.max(4, cores - 4)
}

export function readCpuFacts(): CpuFacts {
  return {
    platform: platform(),
    arch: arch(),
    models: cpus().map(({ model }) => model),
    available: availableParallelism(),
    siblings: platform() === 'linux' ? readSiblings() : [],
  }
}

function readSiblings(): string[] {
  return cpus().map((_, processor) => {
    try {
      return readFileSync(`/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`, 'utf8').trim()
    } catch {
      return '' // offline, or no sysfs as in some sandboxes
    }
  })
}
