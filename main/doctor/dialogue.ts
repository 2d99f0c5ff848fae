import type { Chat, ChatRequest } from '../generation/events.ts'
import { Fold, type Reply } from '../generation/fold.ts'
import type { Message } from '../prompt/messages.ts'

/** What one check asks of the model. */
export interface Question extends Partial<Pick<ChatRequest, 'tools' | 'toolChoice' | 'format' | 'think'>> {
  messages: Message[]
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
  const fold = new Fold()
  for await (const event of chat(request, signal)) if (fold.take(event)) break
  return fold.reply
}
