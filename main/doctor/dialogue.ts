import { AppError } from '../errors.ts'
import type { Chat, ChatRequest, GenerationEvent } from '../generation/events.ts'
import type { Message, ToolCall } from '../prompt/messages.ts'

/** What one check asks of the model. */
export interface Question extends Partial<Pick<ChatRequest, 'tools' | 'toolChoice' | 'format' | 'think'>> {
  messages: Message[]
}

/** What came back for one question. */
export interface Reply {
  text: string
  thinking: string
  calls: ToolCall[]
  /** '' when every call was ended. */
  brokenCall: string
  reason: Extract<GenerationEvent, { type: 'done' }>['reason']
  /** The prompt was shortened to fit. */
  cut: boolean
}

/** A check's reply is short; one that is not has failed. */
const maxTokens = 256

/** A request that says nothing but the model; without messages it only loads it. */
export function chatRequest(model: string, question: Question): ChatRequest {
  return {
    tools: [],
    toolChoice: 'auto',
    format: null,
    think: null,
    ...question,
    model,
    options: { temperature: 0, seed: 1, num_predict: maxTokens },
    keepAliveMs: null,
    truncate: true,
    shift: false,
    topLogprobs: null,
    renderOnly: false,
  }
}

/** Asks, and reads the reply to its end. */
export async function converse(chat: Chat, request: ChatRequest, signal: AbortSignal): Promise<Reply> {
  const reply = { text: '', thinking: '', calls: [] as ToolCall[], brokenCall: '', cut: false }
  for await (const event of chat(request, signal)) {
    switch (event.type) {
      case 'text':
        reply.text += event.text
        break
      case 'thinking':
        reply.thinking += event.text
        break
      case 'tool-call':
        reply.calls.push(event.call)
        break
      case 'broken-call':
        reply.brokenCall = event.text
        break
      case 'prompt':
        reply.cut ||= event.truncation !== undefined
        break
      case 'done':
        return { ...reply, reason: event.reason }
      case 'load':
      case 'rendered':
        break
      default:
        event satisfies never
    }
  }
  throw new AppError('internal', 'the reply ended without an end')
}
