import type { ChatSummary } from '../../main/chats/chat.ts'
import type { Bridge } from '../bridge.ts'

/** The list of chats, the latest first. */
export class Chats {
  list = $state.raw<ChatSummary[]>([])

  constructor(bridge: Bridge) {
    void this.#follow(bridge)
  }

  async #follow(bridge: Bridge): Promise<void> {
    for await (const list of bridge.stream('chats.list')) this.list = list
  }
}
