import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { libraryFolder, libraryNames, listDevices, loadLibrary, platformBuild } from '../../../../main/runtime/llama/library.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'

test.each<[string, NodeJS.Platform, string, string]>([
  ['Linux', 'linux', 'x64', 'linux-x64'],
  ['Linux on 32-bit Arm', 'linux', 'arm', 'linux-armv7l'],
  ['a Mac with Apple Silicon', 'darwin', 'arm64', 'mac-arm64-metal'],
  ['a Mac with Intel', 'darwin', 'x64', 'mac-x64'],
  ['Windows', 'win32', 'x64', 'win-x64'],
])('platformBuild() knows %s', (_, platform, arch, build) => {
  expect(platformBuild(platform, arch)).toBe(build)
})

test.each([
  ['linux-x64', 'libggml-base.so', 'libggml.v0.4.0.so', 'libllama.v0.4.0.so'],
  ['linux-x64-cuda', 'libggml-base.so', 'libggml.cuda.v0.4.0.so', 'libllama.cuda.v0.4.0.so'],
  ['mac-arm64-metal', 'libggml-base.dylib', 'libggml.metal.v0.4.0.dylib', 'libllama.metal.v0.4.0.dylib'],
  ['win-x64-vulkan', 'ggml-base.dll', 'ggml.vulkan.v0.4.0.dll', 'llama.vulkan.v0.4.0.dll'],
])('libraryNames() names the files of %s', (build, base, ggml, llama) => {
  expect(libraryNames(build)).toEqual({ base, ggml, llama })
})

test('libraryFolder() looks beside a packed app, not inside', async () => {
  await using folder = await temporaryFolder()
  const unpacked = join(folder.path, 'app.asar.unpacked/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64')
  await mkdir(unpacked, { recursive: true })
  const found = libraryFolder('linux-x64', [join(folder.path, 'app.asar/node_modules')])
  expect(found?.replace(/\/$/, '')).toBe(unpacked)
})

test('libraryFolder() gives the libraries of CUDA for its older backend', async () => {
  await using folder = await temporaryFolder()
  const cuda = join(folder.path, '@node-llama-cpp/linux-x64-cuda/bins/linux-x64-cuda')
  await mkdir(cuda, { recursive: true })
  expect(libraryFolder('linux-x64-cuda-ext', [folder.path])?.replace(/\/$/, '')).toBe(cuda)
})

test('loadLibrary() says which package is missing', () => {
  expect(() => loadLibrary('linux-x64-tpu')).toThrow('@node-llama-cpp/linux-x64-tpu is not installed')
})

test('listDevices() gives the processor with its memory', () => {
  const devices = listDevices(loadLibrary(platformBuild()))
  expect(devices.find(({ kind }) => kind === 'cpu')).toMatchObject({ name: 'CPU', totalBytes: expect.any(Number) })
})
