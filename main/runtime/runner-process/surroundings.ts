import { readFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'

/** What else happens on the machine. */
export interface Surroundings {
  nowMs(): number
  /** Cores that were idle or ours on average since the last call. */
  freeCores(): number
  /** Threads of others that want to run at this moment, per core; 0 where the system does not say. */
  rivalsPerCore(): number
}

/** By the system's own clocks. */
function freeCoresSinceLastCall(): () => number {
  let before = totals()
  return () => {
    const after = totals()
    const elapsedMs = (after.all - before.all) / after.cores
    const free = elapsedMs > 0 ? (after.idle - before.idle + after.own - before.own) / elapsedMs : after.cores
    before = after
    return free
  }
}

function rivalsPerCore(): number {
  if (process.platform !== 'linux') return 0
  try {
    // `0.20 0.18 0.12 3/812 11206`: three can run, we among them.
    const running = Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1] ?? 1)
    return (running - 1) / availableParallelism()
  } catch {
    return 0 // no /proc, as in some sandboxes
  }
}

/** This machine. */
export const surroundings: Surroundings = { nowMs: () => performance.now(), freeCores: freeCoresSinceLastCall(), rivalsPerCore }

/** Milliseconds of all cores together. */
function totals(): { idle: number; own: number; all: number; cores: number } {
  let idle = 0
  let all = 0
  const list = cpus()
  for (const { times } of list) {
    idle += times.idle
    all += times.idle + times.user + times.nice + times.sys + times.irq
  }
  const { user, system } = process.cpuUsage()
  return { idle, own: (user + system) / 1000, all, cores: Math.max(1, list.length) }
}
