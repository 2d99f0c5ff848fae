import type { AnyFunction, Codec } from './codec.ts'

/** From the preload script's world to Node. */
export type FromPage =
  | { type: 'send'; channel: string; message: unknown; ports: string[] }
  | { type: 'port'; id: string; data: unknown }
  | { type: 'port-closed'; id: string }
  | { type: 'preload-error'; message: string }

/** From Node to the preload script's world. */
export type ToPage = { type: 'port'; id: string; data: unknown } | { type: 'port-closed'; id: string }

type Preload = (require: (name: string) => unknown, module: { exports: unknown }, exports: unknown) => void

/** Runs in an isolated world of the page, as a sandboxed preload script does, and hosts the real one. Stands alone: its source text is what runs. */
export function preloadWorld({ encode, decode }: Codec, secret: string, preload: Preload): void {
  // As in Electron, frames inside the page get none.
  if (window !== window.top) return
  const world = globalThis as unknown as { __toNode?: (text: string) => void; __fromNode?: (text: string) => void }
  const toNode = world.__toNode as (text: string) => void
  delete world.__toNode
  const post = (message: FromPage) => toNode(encode(message))
  const emit = (kind: string, detail: string) => document.dispatchEvent(new CustomEvent(`${secret}:${kind}`, { detail }))

  const exposed = new Map<number, AnyFunction>()
  let lastExposed = 0
  const keep = (fn: AnyFunction) => {
    exposed.set(++lastExposed, fn)
    return lastExposed
  }
  /** A function of the page that was handed to the preload script. */
  const pageCallback =
    (id: number): AnyFunction =>
    (...args) =>
      emit('callback', encode({ id, args }, keep))

  document.addEventListener(`${secret}:call`, (event) => {
    let answer: { error?: unknown; value?: unknown }
    try {
      const [id, args] = decode((event as CustomEvent<string>).detail, pageCallback) as [number, unknown[]]
      answer = { value: exposed.get(id)?.(...args) }
    } catch (error) {
      answer = { error }
    }
    emit('answer', encode(answer, keep))
  })

  const ports = new Map<string, MessagePort>()
  let lastPort = 0
  function adopt(port: MessagePort): string {
    const id = `page-${++lastPort}`
    ports.set(id, port)
    port.onmessage = ({ data }) => post({ type: 'port', id, data })
    return id
  }

  world.__fromNode = (text) => {
    const message = decode(text) as ToPage
    const port = ports.get(message.id)
    if (message.type === 'port') port?.postMessage(message.data)
    else {
      port?.close()
      ports.delete(message.id)
    }
  }

  const electron = {
    contextBridge: { exposeInMainWorld: (key: string, api: unknown) => emit('expose', encode({ key, api }, keep)) },
    ipcRenderer: {
      postMessage: (channel: string, message: unknown, transfer: MessagePort[] = []) => post({ type: 'send', channel, message, ports: transfer.map(adopt) }),
    },
  }
  const missing = { get: (target: object, name: string) => Reflect.get(target, name) ?? fail(`not in the double: ${name}`) }
  function fail(message: string): never {
    throw new Error(message)
  }
  const module = { exports: {} }
  try {
    preload((name) => (name === 'electron' ? new Proxy(electron, missing) : fail(`module not found: ${name}`)), module, module.exports)
  } catch (error) {
    post({ type: 'preload-error', message: String((error as Error).stack) })
  }
}
