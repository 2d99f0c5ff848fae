import { describe, expect, test } from 'vitest'
import { type CpuFacts, defaultThreads, physicalCores } from '../../../main/runtime/threads.ts'

function facts(changes: Partial<CpuFacts> & { logical: number }): CpuFacts {
  const { logical, ...rest } = changes
  return { platform: 'linux', arch: 'x64', models: Array(logical).fill('cpu'), available: logical, siblings: [], ...rest }
}

const hyperthreaded = facts({ logical: 8, siblings: ['0,4', '1,5', '2,6', '3,7', '0,4', '1,5', '2,6', '3,7'] })

describe('physicalCores()', () => {
  test('counts two threads of a core once', () => {
    expect(physicalCores(hyperthreaded)).toBe(4)
  })

  test('counts every processor where the system does not say', () => {
    expect(physicalCores(facts({ logical: 6, siblings: ['', '', '', '', '', ''] }))).toBe(6)
  })

  test.each([
    ['win32', 'x64', 16, 8],
    ['win32', 'arm64', 12, 12],
    ['darwin', 'x64', 8, 4],
    ['darwin', 'arm64', 10, 10],
  ] as const)('on %s %s with %i processors: %i', (platform, arch, logical, cores) => {
    expect(physicalCores(facts({ logical, platform, arch }))).toBe(cores)
  })
})

describe('defaultThreads()', () => {
  test('is no more than a container may use', () => {
    expect(defaultThreads({ ...hyperthreaded, available: 2 })).toBe(2)
  })

  test("leaves Apple's efficiency cores alone", () => {
    expect(defaultThreads(facts({ logical: 8, platform: 'darwin', arch: 'arm64' }))).toBe(4)
  })

  test('is at least one', () => {
    expect(defaultThreads(facts({ logical: 0, available: 0 }))).toBe(1)
  })
})
