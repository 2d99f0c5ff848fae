import { type App, type Session, shell, type WebContents } from 'electron'

/** Nothing that a page may be allowed, but for copying text: Electron would allow everything. */
export function guardSession(session: Session): void {
  const allowed = new Set(['clipboard-sanitized-write'])
  session.setPermissionRequestHandler((_contents, permission, answer) => answer(allowed.has(permission)))
  session.setPermissionCheckHandler((_contents, permission) => allowed.has(permission))
  session.setDevicePermissionHandler(() => false)
  session.on('will-download', (event) => event.preventDefault())
  // Chromium's spell checker fetches its dictionaries from a server.
  session.setSpellCheckerEnabled(false)
}

/** A window shows one page for ever: links open in the user's browser, nothing else opens at all. */
export function guardContents(app: App, page: string): void {
  app.on('web-contents-created', (_event, contents) => {
    contents.on('will-navigate', (event) => {
      if (withoutHash(event.url) !== withoutHash(page)) event.preventDefault()
    })
    contents.on('will-frame-navigate', (event) => {
      if (!event.isMainFrame) event.preventDefault()
    })
    contents.on('will-redirect', (event) => event.preventDefault())
    contents.on('will-attach-webview', (event) => event.preventDefault())
    openLinksOutside(contents)
  })
}

function openLinksOutside(contents: WebContents): void {
  contents.setWindowOpenHandler(({ url }) => {
    if (isLink(url)) void shell.openExternal(url)
    return { action: 'deny' }
  })
}

function isLink(url: string): boolean {
  try {
    return ['https:', 'http:', 'mailto:'].includes(new URL(url).protocol)
  } catch {
    return false
  }
}

const withoutHash = (url: string) => url.split('#', 1)[0]
