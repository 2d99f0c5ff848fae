import { AppError, toPlainError } from '../errors.ts'
import type { ChatRequest, Chat as Generate, GenerationEvent } from '../generation/events.ts'
import type { Message } from '../prompt/messages.ts'
import type { ChatMessage, Reply } from './chat.ts'

/** A reply that has not begun. */
export function emptyReply(model: string): Reply {
  return {
    role: 'assistant',
    id: crypto.randomUUID(),
    at: Date.now(),
    model,
    thinking: '',
    thinkingMs: null,
    text: '',
    status: { state: 'waiting' },
    truncation: null,
  }
}

/**
 * Lets the model write a reply to the history, telling `changed` of each step. Never throws: how it ended is in the reply.
 *
 * @returns the failure, when it is not one the user can act on
 */
export async function runTurn(reply: Reply, history: ChatMessage[], generate: Generate, changed: () => void, signal: AbortSignal): Promise<unknown> {
  let thinkingSince: number | null = null
  try {
    for await (const event of generate(chatRequest(reply.model, history), signal)) {
      if (event.type === 'thinking') thinkingSince ??= Date.now()
      else if (thinkingSince !== null && reply.thinkingMs === null) reply.thinkingMs = Date.now() - thinkingSince
      apply(reply, event)
      changed()
    }
    return null
  } catch (error) {
    reply.status = signal.aborted ? { state: 'stopped' } : { state: 'failed', error: toPlainError(error) }
    return signal.aborted || error instanceof AppError ? null : error
  } finally {
    if (thinkingSince !== null) reply.thinkingMs ??= Date.now() - thinkingSince
    changed()
  }
}

function apply(reply: Reply, event: GenerationEvent): void {
  switch (event.type) {
    case 'load':
      reply.status = { state: 'loading', fraction: event.fraction }
      break
    case 'prompt':
      reply.status = { state: 'reading', evaluatedTokens: event.evaluatedTokens, promptTokens: event.promptTokens }
      reply.truncation = event.truncation ?? null
      break
    case 'thinking':
      reply.status = { state: 'thinking' }
      reply.thinking += event.text
      break
    case 'text':
    case 'broken-call':
      reply.status = { state: 'writing' }
      reply.text += event.text
      break
    case 'done':
      reply.status = {
        state: 'done',
        reason: event.reason === 'length' ? 'length' : 'stop',
        stats: {
          promptTokens: event.usage.promptTokens,
          completionTokens: event.usage.completionTokens,
          generateMs: event.usage.generateMs,
          totalMs: event.usage.totalMs,
        },
      }
      reply.truncation = event.truncation ?? null
      break
    // The window declares no tools and asks for no rendering.
    case 'tool-call':
    case 'rendered':
      break
    default:
      event satisfies never
  }
}

function chatRequest(model: string, history: ChatMessage[]): ChatRequest {
  return {
    model,
    messages: history.flatMap(toPromptMessage),
    tools: [],
    toolChoice: 'auto',
    options: {},
    keepAliveMs: null,
    format: null,
    think: null,
    truncate: true,
    shift: true,
    topLogprobs: null,
    renderOnly: false,
  }
}

/** A reply that failed before its first word says nothing. */
function toPromptMessage(message: ChatMessage): Message[] {
  return message.text === '' ? [] : [{ role: message.role, content: message.text }]
}
