import { BrowserWindow } from 'electron'

interface Options {
  page: string
  /** File of the preload script. */
  preload: string
  icon: string
  devTools: boolean
  /** Closing only hides, as there is another way back. */
  staysHidden: () => boolean
  /** It was hidden for the first time. */
  hidden: () => void
}

/** The one window. Closing it leaves the server running; it comes back as it was. */
export class MainWindow {
  readonly #options: Options
  #window: BrowserWindow | null = null
  #toldOfHiding = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Opens it, or brings it to the front. */
  show(): void {
    this.#window ??= this.#open()
    if (this.#window.isMinimized()) this.#window.restore()
    this.#window.show()
    this.#window.focus()
  }

  #open(): BrowserWindow {
    const { page, preload, icon, devTools } = this.#options
    const window = new BrowserWindow({
      name: 'main',
      windowStatePersistence: true,
      title: 'Paddock',
      icon,
      width: 1080,
      height: 760,
      minWidth: 360,
      minHeight: 420,
      show: false,
      autoHideMenuBar: true,
      webPreferences: { preload, sandbox: true, contextIsolation: true, nodeIntegration: false, spellcheck: false, devTools },
    })
    window.on('close', (event) => {
      if (!this.#options.staysHidden()) return
      event.preventDefault()
      window.hide()
      if (!this.#toldOfHiding) this.#options.hidden()
      this.#toldOfHiding = true
    })
    window.on('closed', () => {
      this.#window = null
    })
    // A page that crashed is drawn again: its replies are in this process.
    window.webContents.on('render-process-gone', (_event, { reason }) => {
      if (reason !== 'clean-exit' && !window.isDestroyed()) window.webContents.reload()
    })
    void window.loadURL(page)
    return window
  }
}
