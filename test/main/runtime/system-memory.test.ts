import { expect, test } from 'vitest'
import { systemMemory } from '../../../main/runtime/system-memory.ts'

const gibibyte = 2 ** 30
const meminfo = 'MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n'

function machine(files: Record<string, string>) {
  return systemMemory((file) => ({ '/proc/meminfo': meminfo, ...files })[file] ?? null)
}

test('free is what the kernel says is available, reclaimable pages included', () => {
  expect(machine({}).freeBytes).toBe(8 * gibibyte)
})

test("a container's limit counts, its file pages are free", () => {
  const memory = machine({
    '/proc/self/cgroup': '0::/\n',
    '/sys/fs/cgroup/memory.max': String(2 * gibibyte),
    '/sys/fs/cgroup/memory.current': String(1.5 * gibibyte),
    '/sys/fs/cgroup/memory.stat': `anon 5\ninactive_file ${0.5 * gibibyte}\n`,
  })
  expect(memory).toEqual({ totalBytes: 2 * gibibyte, freeBytes: gibibyte })
})

test('a limit on a group above counts too', () => {
  const memory = machine({
    '/proc/self/cgroup': '0::/user.slice/app.service\n',
    '/sys/fs/cgroup/user.slice/app.service/memory.max': 'max\n',
    '/sys/fs/cgroup/user.slice/app.service/memory.current': '5\n',
    '/sys/fs/cgroup/user.slice/memory.max': String(gibibyte),
    '/sys/fs/cgroup/user.slice/memory.current': '0',
  })
  expect(memory.totalBytes).toBe(gibibyte)
})

test('version 1 of control groups', () => {
  const memory = machine({
    '/proc/self/cgroup': '4:memory:/docker/abc\n0::/\n',
    '/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes': String(gibibyte),
    '/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes': String(gibibyte / 4),
    '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    '/sys/fs/cgroup/memory/memory.usage_in_bytes': '1',
  })
  expect(memory).toEqual({ totalBytes: gibibyte, freeBytes: 0.75 * gibibyte })
})

test('this machine has memory', () => {
  const { freeBytes, totalBytes } = systemMemory()
  expect(freeBytes).toBeGreaterThan(0)
  expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
})
