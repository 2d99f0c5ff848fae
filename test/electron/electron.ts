import type * as Electron from 'electron'
import { app } from './app.ts'
import { browser, debuggingEndpoint, strayRequests } from './browser.ts'
import { clipboard, dialog, Menu, Notification, nativeImage, recorded, session, shell, Tray } from './desktop.ts'
import { utilityProcess } from './utility-process.ts'
import { BrowserWindow, ipcMain, protocol } from './window.ts'

// The module that `electron` resolves to in the double: only what this program uses. A name that is missing here fails at import.
export { app, BrowserWindow, clipboard, dialog, ipcMain, Menu, Notification, nativeImage, protocol, session, shell, Tray, utilityProcess }

const modules = {
  app,
  BrowserWindow,
  clipboard,
  dialog,
  ipcMain,
  Menu,
  nativeImage,
  Notification,
  protocol,
  session,
  shell,
  Tray,
  utilityProcess,
  recorded,
  strayRequests,
}

/** What a test's function is called with: Electron's module, and what the double has recorded. */
export type Modules = typeof Electron & Pick<typeof modules, 'recorded' | 'strayRequests'>

// The test drives this process as Playwright drives Electron's main process.
process.on('message', (message) => {
  const { id, fn, arg } = message as { id: number; fn: string; arg: unknown }
  void (async () => {
    try {
      const value = await new Function(`return (${fn})`)()(modules, arg)
      process.send?.({ id, value })
    } catch (error) {
      process.send?.({ id, error: String((error as Error).stack) })
    }
  })()
})
process.on('disconnect', () => app.exit(0))

// After the entry's own first steps, as in Electron. A second instance is on its way out already and opens no browser.
setImmediate(async () => {
  await Promise.resolve()
  if (process.env.DOUBLE_SECOND !== '1') {
    await browser(app.getPath('userData'))
    process.send?.({ endpoint: await debuggingEndpoint() })
  }
  app.markReady()
})
