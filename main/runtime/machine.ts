import type { Device } from './device.ts'
import type { Hardware } from './hardware.ts'
import type { MemoryState } from './placement.ts'
import type { SystemMemory } from './system-memory.ts'

/** What a model takes, as far as free memory depends on it. */
export interface Holder {
  /** Bytes by device; what it will hold while it is being loaded. */
  readonly holds: Record<string, number>
  /** The part of it that is taken already, 0 to 1. */
  readonly taken: number
}

/** Free memory of this machine with our own models counted: as it is, or as it would be without some of them. */
export class Machine {
  readonly #hardware: () => Hardware
  readonly #memory: () => SystemMemory

  constructor(hardware: () => Hardware, memory: () => SystemMemory) {
    this.#hardware = hardware
    this.#memory = memory
  }

  gpus(): Device[] {
    return this.#hardware().devices.filter(({ kind }) => kind === 'gpu' || kind === 'igpu')
  }

  /** Memory of the machine and of its GPUs together. */
  totalBytes(): number {
    return this.gpus().reduce((sum, gpu) => sum + (isUnified(gpu) ? 0 : gpu.totalBytes), this.#memory().totalBytes)
  }

  stateWithout(gone: readonly Holder[], models: Iterable<Holder>): MemoryState {
    const ram = this.#memory()
    let ramBytes = ram.freeBytes
    const onGpus: Record<string, number> = {}
    for (const model of models) {
      const leaves = gone.includes(model)
      for (const [device, bytes] of Object.entries(model.holds)) {
        if (device === 'CPU') ramBytes += leaves ? bytes * model.taken : bytes * (model.taken - 1)
        // The devices told their free memory when nothing of ours lay on them.
        else if (!leaves) onGpus[device] = (onGpus[device] ?? 0) + bytes
      }
    }
    return {
      build: this.#hardware().build,
      ram: { totalBytes: ram.totalBytes, freeBytes: Math.max(0, Math.min(ramBytes, ram.totalBytes)) },
      gpus: this.gpus().map((gpu) => ({
        name: gpu.name,
        totalBytes: gpu.totalBytes,
        freeBytes: Math.max(0, gpu.freeBytes - (onGpus[gpu.name] ?? 0)),
        unified: isUnified(gpu),
      })),
    }
  }
}

/** Its memory is the machine's. */
function isUnified({ name, kind }: Device): boolean {
  return kind === 'igpu' || /^(Metal|MTL)/.test(name)
}

/** After a failure the free memory counts for less than the system says. */
export function lessOf(state: MemoryState): MemoryState {
  const scale = <M extends { freeBytes: number }>(memory: M): M => ({ ...memory, freeBytes: memory.freeBytes * 0.8 })
  return { ...state, ram: scale(state.ram), gpus: state.gpus.map(scale) }
}

/** The state once these bytes are given back too. */
export function withMore(state: MemoryState, bytes: Record<string, number>): MemoryState {
  return {
    ...state,
    ram: { ...state.ram, freeBytes: state.ram.freeBytes + (bytes.CPU ?? 0) },
    gpus: state.gpus.map((gpu) => ({ ...gpu, freeBytes: gpu.freeBytes + (bytes[gpu.name] ?? 0) })),
  }
}
