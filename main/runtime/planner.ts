import type { AppError } from '../errors.ts'
import { type Demand, type ModelSpec, wishOf } from './demand.ts'
import type { Hardware } from './hardware.ts'
import { lessOf, Machine, withMore } from './machine.ts'
import type { Correction, Measurements } from './memory.ts'
import type { LoadOptions } from './options.ts'
import {
  atLeast,
  isGoodEnough,
  layerDevices,
  type MemoryState,
  type Placement,
  type PlacementPolicy,
  place,
  placeContext,
  tooLarge,
  type Wish,
} from './placement.ts'
import type { Resident, RunnerHold } from './resident.ts'
import type { SystemMemory } from './system-memory.ts'

export interface PlannerOptions<R extends RunnerHold> {
  hardware: () => Hardware
  memory: () => SystemMemory
  threads: number
  settings: PlacementPolicy & { contextLength: number | null }
  /** All that have a process. */
  models: ReadonlyMap<string, Resident<R>>
  measurements: Measurements
}

/** Where a model, or a context of one that is loaded, goes. */
export interface Plan {
  /** With the machine to itself. */
  alone: Placement
  /** Why it cannot be had even then. */
  problem: AppError | null
  place: (state: MemoryState) => Placement
  /** Whether it fares in this state about as well as alone. */
  isGoodEnough: (state: MemoryState) => boolean
}

/** Where a model would go if it were asked for now. */
export interface Preview {
  placement: Placement
  /** Those that hold layers. */
  devices: string[]
  options: LoadOptions
  machine: MemoryState
  /** How far earlier loads of it were off their estimate. */
  correction: Correction
  /** Why it would be refused; null when it may be tried. */
  problem: AppError | null
}

/** What a request wants. */
type Asked = { spec: ModelSpec; demand: Demand }

/** Says where things would go on this machine, by what earlier loads really took. Changes nothing. */
export class Planner<R extends RunnerHold> {
  readonly #options: PlannerOptions<R>
  readonly #machine: Machine

  constructor(options: PlannerOptions<R>) {
    this.#options = options
    this.#machine = new Machine(options.hardware, options.memory)
  }

  gpuNames(): string[] {
    return this.#machine.gpus().map(({ name }) => name)
  }

  /** Free memory, once these models have gone. */
  stateWithout(gone: readonly Resident<R>[]): MemoryState {
    return this.#machine.stateWithout(gone, this.#options.models.values())
  }

  wish({ spec, demand }: Asked): Wish {
    const { threads, settings } = this.#options
    return wishOf(spec, demand, { gpus: this.#machine.gpus().length, threads, contextLength: settings.contextLength })
  }

  /** True for a request that cannot be served either when this wish cannot. */
  asksAsMuch(asked: Asked, wish: Wish): boolean {
    const { automatic, contextLength } = this.wish(asked)
    return automatic === wish.automatic && contextLength >= wish.contextLength
  }

  /** For a load; one that is `cautious`, as the last ran out of memory, asks for less. */
  load({ key, shape }: ModelSpec, wish: Wish, others: readonly Resident<R>[], { cautious = false } = {}): Plan {
    const { settings, measurements } = this.#options
    const correction = measurements.correction(key)
    const alone = this.stateWithout(others)
    const least = wish.automatic ? place(shape, atLeast(wish), alone, settings, correction) : null
    return this.#plan(shape, wish, alone, least, (state) => place(shape, wish, cautious ? lessOf(state) : state, settings, correction))
  }

  /** For a context on loaded weights. Without running replies the one that there is goes first. */
  context({ spec, layout, leases, contextBytes }: Resident<R>, wish: Wish, others: readonly Resident<R>[]): Plan {
    const { settings, measurements } = this.#options
    const correction = measurements.correction(spec.key)
    const own = leases.size === 0 ? contextBytes : {}
    const plan = this.#plan(spec.shape, wish, this.stateWithout(others), null, (state) =>
      placeContext(spec.shape, layout, wish, withMore(state, own), settings, correction),
    )
    return wish.automatic ? { ...plan, problem: null } : plan
  }

  #plan(shape: ModelSpec['shape'], wish: Wish, free: MemoryState, least: Placement | null, placeIn: Plan['place']): Plan {
    const alone = placeIn(free)
    return {
      alone,
      problem: tooLarge(least ?? alone, shape, wish, this.#machine.totalBytes()),
      place: placeIn,
      isGoodEnough: (state) => isGoodEnough(placeIn(state), alone, wish),
    }
  }

  /** Where this model would go if all others were let go, or with `longest` with all the context that fits. */
  preview(spec: ModelSpec, demand: Demand, { longest }: { longest: boolean }): Preview {
    const asked = this.wish({ spec, demand })
    const wish = longest ? { ...asked, contextLength: Math.max(spec.shape.contextLength, asked.contextLength), automatic: true } : asked
    const others = [...this.#options.models.values()]
    const { alone, problem } = this.load(spec, wish, others)
    const machine = this.stateWithout(others)
    return {
      placement: alone,
      devices: layerDevices(alone, spec.shape, machine),
      options: this.loadOptions(spec, alone),
      machine,
      correction: this.#options.measurements.correction(spec.key),
      problem,
    }
  }

  /** The devices that hold the layers of a loaded model. */
  devicesOf({ layout, spec }: Resident<R>): string[] {
    return layerDevices(layout, spec.shape, this.stateWithout([]))
  }

  loadOptions({ file, parts }: ModelSpec, { gpuLayers, mainGpu, useMmap }: Placement): LoadOptions {
    return { file, ...(parts && { parts }), build: this.#options.hardware().build, gpuLayers, mainGpu, useMmap, useMlock: false }
  }
}
