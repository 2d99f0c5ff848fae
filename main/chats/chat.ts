import type { PlainError } from '../errors.ts'
import type { Truncation } from '../generation/events.ts'

export interface UserMessage {
  role: 'user'
  id: string
  /** Milliseconds since 1970. */
  at: number
  text: string
}

/** How far a reply is. The last three are its end. */
export type ReplyStatus =
  /** In the queue, or the model is being looked for. */
  | { state: 'waiting' }
  /** The weights are being read; fraction 0 to 1. */
  | { state: 'loading'; fraction: number }
  /** The prompt is being evaluated. */
  | { state: 'reading'; evaluatedTokens: number; promptTokens: number }
  | { state: 'thinking' }
  | { state: 'writing' }
  | { state: 'done'; reason: 'stop' | 'length'; stats: ReplyStats }
  /** By the user; what was written stays. */
  | { state: 'stopped' }
  /** What was written stays. */
  | { state: 'failed'; error: PlainError }

/** Counts in tokens, times in milliseconds. */
export interface ReplyStats {
  promptTokens: number
  completionTokens: number
  generateMs: number
  totalMs: number
}

export interface Reply {
  role: 'assistant'
  id: string
  at: number
  model: string
  thinking: string
  /** How long it thought, once it has stopped thinking. */
  thinkingMs: number | null
  text: string
  status: ReplyStatus
  /** What had to be left out of the prompt. */
  truncation: Truncation | null
}

export type ChatMessage = UserMessage | Reply

export interface Chat {
  id: string
  title: string
  messages: ChatMessage[]
}

/** A line of the list of chats. */
export interface ChatSummary {
  id: string
  title: string
  /** When it was last written in, milliseconds since 1970. */
  at: number
  replying: boolean
}

/** What a watcher is told: the whole chat first, then what is new since it last looked. */
export type ChatUpdate =
  | { type: 'snapshot'; chat: Chat }
  /** From this position on, the messages are these. */
  | { type: 'messages'; from: number; messages: ChatMessage[] }
  /** The last message goes on: `text` and `thinking` are what is added. */
  | { type: 'reply'; id: string; text: string; thinking: string; thinkingMs: number | null; status: ReplyStatus; truncation: Truncation | null }

/** True while more of the reply may come. */
export function isReplying(message: ChatMessage | undefined): boolean {
  if (message?.role !== 'assistant') return false
  const { state } = message.status
  return state !== 'done' && state !== 'stopped' && state !== 'failed'
}
