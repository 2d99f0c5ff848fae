import { contextBridge, ipcRenderer } from 'electron'

// One port to the main process, which closes with this page. What is said over it is the bridge's matter.
const { port1, port2 } = new MessageChannel()
const port = port1 as unknown as { postMessage(message: unknown): void; onmessage: (event: { data: unknown }) => void }
ipcRenderer.postMessage('bridge', null, [port2 as never])

contextBridge.exposeInMainWorld('paddock', {
  send(message: unknown): void {
    port.postMessage(message)
  },
  receive(listener: (message: unknown) => void): void {
    port.onmessage = (event) => listener(event.data)
  },
})
