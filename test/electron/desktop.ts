import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import type { MenuItemConstructorOptions } from 'electron'

/** What the program did to the desktop, for a test to look at. */
export const recorded = {
  trays: [] as Tray[],
  notifications: [] as { title: string; body: string }[],
  opened: [] as string[],
  errorBoxes: [] as string[],
  copied: '',
}

export interface Item extends MenuItemConstructorOptions {
  items: Item[]
}

export class Menu {
  static application: Menu | null = null
  readonly items: Item[]

  constructor(items: Item[]) {
    this.items = items
  }
  static buildFromTemplate(template: MenuItemConstructorOptions[]): Menu {
    const items = (list: MenuItemConstructorOptions[]): Item[] =>
      list.map((item) => ({ ...item, items: Array.isArray(item.submenu) ? items(item.submenu) : [] }))
    return new Menu(items(template))
  }
  static setApplicationMenu(menu: Menu | null): void {
    Menu.application = menu
  }

  /** As a user does, for a test. */
  click(id: string): void {
    const item = this.items.find((each) => each.id === id)
    if (item === undefined || item.enabled === false) throw new Error(`nothing to click: ${id}`)
    ;(item.click as () => void)()
  }
}

export class Tray extends EventEmitter {
  menu: Menu | null = null
  tip = ''

  constructor(_image: unknown) {
    super()
    recorded.trays.push(this)
  }
  setToolTip(tip: string): void {
    this.tip = tip
  }
  setContextMenu(menu: Menu | null): void {
    this.menu = menu
  }
  destroy(): void {
    recorded.trays.splice(recorded.trays.indexOf(this), 1)
  }
}

export class Notification {
  static isSupported(): boolean {
    return true
  }
  readonly #what: { title: string; body: string }

  constructor(what: { title: string; body: string }) {
    this.#what = what
  }
  show(): void {
    recorded.notifications.push(this.#what)
  }
}

export const nativeImage = {
  createFromPath(file: string): { isEmpty(): boolean } {
    if (!existsSync(file)) throw new Error(`no picture at ${file}`)
    return { isEmpty: () => false }
  },
}
export const clipboard = {
  async writeText(text: string): Promise<void> {
    recorded.copied = text
  },
}
export const shell = {
  async openExternal(url: string): Promise<void> {
    recorded.opened.push(url)
  },
}
export const dialog = {
  showErrorBox(title: string, content: string): void {
    recorded.errorBoxes.push(`${title}: ${content}`)
  },
}

class Session extends EventEmitter {
  permissionCheck: ((contents: null, permission: string) => boolean) | null = null
  setPermissionRequestHandler(): void {
    // Chromium's own answer stands in the double: see `permissionCheck`.
  }
  setPermissionCheckHandler(handler: Session['permissionCheck']): void {
    this.permissionCheck = handler
  }
  setDevicePermissionHandler(): void {
    // No page of the double reaches a device.
  }
  setSpellCheckerEnabled(): void {
    // The double's Chromium fetches nothing.
  }
}
export const session = { defaultSession: new Session() }
