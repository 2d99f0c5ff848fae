import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { extractAsar, listAsar, type Packed } from '../electron/asar.ts'
import { fullChromium } from '../electron/installed.ts'
import { launch } from '../electron/launch.ts'
import { fuseSentinel, makeElectronStandIn } from '../electron/stand-in.ts'
import { type TemporaryFolder, temporaryFolder } from '../helpers/temporary-folder.ts'
import { endedReply, say } from './open-app.ts'

const root = path.resolve(import.meta.dirname, '../..')
const { arch } = process
const packable = process.platform === 'linux'
if (!packable) console.log('left out: packing needs the stand-in for Electron, which is made for Linux')

describe.runIf(packable)('the packed folder', () => {
  let folder: TemporaryFolder
  let resources: string
  let packed: Packed[]

  beforeAll(async () => {
    folder = await temporaryFolder()
    const standIn = path.join(folder.path, 'electron')
    await makeElectronStandIn(standIn, JSON.parse(await readFile(path.join(root, 'node_modules/electron/package.json'), 'utf8')).version)
    const args = ['--linux', 'dir', `--${arch}`, `-c.electronDist=${standIn}`, `-c.directories.output=${folder.path}/out`]
    await promisify(execFile)(process.execPath, [path.join(root, 'node_modules/electron-builder/cli.js'), ...args], { cwd: root })
    resources = path.join(folder.path, 'out', arch === 'x64' ? 'linux-unpacked' : `linux-${arch}-unpacked`, 'resources')
    packed = await listAsar(path.join(resources, 'app.asar'))
  }, 300_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  test('holds the bundle and the native packages of this platform, and nothing else', () => {
    const tops = new Set(packed.map((file) => file.path.replace(/^(dist\/\w+|node_modules\/(@[\w-]+\/)?[\w-]+).*/, '$1')))
    const wanted = ['dist/main', 'dist/preload', 'dist/renderer', `node_modules/@koromix/koffi-linux-${arch}`, `node_modules/@node-llama-cpp/linux-${arch}`]
    const vulkan = `node_modules/@node-llama-cpp/linux-${arch}-vulkan`
    expect([...tops].filter((top) => top !== vulkan).sort()).toEqual([...wanted, 'node_modules/koffi', 'package.json'].sort())
  })

  test('native code lies beside the archive, and the archive is small', () => {
    expect(packed.filter((file) => /\.(node|so)(\.|$)/.test(file.path) && !file.unpacked)).toEqual([])
    expect(packed.filter((file) => file.path.endsWith('.map'))).toEqual([])
    expect(packed.filter((file) => !file.unpacked).reduce((sum, file) => sum + file.sizeBytes, 0)).toBeLessThan(5_000_000)
  })

  test('ships the models with their licences, and the icons', async () => {
    const files = await readdir(resources, { recursive: true })
    expect(files.filter((file) => file.startsWith('models/') && path.extname(file) !== '').sort()).toEqual([
      'models/all-minilm/all-minilm.gguf',
      'models/smollm2/smollm2-135m-instruct-q4_1.gguf',
    ])
    expect(files).toEqual(
      expect.arrayContaining(['models/all-minilm/LICENSE', 'models/smollm2/LICENSE', 'icons/256x256.png', 'icons/tray.png', 'icons/icon.ico', 'LICENSE']),
    )
  })

  test('the executable does not run as Node, takes no inspector, and loads the archive only', async () => {
    const executable = await readFile(path.join(resources, '..', 'paddock'), 'latin1')
    const at = executable.indexOf(fuseSentinel) + fuseSentinel.length + 2
    // runAsNode, cookieEncryption, nodeOptions, inspect, asarIntegrity, onlyAsar, v8Snapshot, fileProtocol
    expect(executable.slice(at, at + 8)).toBe('01001100')
  })

  test.runIf(fullChromium() !== null)('unpacked, it starts and answers from the model that ships', async () => {
    await extractAsar(path.join(resources, 'app.asar'), path.join(resources, 'app'))
    await using home = await temporaryFolder()
    await using app = await launch({ resources, env: { PADDOCK_HOME: home.path, OLLAMA_HOST: '127.0.0.1:0', PADDOCK_ORIGINS: 'none' } })
    const page = await app.firstWindow()
    await page.getByRole('button', { name: 'Start a chat with smollm2:135m' }).waitFor()
    await say(page, 'Say hello in one word.')
    const reply = page.getByRole('article', { name: 'Reply of smollm2:135m' })
    await expect.poll(async () => (await reply.locator('.markdown').allInnerTexts()).join('').length, { timeout: 30_000 }).toBeGreaterThan(3)
    await page.keyboard.press('Escape')
    await endedReply(page).waitFor()
  })
})
