import path from 'node:path'
import { clipboard, Menu, nativeImage, Tray } from 'electron'
import type { ServerStatus } from '../bridge/contract.ts'

interface Actions {
  open: () => void
  quit: () => void
}

/** The icon of a server that runs without a window. Some desktops show none, so it is never the only way to anything. */
export class ServerTray implements Disposable {
  readonly #tray: Tray
  readonly #actions: Actions

  /** Throws where the desktop refuses an icon. */
  constructor(iconsFolder: string, actions: Actions) {
    const file = { darwin: 'trayTemplate.png', win32: 'icon.ico' }[process.platform as string] ?? 'tray.png'
    this.#actions = actions
    this.#tray = new Tray(nativeImage.createFromPath(path.join(iconsFolder, file)))
    // On macOS a click opens the menu.
    if (process.platform !== 'darwin') this.#tray.on('click', actions.open)
    this.update({ state: 'starting' })
  }

  update(status: ServerStatus): void {
    const line = statusLine(status)
    this.#tray.setToolTip(`Paddock: ${line}`)
    this.#tray.setContextMenu(
      Menu.buildFromTemplate([
        { id: 'status', label: line, enabled: false },
        { type: 'separator' },
        { id: 'open', label: 'Open Paddock', click: this.#actions.open },
        {
          id: 'copy',
          label: 'Copy Address',
          enabled: status.state === 'listening',
          click: () => {
            if (status.state === 'listening') void clipboard.writeText(status.url)
          },
        },
        { type: 'separator' },
        { id: 'quit', label: 'Quit Paddock', click: this.#actions.quit },
      ]),
    )
  }

  [Symbol.dispose](): void {
    this.#tray.destroy()
  }
}

function statusLine(status: ServerStatus): string {
  switch (status.state) {
    case 'starting':
      return 'Starting…'
    case 'listening': {
      const names = status.loaded.map(({ name }) => name)
      return `Serving at ${status.url.replace(/^https?:\/\//, '')}${names.length > 0 ? ` · ${names.join(', ')}` : ''}`
    }
    case 'failed':
      return 'Not serving: open the window to see why'
    default:
      return status satisfies never
  }
}
