import type { LoadedModel, ServerStatus } from '../../main/bridge/contract.ts'
import type { Bridge } from '../bridge.ts'

/** The server that this window's program runs. */
export class Server {
  readonly #bridge: Bridge
  status = $state.raw<ServerStatus>({ state: 'starting' })

  constructor(bridge: Bridge) {
    this.#bridge = bridge
    void this.#follow()
  }

  get url(): string | null {
    return this.status.state === 'listening' ? this.status.url : null
  }

  get loaded(): LoadedModel[] {
    return this.status.state === 'listening' ? this.status.loaded : []
  }

  isLoaded(name: string): boolean {
    return this.loaded.some((model) => model.name === name)
  }

  restart(): Promise<void> {
    return this.#bridge.call('server.restart')
  }

  async #follow(): Promise<void> {
    for await (const status of this.#bridge.stream('server.watch')) this.status = status
  }
}
