import { chmod, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'

// What electron-builder needs to find in Electron's folder for Linux; nothing of it runs.

/** Where Electron's fuses lie in its executable: a sentinel, the version 1, the number of fuses, a character each. */
export const fuseSentinel = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX'
const fuses = `${fuseSentinel}\u0001\u0009${'1'.repeat(9)}`

/** Makes a folder that packs like Electron's own. */
export async function makeElectronStandIn(folder: string, version: string): Promise<void> {
  await mkdir(path.join(folder, 'locales'), { recursive: true })
  await mkdir(path.join(folder, 'resources'))
  const files = {
    version,
    LICENSE: '',
    'LICENSES.chromium.html': '',
    'locales/en-US.pak': '',
    'chrome-sandbox': '',
    chrome_crashpad_handler: '',
    electron: `#!/bin/sh\n${fuses}\n`,
  }
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content)
  await chmod(path.join(folder, 'electron'), 0o755)
}
