import type { ChatMessage, ChatUpdate, Reply } from '../../main/chats/chat.ts'
import type { PlainError } from '../../main/errors.ts'
import { type Bridge, plainError } from '../bridge.ts'

/** Time for the page to draw: what arrives meanwhile comes as one piece. */
const drawMs = 16

/** The chat on screen. The main process owns it; this follows. */
export class OpenChat {
  readonly id: string
  readonly #bridge: Bridge
  #updates: AsyncIterableIterator<ChatUpdate> | null = null
  title = $state('')
  messages = $state<ChatMessage[]>([])
  /** False until the chat has come. */
  ready = $state(false)
  /** Why it cannot be shown, or why the last action failed. */
  error = $state.raw<PlainError | null>(null)

  constructor(bridge: Bridge, id: string) {
    this.#bridge = bridge
    this.id = id
    void this.#follow()
  }

  get reply(): Reply | null {
    const last = this.messages.at(-1)
    return last?.role === 'assistant' ? last : null
  }

  get replying(): boolean {
    return this.reply !== null && !['done', 'stopped', 'failed'].includes(this.reply.status.state)
  }

  send(model: string, text: string): Promise<void> {
    return this.#try(this.#bridge.call('chats.send', { chatId: this.id, model, text }))
  }

  retry(model: string): Promise<void> {
    return this.#try(this.#bridge.call('chats.retry', { chatId: this.id, model }))
  }

  stop(): Promise<void> {
    return this.#try(this.#bridge.call('chats.stop', { chatId: this.id }))
  }

  /** Another chat is shown; this one's reply goes on in the main process. */
  leave(): void {
    void this.#updates?.return?.()
  }

  async #follow(): Promise<void> {
    this.#updates = this.#bridge.stream('chats.watch', { chatId: this.id })
    try {
      for await (const update of this.#updates) {
        this.#apply(update)
        await new Promise((resolve) => setTimeout(resolve, drawMs))
      }
    } catch (error) {
      this.error = plainError(error)
    }
  }

  async #try(action: Promise<void>): Promise<void> {
    try {
      await action
      this.error = null
    } catch (error) {
      this.error = plainError(error)
    }
  }

  #apply(update: ChatUpdate): void {
    switch (update.type) {
      case 'snapshot':
        this.title = update.chat.title
        this.messages = update.chat.messages
        this.ready = true
        break
      case 'messages':
        this.messages.splice(update.from, this.messages.length, ...update.messages)
        break
      case 'reply': {
        const { reply } = this
        if (reply?.id !== update.id) break
        if (update.text !== '') reply.text += update.text
        if (update.thinking !== '') reply.thinking += update.thinking
        reply.thinkingMs = update.thinkingMs
        reply.status = update.status
        reply.truncation = update.truncation
        break
      }
      default:
        update satisfies never
    }
  }
}
