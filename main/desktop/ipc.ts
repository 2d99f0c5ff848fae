import { ipcMain } from 'electron'
import type { Handlers } from '../bridge/contract.ts'
import { serveBridge } from '../bridge/serve.ts'
import type { Log } from '../lib/log.ts'

/** Serves the bridge to every page of ours, each over a port of its own, until the page goes. */
export function serveWindows({ handlers, origin, log }: { handlers: Handlers; origin: string; log: Log }): void {
  ipcMain.on('bridge', (event) => {
    const [port] = event.ports
    if (port === undefined) return
    const frame = event.senderFrame
    if (frame === null || frame.parent !== null || frame.origin !== origin) {
      log.warn('a page that is not ours asked for the bridge', { origin: frame?.origin ?? '' })
      port.close()
      return
    }
    const leaving = new AbortController()
    port.on('close', () => leaving.abort())
    serveBridge(
      handlers,
      { send: (message) => port.postMessage(message), receive: (listener) => port.on('message', ({ data }) => listener(data)) },
      log,
      leaving.signal,
    )
    port.start()
  })
}
