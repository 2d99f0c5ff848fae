import type { Json, JsonObject } from '../lib/json.ts'

/** A call of a tool as a model wrote it. `arguments` keep the order of their keys. */
export interface ToolCall {
  id: string
  /** Position among the calls of one reply, from 0. */
  index: number
  name: string
  arguments: JsonObject
}

/** One message of a conversation, as every dialect and template sees it. */
export interface Message {
  /** Lower case: system, user, assistant, tool; other roles pass to the template. */
  role: string
  content: string
  thinking?: string
  /** Encoded pictures or sound, as the client sent them (decoded from base64). */
  images?: Uint8Array[]
  toolCalls?: ToolCall[]
  toolName?: string
  toolCallId?: string
}

/** A tool as the client declared it: `{type: 'function', function: {name, description, parameters}}`; unknown keywords and key order are kept. */
export interface Tool extends JsonObject {
  type: string
  function: ToolFunction
}

export interface ToolFunction extends JsonObject {
  name: string
}

/** Reasoning effort: off, on, or a level that some families know. */
export type Think = boolean | 'low' | 'medium' | 'high' | 'max'

/** What a template is rendered with. */
export interface RenderInput {
  messages: Message[]
  tools: Tool[]
  /** null: the caller said nothing and the model has no thinking. */
  think: Think | null
  /** Go templates only: fill in the middle. */
  suffix?: string
  /** Extra variables for Jinja templates (`chat_template_kwargs`). */
  variables?: Record<string, Json>
}

/** What an incremental parser says of a reply. The same text in any cutting gives the same events. */
export type ReplyEvent =
  | { type: 'text'; text: string }
  | { type: 'thinking'; text: string }
  | { type: 'tool-call'; call: ToolCall }
  /** The reply ended inside a call: what was written of it, markers included. At most one, and nothing follows it. */
  | { type: 'broken-call'; text: string }

/** Splits the text that a model writes into prose, thinking and tool calls; fed piece by piece, never re-run. */
export interface ReplyParser {
  push(text: string): ReplyEvent[]
  /**
   * At the end of the reply: what was held back. A call that was cut off is told apart, never lost.
   *
   * @param isCut the reply was broken off where the model would have gone on: what may be the beginning of a mark is no text
   */
  end(isCut?: boolean): ReplyEvent[]
}
