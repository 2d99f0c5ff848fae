import path from 'node:path'
import { app, dialog, Menu, Notification, protocol, session, utilityProcess } from 'electron'
import { createHandlers } from './bridge/handlers.ts'
import { ServerHost } from './bridge/server-host.ts'
import { Chats } from './chats/chats.ts'
import { readConfig } from './config.ts'
import { guardContents, guardSession } from './desktop/guard.ts'
import { serveWindows } from './desktop/ipc.ts'
import { applicationMenu } from './desktop/menu.ts'
import { bundleHandler, bundleOrigin } from './desktop/protocol.ts'
import { utilitySpawner } from './desktop/spawner.ts'
import { ServerTray } from './desktop/tray.ts'
import { MainWindow } from './desktop/window.ts'
import type { Chat } from './generation/events.ts'
import { Log } from './lib/log.ts'
import { LogFile } from './lib/log-file.ts'
import { type Server, startServer } from './server.ts'

// Electron entry, always run from the bundle (`dist/main/app.js`): the window, the tray and the same server as `serve.ts`.

const config = readConfig()
const root = path.resolve(import.meta.dirname, '../..')
const resources = app.isPackaged ? process.resourcesPath : path.join(root, 'resources')
const devServer = app.isPackaged ? '' : app.commandLine.getSwitchValue('dev-server')
const page = devServer === '' ? `${bundleOrigin}/index.html` : devServer
const origin = devServer === '' ? bundleOrigin : new URL(devServer).origin

// All of this must come before Electron is ready.
app.setPath('userData', path.join(config.dataFolder, 'window'))
app.enableSandbox()
protocol.registerSchemesAsPrivileged([{ scheme: 'app', privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } }])

if (app.requestSingleInstanceLock()) {
  run().catch((error: unknown) => {
    dialog.showErrorBox('Paddock could not start', error instanceof Error ? error.message : String(error))
    app.exit(1)
  })
} else app.quit()

async function run(): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const file = stack.use(new LogFile(config.logsFolder))
  const log = new Log(config.logLevel, file.sink, (line) => process.stderr.write(`${line}\n`))
  process.on('unhandledRejection', (error) => log.error('a failure nobody waited for', error))
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => app.quit())

  await app.whenReady()
  const host = stack.use(serverHost(log))
  host.start()
  const chats = stack.use(new Chats({ log, generate: chatOf(host) }))

  guardSession(session.defaultSession)
  guardContents(app, page)
  protocol.handle('app', bundleHandler(path.join(root, 'dist', 'renderer')))
  serveWindows({ handlers: createHandlers({ server: host, chats }), origin, log })
  Menu.setApplicationMenu(applicationMenu({ devTools: !app.isPackaged }))

  let quitting = false
  const tray = openTray(log, { open: () => window.show(), quit: () => app.quit() })
  if (tray !== null) stack.use(tray)
  const window = new MainWindow({
    page,
    preload: path.join(root, 'dist', 'preload', 'preload.cjs'),
    icon: path.join(resources, 'icons', '256x256.png'),
    devTools: !app.isPackaged,
    staysHidden: () => tray !== null && !quitting,
    hidden: () => tellOfHiding(),
  })
  app.on('second-instance', () => window.show())
  app.on('activate', () => window.show())
  // With a tray the server outlives the window; without one it ends with it, except on macOS.
  app.on('window-all-closed', () => {
    if (tray === null && process.platform !== 'darwin') app.quit()
  })
  app.on('before-quit', () => {
    quitting = true
  })
  window.show()

  const owned = stack.move()
  const stop = new AbortController()
  app.on('will-quit', (event) => {
    if (stop.signal.aborted) return
    event.preventDefault()
    stop.abort()
    void owned.disposeAsync().finally(() => app.exit(0))
  })
  for await (const status of host.watch(stop.signal)) tray?.update(status)
}

function serverHost(log: Log): ServerHost<Server> {
  const entry = (name: string) => path.join(import.meta.dirname, name)
  return new ServerHost({
    start: () =>
      startServer(config, {
        spawn: utilitySpawner(utilityProcess),
        entries: { runner: entry('runner.js'), probe: entry('probe.js'), template: entry('template.js'), quantize: entry('quantize.js') },
        bundledModelsFolder: path.join(resources, 'models'),
        version: app.getVersion(),
        log,
      }),
    facts: ({ services: { hardware, scheduler } }) => ({
      device: hardware.current().devices[0]?.description ?? '',
      loaded: scheduler
        .resident()
        .filter(({ state }) => state === 'ready')
        .map(({ label, sizeBytes }) => ({ name: label.name, sizeBytes })),
    }),
    follow({ services: { hardware, scheduler } }, changed) {
      scheduler.watch(changed)
      void hardware.complete.then(changed)
    },
    version: app.getVersion(),
    log,
  })
}

/** Chats with the server that runs at that moment. */
function chatOf(host: ServerHost<Server>): Chat {
  return async function* (request, signal) {
    const { services } = await host.running()
    yield* services.chat(request, signal)
  }
}

/** null where the desktop shows no icons; closing the window then ends the program. */
function openTray(log: Log, actions: ConstructorParameters<typeof ServerTray>[1]): ServerTray | null {
  try {
    return new ServerTray(path.join(resources, 'icons'), actions)
  } catch (error) {
    log.warn('there is no tray icon here', { reason: error instanceof Error ? error.message : String(error) })
    return null
  }
}

function tellOfHiding(): void {
  if (!Notification.isSupported()) return
  new Notification({
    title: 'Paddock keeps serving',
    body: `Programs still reach your models at ${config.url}. Start Paddock again to open the window, or quit from the tray icon.`,
  }).show()
}
