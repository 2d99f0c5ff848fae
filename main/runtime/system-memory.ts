import { readFileSync } from 'node:fs'
import { freemem, totalmem } from 'node:os'

export interface SystemMemory {
  /** What a new allocation can have without pushing others out: reclaimable file pages included. */
  freeBytes: number
  totalBytes: number
}

/** The machine's memory, or the container's when that is smaller. */
export function systemMemory(read: (file: string) => string | null = readText): SystemMemory {
  const machine = { freeBytes: meminfo(read('/proc/meminfo')) ?? freemem(), totalBytes: totalmem() }
  const group = cgroupMemory(read)
  if (group === null) return machine
  return { freeBytes: Math.min(machine.freeBytes, group.freeBytes), totalBytes: Math.min(machine.totalBytes, group.totalBytes) }
}

function meminfo(text: string | null): number | null {
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(text ?? '')?.[1]
  return kibibytes === undefined ? null : Number(kibibytes) * 1024
}

/** The tightest limit on the control groups above this process (version 2, then 1); inactive file pages count as free. null: no limit. */
function cgroupMemory(read: (file: string) => string | null): SystemMemory | null {
  const groups = read('/proc/self/cgroup') ?? ''
  const unified = /^0::(\/.*)$/m.exec(groups)?.[1] ?? '/'
  const legacy = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(groups)?.[1] ?? '/'
  const limits = [
    ...withParents(unified).map((path) =>
      groupMemory(read, `/sys/fs/cgroup${path}`, { limit: 'memory.max', usage: 'memory.current', inactive: 'inactive_file' }),
    ),
    ...withParents(legacy).map((path) =>
      groupMemory(read, `/sys/fs/cgroup/memory${path}`, { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', inactive: 'total_inactive_file' }),
    ),
  ].filter((group) => group !== null)
  if (limits.length === 0) return null
  return { totalBytes: Math.min(...limits.map(({ totalBytes }) => totalBytes)), freeBytes: Math.min(...limits.map(({ freeBytes }) => freeBytes)) }
}

function groupMemory(read: (file: string) => string | null, folder: string, names: { limit: string; usage: string; inactive: string }): SystemMemory | null {
  const limit = Number(read(`${folder}/${names.limit}`)?.trim())
  const usage = Number(read(`${folder}/${names.usage}`)?.trim())
  // `max`, or version 1's largest page-aligned number, stands for no limit.
  if (!Number.isFinite(limit) || !Number.isFinite(usage) || limit <= 0 || limit >= 2 ** 60) return null
  const inactive = Number(new RegExp(`^${names.inactive} (\\d+)`, 'm').exec(read(`${folder}/memory.stat`) ?? '')?.[1] ?? 0)
  return { totalBytes: limit, freeBytes: Math.max(0, limit - usage + inactive) }
}

/** `/a/b` → `/a/b`, `/a`, ``; a container sees its own group as the root. */
function withParents(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '')
  return names.map((_, at) => `/${names.slice(0, names.length - at).join('/')}`).concat('')
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null // another system, or an older kernel
  }
}
