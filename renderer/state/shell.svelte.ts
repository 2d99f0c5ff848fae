import type { Bridge } from '../bridge.ts'
import { Chats } from './chats.svelte.ts'
import { Models } from './models.svelte.ts'
import { OpenChat } from './open-chat.svelte.ts'
import { Server } from './server.svelte.ts'

export type View = 'chat' | 'models'

/** The window: what it knows, what it shows, and which chat is open. */
export class Shell {
  readonly server: Server
  readonly models: Models
  readonly chats: Chats
  readonly #bridge: Bridge
  view = $state<View>('chat')
  /** null: a chat that has not begun. */
  chat = $state.raw<OpenChat | null>(null)
  /** On a narrow window the sidebar lies over the view. */
  sidebarOpen = $state(false)

  constructor(bridge: Bridge, storage: Pick<Storage, 'getItem' | 'setItem'>) {
    this.#bridge = bridge
    this.server = new Server(bridge)
    this.models = new Models(bridge, storage)
    this.chats = new Chats(bridge)
  }

  newChat(): void {
    this.#show('chat', null)
  }

  openChat(chatId: string): void {
    this.#show('chat', chatId)
  }

  showModels(): void {
    this.view = 'models'
    this.sidebarOpen = false
    void this.models.refresh()
  }

  /** Starts the chat with this text, or goes on with the open one. */
  async send(text: string): Promise<void> {
    const model = this.models.selected
    if (model === null) return
    if (this.chat !== null) return this.chat.send(model, text)
    const { chatId } = await this.#bridge.call('chats.create', { model, text })
    this.openChat(chatId)
  }

  #show(view: View, chatId: string | null): void {
    this.view = view
    this.sidebarOpen = false
    if (chatId === (this.chat?.id ?? null)) return
    this.chat?.leave()
    this.chat = chatId === null ? null : new OpenChat(this.#bridge, chatId)
  }
}
