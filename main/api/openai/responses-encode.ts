import type { GenerationEvent, Usage } from '../../generation/events.ts'
import type { Done } from '../../generation/fold.ts'
import type { Message } from '../../prompt/messages.ts'
import { brokenCallField, truncationField } from '../reply.ts'
import type { Failure, RequestTrace } from '../trace.ts'
import type { Encoder } from '../wire.ts'
import { unixSeconds } from './encode.ts'
import { newId, type Output, type StreamEvent } from './responses-output.ts'
import type { ResponsesBody } from './responses-schemas.ts'

/** What a response says of its request, the same from its first event to its last. */
export interface ResponseHead {
  id: string
  createdAt: number
  body: ResponsesBody
  /** null where there was none, or it is not known any more. */
  previousId: string | null
}

export function responseHead(body: ResponsesBody, previousId: string | null): ResponseHead {
  return { id: newId('resp'), createdAt: unixSeconds(), body, previousId }
}

/** What changes while a response is made. */
interface State {
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  output: Output['items']
  done?: Done
  brokenCall?: string
  error?: { code: string; message: string }
}

/** The response object (openai-anthropic-api §10.6). */
function response({ id, createdAt, body, previousId }: ResponseHead, { status, output, done, brokenCall = '', error }: State) {
  return {
    id,
    object: 'response',
    created_at: createdAt,
    completed_at: status === 'completed' ? unixSeconds() : null,
    status,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    model: body.model,
    previous_response_id: previousId,
    instructions: body.instructions === '' ? null : body.instructions,
    output,
    error: error ?? null,
    tools: body.tools.map((tool) => (tool.type === 'function' ? { strict: null, ...tool } : tool)),
    tool_choice: body.tool_choice,
    truncation: body.truncation ?? 'disabled',
    parallel_tool_calls: body.parallel_tool_calls,
    text: body.text,
    top_p: body.top_p ?? 1,
    presence_penalty: 0,
    frequency_penalty: 0,
    top_logprobs: body.top_logprobs,
    temperature: body.temperature ?? 1,
    reasoning: body.reasoning ? { effort: body.reasoning.effort ?? null, summary: body.reasoning.summary ?? null } : null,
    usage: done ? usageField(done.usage) : null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    store: body.store ?? false,
    background: body.background,
    service_tier: 'default',
    metadata: body.metadata,
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    ...brokenCallField(brokenCall),
    ...contextField(done),
  }
}

/** The name that other routes give it means something else here. */
function contextField(done: Done | undefined) {
  const { truncation } = { truncation: undefined, ...truncationField(done?.truncation) }
  return truncation ? { context_truncation: truncation } : {}
}

function usageField({ promptTokens, cachedTokens, completionTokens, thinkingTokens }: Usage) {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: thinkingTokens ?? 0 },
    total_tokens: promptTokens + completionTokens,
  }
}

export type FinishedResponse = ReturnType<typeof finishedResponse>

/** The answer at its end, streamed or not. */
export function finishedResponse(head: ResponseHead, output: Output, done: Done) {
  return response(head, { status: done.reason === 'length' ? 'incomplete' : 'completed', output: output.items, done, brokenCall: output.brokenCall })
}

/** Writes a stream: two events to begin with, those of the items, and one that ends it, whatever happens. */
export function responseEvents(
  head: ResponseHead,
  output: Output,
  trace: RequestTrace,
  keep: (whole: FinishedResponse, reply: Message) => void,
): Encoder<GenerationEvent> {
  let sequence = 0
  const frame = ({ type, ...fields }: StreamEvent) => `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`
  const opening = () => {
    if (sequence > 0) return ''
    const begun = response(head, { status: 'in_progress', output: [] })
    return frame({ type: 'response.created', response: begun }) + frame({ type: 'response.in_progress', response: begun })
  }
  return {
    encode(event) {
      trace.see(event)
      if (event.type === 'load' || event.type === 'prompt') return ''
      const frames = opening() + output.take(event).map(frame).join('')
      if (event.type !== 'done') return frames
      const whole = finishedResponse(head, output, event)
      keep(whole, output.message)
      return frames + frame({ type: `response.${whole.status}`, response: whole })
    },
    fail: (failure) =>
      opening() + frame({ type: 'response.failed', response: response(head, { status: 'failed', output: output.items, error: failureField(failure) }) }),
  }
}

/** In the words that OpenAI's clients know. */
function failureField({ status, message }: Failure) {
  const busy = status === 429 || status === 503
  return { code: busy ? 'rate_limit_exceeded' : status < 500 ? 'invalid_prompt' : 'server_error', message }
}
