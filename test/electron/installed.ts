import { existsSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '../..')

/** Electron's executable, where it was installed and there is a display for it. */
export function electronBinary(): string | null {
  const name = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' }[process.platform as string] ?? 'electron'
  const file = path.join(process.env.ELECTRON_OVERRIDE_DIST_PATH ?? path.join(root, 'node_modules/electron/dist'), name)
  const display = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY
  return display && existsSync(file) ? file : null
}

/** A full Chrome or Chromium of this machine: the double needs a second connection to its debugger, which a headless build refuses. */
export function fullChromium(): string | null {
  const folders: Record<string, string[]> = {
    linux: ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable', '/snap/bin/chromium'],
    darwin: ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'],
    win32: [`${process.env.PROGRAMFILES}\\Google\\Chrome\\Application\\chrome.exe`],
  }
  const candidates = [process.env.CHROMIUM ?? '', ...(folders[process.platform] ?? [])]
  return candidates.find((file) => file !== '' && existsSync(file)) ?? null
}
