import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Log } from '../../../main/lib/log.ts'
import { explain, findPackages, type ProbeReply, type ProbeRequest, platformBuilds } from '../../../main/runtime/builds.ts'
import type { Device } from '../../../main/runtime/device.ts'
import { HardwareProbe, type HardwareProbeOptions, type ProbeSettings } from '../../../main/runtime/hardware.ts'
import type { Spawn } from '../../../main/runtime/process.ts'
import { cpuBuild } from '../../helpers/runner-requests.ts'
import { probeEntry, spawn } from './cria.ts'

const folder = mkdtempSync(join(tmpdir(), 'hardware-'))
afterAll(() => rmSync(folder, { recursive: true }))

const defaults: ProbeSettings = { llmLibrary: '', vulkan: true, integratedGpu: false, deviceEnvironment: {} }
const processor: Device = { name: 'CPU', description: 'cpu', kind: 'cpu', freeBytes: 1, totalBytes: 1 }
const nvidia: Device = { name: 'CUDA0', description: 'NVIDIA', kind: 'gpu', freeBytes: 8, totalBytes: 8 }
const intel: Device = { name: 'Vulkan0', description: 'Intel Iris', kind: 'igpu', freeBytes: 4, totalBytes: 4 }

/** A folder of packages as npm installs them on Linux x64, with empty libraries. */
function packages(...targets: string[]): string {
  const root = mkdtempSync(join(folder, 'packages-'))
  for (const target of targets) {
    const inside = target.endsWith('-ext') ? join(root, target, 'bins', 'linux-x64-cuda', 'fallback') : join(root, target, 'bins', target)
    mkdirSync(inside, { recursive: true })
    for (const kind of ['cuda', 'vulkan']) if (target.includes(kind)) writeFileSync(join(inside, `libggml-${kind}.so`), '')
  }
  return root
}

/** A machine with other devices than this one: the child's answers are given. */
function answering(answers: Record<string, ProbeReply>, asked: string[] = []): Spawn {
  return () => {
    const child = Promise.withResolvers<unknown>()
    return {
      pid: 1,
      post(message) {
        const { build } = message as ProbeRequest
        asked.push(build)
        child.resolve(answers[build] ?? { type: 'devices', devices: [processor] })
      },
      onMessage: (listener) => void child.promise.then(listener),
      onExit: () => {},
      stderrTail: () => '',
      kill: () => {},
    }
  }
}

async function probe(options: Partial<HardwareProbeOptions>) {
  await using found = new HardwareProbe({ spawn, entry: probeEntry, config: defaults, log: new Log('error'), platform: 'linux', arch: 'x64', ...options })
  found.start()
  await found.ready
  await found.complete
  return found.current()
}

const all = ['linux-x64', 'linux-x64-cuda', 'linux-x64-cuda-ext', 'linux-x64-vulkan', 'linux-arm64']
const gpuAnswers: Record<string, ProbeReply> = {
  'linux-x64-cuda': { type: 'devices', devices: [processor, nvidia] },
  'linux-x64-vulkan': { type: 'devices', devices: [processor, { ...nvidia, name: 'Vulkan0' }] },
}

