import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import type { BrowserWindowConstructorOptions, WindowOpenHandlerResponse } from 'electron'
import type { CDPSession, Page } from 'playwright'
import { app, preventable, windows } from './app.ts'
import { browser, originOf, schemes, toApp, toChromium } from './browser.ts'
import { createCodec } from './codec.ts'
import { pageWorld } from './page-world.ts'
import { Port } from './ports.ts'
import { type FromPage, preloadWorld, type ToPage } from './preload-world.ts'

const codec = createCodec()

export const ipcMain = new EventEmitter()

/** A page of the real Chromium, its preload script in an isolated world of it. */
class WebContents extends EventEmitter {
  readonly #window: BrowserWindow
  readonly #preferences: NonNullable<BrowserWindowConstructorOptions['webPreferences']>
  readonly #ports = new Map<string, Port>()
  #page: Page | null = null
  #cdp: CDPSession | null = null
  #contextId = ''
  #expected = ''
  #openHandler: ((details: { url: string }) => WindowOpenHandlerResponse) | null = null

  constructor(window: BrowserWindow, preferences: WebContents['getLastWebPreferences'] extends () => infer P ? P : never) {
    super()
    this.#window = window
    this.#preferences = preferences
  }

  get page(): Page {
    if (this.#page === null) throw new Error('the window has no page yet')
    return this.#page
  }
  getURL(): string {
    return toApp(this.page.url())
  }
  getLastWebPreferences(): NonNullable<BrowserWindowConstructorOptions['webPreferences']> {
    return this.#preferences
  }
  setWindowOpenHandler(handler: (details: { url: string }) => WindowOpenHandlerResponse): void {
    this.#openHandler = handler
  }
  reload(): void {
    void this.page.reload()
  }

  async attach(): Promise<void> {
    const context = await browser(app.getPath('userData'))
    const page = context.pages().find((each) => each.url() === 'about:blank') ?? (await context.newPage())
    this.#page = page
    await this.#inject(await context.newCDPSession(page))
    page.on('load', () => this.emit('did-finish-load'))
    page.on('crash', () => this.emit('render-process-gone', {}, { reason: 'crashed', exitCode: 1 }))
    page.on('close', () => this.#window.destroyed())
    page.on('popup', (popup) => {
      const verdict = this.#openHandler?.({ url: toApp(popup.url()) }) ?? { action: 'allow' }
      if (verdict.action === 'deny') void popup.close()
    })
    await page.route('**/*', async (route) => {
      const request = route.request()
      if (!request.isNavigationRequest() || request.frame() !== page.mainFrame() || request.url() === this.#expected) return route.fallback()
      const event = preventable({ url: toApp(request.url()), isMainFrame: true, isSameDocument: false })
      this.emit('will-navigate', event, event.url)
      await (event.defaultPrevented ? route.abort('aborted') : route.fallback())
    })
  }

  async loadURL(url: string): Promise<void> {
    this.#expected = toChromium(url)
    await this.page.goto(this.#expected, { waitUntil: 'load' })
    this.#expected = ''
  }

  async #inject(cdp: CDPSession): Promise<void> {
    this.#cdp = cdp
    const world = 'electron-preload'
    const secret = `x${randomUUID()}`
    const preload = readFileSync(this.#preferences.preload ?? '', 'utf8')
    cdp.on('Runtime.executionContextCreated', ({ context }) => {
      if (context.name !== world || (context.auxData as { frameId: string }).frameId !== mainFrame) return
      this.#contextId = (context as { uniqueId?: string }).uniqueId ?? ''
      // A new document: what belonged to the old one is gone.
      for (const port of this.#ports.values()) port.closed()
      this.#ports.clear()
    })
    cdp.on('Runtime.bindingCalled', ({ name, payload }) => {
      if (name === '__toNode') this.#receive(codec.decode(payload) as FromPage)
    })
    await cdp.send('Page.enable')
    const mainFrame = (await cdp.send('Page.getFrameTree')).frameTree.frame.id
    await cdp.send('Runtime.enable')
    await cdp.send('Runtime.addBinding', { name: '__toNode', executionContextName: world })
    await cdp.send('Page.addScriptToEvaluateOnNewDocument', { source: `(${pageWorld})((${createCodec})(), ${JSON.stringify(secret)})` })
    await cdp.send('Page.addScriptToEvaluateOnNewDocument', {
      worldName: world,
      source: `(${preloadWorld})((${createCodec})(), ${JSON.stringify(secret)}, function (require, module, exports) {${preload}\n})`,
    })
  }

  #receive(message: FromPage): void {
    switch (message.type) {
      case 'send': {
        const ports = message.ports.map((id) => this.#port(id))
        const url = this.getURL()
        ipcMain.emit(message.channel, { sender: this, senderFrame: { url, origin: originOf(url), parent: null }, ports }, message.message)
        break
      }
      case 'port':
        this.#ports.get(message.id)?.deliver(message.data)
        break
      case 'port-closed':
        this.#ports.get(message.id)?.closed()
        this.#ports.delete(message.id)
        break
      case 'preload-error':
        throw new Error(`the preload script failed: ${message.message}`)
      default:
        message satisfies never
    }
  }

  #port(id: string): Port {
    const port = new Port(
      (data) => this.#send({ type: 'port', id, data }),
      () => this.#send({ type: 'port-closed', id }),
    )
    this.#ports.set(id, port)
    return port
  }

  #send(message: ToPage): void {
    const expression = `globalThis.__fromNode(${JSON.stringify(codec.encode(message))})`
    // The document may be gone meanwhile; its port closes then.
    this.#cdp?.send('Runtime.evaluate', { expression, uniqueContextId: this.#contextId }).catch(() => undefined)
  }
}

export class BrowserWindow extends EventEmitter {
  static readonly #all = new Set<BrowserWindow>()
  static getAllWindows(): BrowserWindow[] {
    return [...BrowserWindow.#all]
  }

  readonly webContents: WebContents
  readonly #attached: Promise<void>
  #visible: boolean
  #destroyed = false

  constructor(options: BrowserWindowConstructorOptions) {
    super()
    if (!app.isReady()) throw new Error('Cannot create BrowserWindow before app is ready')
    this.#visible = options.show !== false
    this.webContents = new WebContents(this, { ...options.webPreferences })
    BrowserWindow.#all.add(this)
    windows.add(this)
    app.emit('web-contents-created', {}, this.webContents)
    this.#attached = this.webContents.attach()
  }

  async loadURL(url: string): Promise<void> {
    await this.#attached
    await this.webContents.loadURL(url)
  }
  async setContentSize(width: number, height: number): Promise<void> {
    await this.webContents.page.setViewportSize({ width, height })
  }
  show(): void {
    this.#visible = true
  }
  hide(): void {
    this.#visible = false
  }
  focus(): void {
    this.emit('focus')
  }
  restore(): void {
    this.emit('restore')
  }
  isVisible(): boolean {
    return this.#visible && !this.#destroyed
  }
  isMinimized(): boolean {
    return false
  }
  isDestroyed(): boolean {
    return this.#destroyed
  }
  close(): void {
    void this.closeForQuit()
  }

  /** False when a listener kept it open. */
  async closeForQuit(): Promise<boolean> {
    const event = preventable()
    this.emit('close', event)
    if (event.defaultPrevented) return false
    await this.#attached
    await this.webContents.page.close()
    this.destroyed()
    return true
  }

  destroyed(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    BrowserWindow.#all.delete(this)
    windows.delete(this)
    this.emit('closed')
    if (windows.size === 0 && !app.emit('window-all-closed')) app.quit()
  }
}

export const protocol = {
  registerSchemesAsPrivileged(list: { scheme: string }[]): void {
    if (app.isReady()) throw new Error('protocol.registerSchemesAsPrivileged should be called before app is ready')
    for (const { scheme } of list) schemes.set(scheme, null)
  },
  handle(scheme: string, handler: (request: Request) => Promise<Response>): void {
    if (!app.isReady()) throw new Error('protocol.handle should be called after app is ready')
    schemes.set(scheme, handler)
  },
}
