import type { FromBridge, Handlers, ToBridge } from '../../main/bridge/contract.ts'
import { serveBridge } from '../../main/bridge/serve.ts'
import { Log } from '../../main/lib/log.ts'
import { Bridge } from '../../renderer/bridge.ts'

/** The window's end of the bridge and the main process's, with only a wire between them. */
export function connect(handlers: Partial<Handlers>): { bridge: Bridge; sent: ToBridge[] } {
  let toMain: (message: unknown) => void = () => {}
  let toPage: (message: FromBridge) => void = () => {}
  const sent: ToBridge[] = []
  serveBridge(
    handlers as Handlers,
    {
      send: (message) => queueMicrotask(() => toPage(structuredClone(message))),
      receive(listener) {
        toMain = listener
      },
    },
    new Log('error'),
    new AbortController().signal,
  )
  const bridge = new Bridge({
    send(message) {
      sent.push(message)
      queueMicrotask(() => toMain(structuredClone(message)))
    },
    receive(listener) {
      toPage = listener
    },
  })
  return { bridge, sent }
}
