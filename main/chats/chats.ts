import { AppError } from '../errors.ts'
import type { Chat as Generate } from '../generation/events.ts'
import { Changes } from '../lib/changes.ts'
import type { Log } from '../lib/log.ts'
import { type Chat, type ChatMessage, type ChatSummary, type ChatUpdate, isReplying, type Reply } from './chat.ts'
import { emptyReply, runTurn } from './turns.ts'
import { watchChat } from './watch.ts'

/** A chat and, while a reply is being written, what stops it. */
export interface OpenChat {
  chat: Chat
  changes: Changes
  turn: { controller: AbortController; ended: Promise<void> } | null
}

const titleChars = 60

/** The chats of this machine's user, kept in memory. A reply goes on whether or not anybody watches. */
export class Chats implements AsyncDisposable {
  readonly #generate: Generate
  readonly #log: Log
  readonly #open = new Map<string, OpenChat>()
  readonly #changes = new Changes()

  constructor({ generate, log }: { generate: Generate; log: Log }) {
    this.#generate = generate
    this.#log = log
  }

  /** The list as it is, the latest first, then again whenever it changes. */
  async *watchList(signal: AbortSignal): AsyncGenerator<ChatSummary[]> {
    for await (const _ of this.#changes.watch(signal)) {
      yield [...this.#open.values()].map(summary).sort((a, b) => b.at - a.at)
    }
  }

  /** The chat as it is, then what is new. Throws `not-found`. */
  watch(chatId: string, signal: AbortSignal): AsyncIterable<ChatUpdate> {
    const { chat, changes } = this.#find(chatId)
    return watchChat(chat, changes, signal)
  }

  /** Starts a chat with its first message, which the model then answers. */
  create(model: string, text: string): { chatId: string } {
    const chat: Chat = { id: crypto.randomUUID(), title: titleOf(text), messages: [] }
    this.#open.set(chat.id, { chat, changes: new Changes(), turn: null })
    this.send(chat.id, model, text)
    return { chatId: chat.id }
  }

  /** Throws `conflict` while a reply is being written. */
  send(chatId: string, model: string, text: string): void {
    const open = this.#idle(chatId)
    open.chat.messages.push({ role: 'user', id: crypto.randomUUID(), at: Date.now(), text })
    this.#reply(open, model)
  }

  /** Writes the last reply anew. */
  retry(chatId: string, model: string): void {
    const open = this.#idle(chatId)
    const { messages } = open.chat
    while (messages.at(-1)?.role === 'assistant') messages.pop()
    if (messages.length === 0) throw new AppError('invalid-request', 'this chat has no message to answer')
    this.#reply(open, model)
  }

  /** Ends the reply that is being written, if there is one; what was written stays. */
  async stop(chatId: string): Promise<void> {
    const { turn } = this.#find(chatId)
    turn?.controller.abort()
    await turn?.ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.keys()].map((chatId) => this.stop(chatId)))
  }

  #find(chatId: string): OpenChat {
    const open = this.#open.get(chatId)
    if (open === undefined) throw new AppError('not-found', 'this chat does not exist any more')
    return open
  }

  #idle(chatId: string): OpenChat {
    const open = this.#find(chatId)
    if (open.turn !== null) throw new AppError('conflict', 'a reply is still being written; stop it first')
    return open
  }

  #reply(open: OpenChat, model: string): void {
    const history: ChatMessage[] = [...open.chat.messages]
    const reply = emptyReply(model)
    open.chat.messages.push(reply)
    const controller = new AbortController()
    open.turn = { controller, ended: this.#write(open, reply, history, controller.signal) }
    open.changes.announce()
    this.#changes.announce()
  }

  async #write(open: OpenChat, reply: Reply, history: ChatMessage[], signal: AbortSignal): Promise<void> {
    const failure = await runTurn(reply, history, this.#generate, () => open.changes.announce(), signal)
    if (failure !== null) this.#log.error('a reply in the window failed', failure)
    open.turn = null
    this.#changes.announce()
  }
}

function summary({ chat }: OpenChat): ChatSummary {
  const last = chat.messages.at(-1)
  return { id: chat.id, title: chat.title, at: last?.at ?? 0, replying: isReplying(last) }
}

/** The first line of the first message, cut at a word. */
function titleOf(text: string): string {
  const line = text.trim().split('\n', 1)[0] ?? ''
  if (line.length <= titleChars) return line
  const cut = line.slice(0, titleChars)
  return `${cut.slice(0, Math.max(cut.lastIndexOf(' '), titleChars / 2)).trimEnd()}…`
}
