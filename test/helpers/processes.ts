import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface ProcessInfo {
  pid: number
  parent: number
  command: string
  residentBytes: number
}

/** Every process of this machine: from /proc where there is one, else as `ps` tells it. */
async function allProcesses(): Promise<ProcessInfo[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,rss=,args='])
    return stdout.split('\n').flatMap((line) => {
      const [, pid, parent, rss, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), residentBytes: Number(rss) * 1024, command: command ?? '' }]
    })
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  return (await Promise.all(pids.map(processInfo))).filter((info) => info !== null)
}

async function processInfo(pid: number): Promise<ProcessInfo | null> {
  try {
    const [status, command] = await Promise.all([readFile(`/proc/${pid}/status`, 'utf8'), readFile(`/proc/${pid}/cmdline`, 'utf8')])
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
    return { pid, parent: field('PPid'), residentBytes: field('VmRSS') * 1024, command: command.replaceAll('\0', ' ') }
  } catch {
    // It has ended since the list was read.
    return null
  }
}

/** A process and all that descend from it. */
export async function family(pid: number): Promise<ProcessInfo[]> {
  const all = await allProcesses()
  const members = all.filter((info) => info.pid === pid)
  for (const member of members) members.push(...all.filter(({ parent }) => parent === member.pid))
  return members
}

/** The processes that hold a model for the given server. */
export async function runners(serverPid: number): Promise<ProcessInfo[]> {
  return (await family(serverPid)).filter(({ command }) => /runner-process|paddock runner/.test(command))
}

export const totalResident = (members: readonly ProcessInfo[]) => members.reduce((sum, { residentBytes }) => sum + residentBytes, 0)

/** Those of them that have not ended; a process that has taken the number of one since is another. */
export async function stillRunning(members: readonly ProcessInfo[]): Promise<ProcessInfo[]> {
  const now = await allProcesses()
  return members.filter((member) => now.some(({ pid, command }) => pid === member.pid && command === member.command))
}

/** Seconds of processor time that a process has used, all threads (Linux; null elsewhere). */
export async function processorSeconds(pid: number): Promise<number | null> {
  if (process.platform !== 'linux') return null
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // utime and stime, the 14th and 15th field, in clock ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Whether a process has computed for a moment since this was called; where the system does not say, whether half a second has passed. */
export async function atWork(pid: number): Promise<() => Promise<boolean>> {
  const [begin, beginMs] = [await processorSeconds(pid), performance.now()]
  return async () => {
    const now = await processorSeconds(pid)
    return now === null || begin === null ? performance.now() - beginMs > 500 : now - begin > 0.2
  }
}