describe('HardwareProbe', () => {
  test('knows this machine at once, and names a reason for every build that it does not use', async () => {
    await using found = new HardwareProbe({ spawn, entry: probeEntry, config: defaults, log: new Log('error') })
    found.start()
    const first = found.current()
    expect(first).toMatchObject({ build: cpuBuild, cpu: { physicalCores: expect.any(Number) } })
    expect(first.devices.at(-1)?.totalBytes).toBeGreaterThan(0)
    const { builds, build } = await found.ready
    await found.complete
    expect(
      found
        .current()
        .builds.filter(({ state }) => state === 'used')
        .map(({ target }) => target),
    ).toEqual([build])
    expect(builds.filter(({ state, reason }) => state !== 'used' && reason === '')).toEqual([])
  })

  test('uses the first build that has a GPU, GPUs first', async () => {
    const hardware = await probe({ spawn: answering(gpuAnswers), packages: packages(...all) })
    expect(hardware).toMatchObject({ build: 'linux-x64-cuda', devices: [nvidia, { name: 'CPU' }] })
    expect(hardware.builds.map(({ target, state }) => [target, state])).toEqual([
      ['linux-x64-cuda', 'used'],
      ['linux-x64-cuda-ext', 'available'],
      ['linux-x64-vulkan', 'available'],
      ['linux-x64', 'available'],
    ])
  })

  test('goes on to the next build when one crashes', async () => {
    const entry = join(folder, 'crash.ts')
    writeFileSync(entry, `process.on('message', () => { process.stderr.write('vk::DeviceLostError\\n'); process.kill(process.pid, 'SIGSEGV') })`)
    const hardware = await probe({ entry, packages: packages('linux-x64', 'linux-x64-vulkan') })
    expect(hardware.build).toBe('linux-x64')
    expect(hardware.builds.find(({ target }) => target === 'linux-x64-vulkan')).toMatchObject({
      state: 'unusable',
      reason: 'crashed (SIGSEGV): vk::DeviceLostError',
    })
  })

  test('goes on to the next build when one hangs', async () => {
    const entry = join(folder, 'hang.ts')
    writeFileSync(entry, `process.on('message', () => {}); setInterval(() => {}, 1000)`)
    const hardware = await probe({ entry, packages: packages('linux-x64', 'linux-x64-vulkan'), timeoutMs: 300 })
    expect(hardware.builds.find(({ target }) => target === 'linux-x64-vulkan')).toMatchObject({
      state: 'unusable',
      reason: 'did not answer within 0.3 seconds',
    })
  })

  test('says which build is not installed', async () => {
    const { builds } = await probe({ spawn: answering({}), packages: packages('linux-x64') })
    expect(builds.find(({ target }) => target === 'linux-x64-cuda')).toMatchObject({ state: 'missing', reason: 'not installed' })
  })

  test('is ready at once when there is no GPU build to wait for', async () => {
    await using found = new HardwareProbe({
      spawn: () => ({ pid: 1, post() {}, onMessage() {}, onExit: () => {}, stderrTail: () => '', kill() {} }),
      entry: probeEntry,
      config: defaults,
      log: new Log('error'),
      packages: packages('linux-x64'),
      platform: 'linux',
      arch: 'x64',
      timeoutMs: 1,
    })
    found.start()
    await expect(found.ready).resolves.toMatchObject({ build: 'linux-x64' })
  })

  test('OLLAMA_LLM_LIBRARY chooses, and only what it names is tried', async () => {
    const asked: string[] = []
    const hardware = await probe({ spawn: answering(gpuAnswers, asked), packages: packages(...all), config: { ...defaults, llmLibrary: 'cpu_avx2' } })
    expect(hardware.build).toBe('linux-x64')
    expect(asked).toEqual(['linux-x64'])
    expect(hardware.builds[0]).toMatchObject({ state: 'available', reason: 'OLLAMA_LLM_LIBRARY asks for cpu_avx2' })
  })

  test('OLLAMA_VULKAN=0 leaves Vulkan alone', async () => {
    const asked: string[] = []
    await probe({ spawn: answering({}, asked), packages: packages('linux-x64', 'linux-x64-vulkan'), config: { ...defaults, vulkan: false } })
    expect(asked).toEqual(['linux-x64'])
  })

  test('an integrated GPU is used only when asked for', async () => {
    const spawn = answering({ 'linux-x64-vulkan': { type: 'devices', devices: [processor, intel] } })
    const without = await probe({ spawn, packages: packages('linux-x64', 'linux-x64-vulkan') })
    expect(without.build).toBe('linux-x64')
    expect(without.builds.find(({ target }) => target === 'linux-x64-vulkan')?.reason).toBe('only an integrated GPU (Intel Iris); OLLAMA_IGPU_ENABLE=1 uses it')
    const asked = await probe({ spawn, packages: packages('linux-x64', 'linux-x64-vulkan'), config: { ...defaults, integratedGpu: true } })
    expect(asked).toMatchObject({ build: 'linux-x64-vulkan', devices: [intel, { name: 'CPU' }] })
  })

  test('disposing ends a probe that runs', async () => {
    const entry = join(folder, 'hang-too.ts')
    writeFileSync(entry, `process.on('message', () => {}); setInterval(() => {}, 1000)`)
    const found = new HardwareProbe({
      spawn,
      entry,
      config: defaults,
      log: new Log('error'),
      packages: packages('linux-x64-vulkan'),
      platform: 'linux',
      arch: 'x64',
    })
    found.start()
    await found[Symbol.asyncDispose]()
    await expect(found.ready).resolves.toMatchObject({ build: 'linux-x64' })
  })
})

describe('platformBuilds()', () => {
  test('leaves out what npm installed for another processor', () => {
    const targets = platformBuilds(packages(...all), 'linux', 'arm64').map(({ target }) => target)
    expect(targets).toEqual(['linux-arm64'])
  })

  test('takes the backend for older CUDA from its own package', () => {
    const build = platformBuilds(packages(...all), 'linux', 'x64').find(({ kind }) => kind === 'cuda-ext')
    expect(build?.backend).toMatch(/linux-x64-cuda-ext\/bins\/linux-x64-cuda\/fallback\/libggml-cuda\.so$/)
  })

  test('has one build on Apple Silicon', () => {
    expect(platformBuilds(null, 'darwin', 'arm64')).toEqual([{ target: 'mac-arm64-metal', kind: 'metal', folder: null, backend: null }])
  })
})

test('findPackages() looks beside a packed app', () => {
  const app = mkdtempSync(join(folder, 'app-'))
  const packed = join(app, 'app.asar.unpacked', 'node_modules', '@node-llama-cpp')
  mkdirSync(packed, { recursive: true })
  expect(findPackages(join(app, 'app.asar', 'dist', 'main', 'probe.js'))).toBe(packed)
})

test.each([
  ['vulkan', 'libvulkan.so.1: cannot open shared object file: No such file or directory', 'no Vulkan loader on this machine (libvulkan.so.1 is missing)'],
  ['cuda', 'libcudart.so.13: cannot open shared object file: No such file or directory', 'CUDA runtime libcudart.so.13 not found'],
  ['cuda', 'libcuda.so.1: cannot open shared object file: No such file or directory', 'no NVIDIA driver on this machine (libcuda.so.1 is missing)'],
  ['cuda', 'The specified module could not be found.\r\n\\\\?\\C:\\ggml-cuda.dll', 'the NVIDIA driver or the CUDA runtime is missing'],
  ['vulkan', 'something else\nand more', 'something else'],
] as const)('explain(%s, %s)', (kind, reason, words) => {
  expect(explain(kind, reason)).toBe(words)
})
