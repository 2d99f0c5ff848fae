import type { Changes } from '../lib/changes.ts'
import type { Chat, ChatMessage, ChatUpdate } from './chat.ts'

/** What a watcher has been told of the messages. */
interface Seen {
  ids: string[]
  /** Lengths of the last reply. */
  text: number
  thinking: number
}

/** Tells the whole chat, then the difference to what was told before: a slow watcher gets larger pieces, not a longer queue. */
export async function* watchChat(chat: Chat, changes: Changes, signal: AbortSignal): AsyncGenerator<ChatUpdate> {
  let seen: Seen | null = null
  for await (const _ of changes.watch(signal)) {
    const update: ChatUpdate | null = seen === null ? { type: 'snapshot', chat: structuredClone(chat) } : difference(seen, chat.messages)
    seen = see(chat.messages)
    if (update !== null) yield update
  }
}

function see(messages: ChatMessage[]): Seen {
  const last = messages.at(-1)
  return { ids: messages.map(({ id }) => id), text: last?.text.length ?? 0, thinking: last?.role === 'assistant' ? last.thinking.length : 0 }
}

function difference(seen: Seen, messages: ChatMessage[]): ChatUpdate | null {
  let from = messages.length
  while (from > 0 && messages[from - 1]?.id !== seen.ids[from - 1]) from--
  if (from < messages.length || seen.ids.length > messages.length) return { type: 'messages', from, messages: structuredClone(messages.slice(from)) }
  const last = messages.at(-1)
  if (last?.role !== 'assistant') return null
  const { id, thinkingMs, status, truncation } = last
  return { type: 'reply', id, text: last.text.slice(seen.text), thinking: last.thinking.slice(seen.thinking), thinkingMs, status, truncation }
}
