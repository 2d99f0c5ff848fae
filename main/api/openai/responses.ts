import { AppError } from '../../errors.ts'
import type { ChatRequest } from '../../generation/events.ts'
import type { Message } from '../../prompt/messages.ts'
import { readBody } from '../body.ts'
import { begin, withHeaders } from '../reply.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json, sse } from '../wire.ts'
import { plainJson } from './encode.ts'
import { ResponseStore } from './response-store.ts'
import { type FinishedResponse, finishedResponse, responseEvents, responseHead } from './responses-encode.ts'
import { continued, dereferenced, listed } from './responses-input.ts'
import { Output } from './responses-output.ts'
import { InputTokensBody, outputFormat, ResponsesBody, responseDefaults, responseOptions } from './responses-schemas.ts'
import { type Toolbox, toolbox } from './responses-tools.ts'
import { storedResponseRoutes } from './stored-responses.ts'
import { chosen } from './tool-choice.ts'
import { unzstd } from './zstd.ts'

/** `/v1/responses` (openai-anthropic-api §10.6), with the latest responses at hand; to ask for them again, and to count, are OpenAI's own. */
export function responseRoutes({ chat, count, log }: Pick<ApiServices, 'chat' | 'count' | 'log'>): Route[] {
  const store = new ResponseStore()

  /** What the request makes of the conversation so far; `earlier` is null where there is none, or it is not known any more. */
  function understood(body: InputTokensBody, requestId: string) {
    if (body.model.trim() === '') throw new AppError('invalid-request', 'model is required')
    const previousId = body.previous_response_id || null
    const earlier = previousId === null ? null : store.find(previousId)
    if (previousId !== null && earlier === null) log.warn('the response to go on from is not known, so its conversation is missing', { request: requestId })
    const items = dereferenced(body.input.items, (id) => store.item(id))
    const conversation = continued(earlier?.messages ?? [], items)
    const box = toolbox(body.tools)
    return { previousId: earlier && previousId, conversation, box, request: chatRequest(body, conversation, box) }
  }

  return [
    {
      path: '/v1/responses',
      scope: 'use',
      summary: 'Goes on with a conversation (Responses)',
      body: ResponsesBody,
      handlers: {
        POST: async (c) => {
          const packed = c.req.header('content-encoding')?.trim().toLowerCase() === 'zstd'
          const body = await readBody(c, ResponsesBody, 'EOF', packed ? unzstd : undefined)
          const trace = c.get('trace')
          trace.model(body.model)
          const { previousId, conversation, box, request } = understood(body, trace.id)
          const head = responseHead(body, previousId)
          const output = new Output(box)
          const keep = (response: FinishedResponse, reply: Message) => {
            if (body.store !== false) store.keep(head.id, { response, messages: [...conversation, reply], input: listed(body.input.given) })
          }
          const { events, headers } = await begin(chat(request, callerSignal(c)))
          if (body.stream) return sse(events, responseEvents(head, output, trace, keep), trace, headers)
          for await (const event of events) {
            trace.see(event)
            output.take(event)
            if (event.type !== 'done') continue
            const whole = finishedResponse(head, output, event)
            keep(whole, output.message)
            return withHeaders(json(whole, 200, plainJson), headers)
          }
          throw new AppError('internal', 'the reply ended without an end')
        },
      },
    },
    {
      path: '/v1/responses/input_tokens',
      scope: 'use',
      summary: "Counts the tokens of a conversation's prompt (Responses)",
      body: InputTokensBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, InputTokensBody, 'EOF')
          const trace = c.get('trace')
          trace.model(body.model)
          const { request } = understood(body, trace.id)
          return json({ object: 'response.input_tokens', input_tokens: await count(request, callerSignal(c)) }, 200, plainJson)
        },
      },
    },
    ...storedResponseRoutes(store),
  ]
}

/** Instructions hold for one request: they are no part of the conversation. */
function chatRequest(body: InputTokensBody, conversation: Message[], box: Toolbox): ChatRequest {
  const system = body.instructions === '' ? [] : [{ role: 'system', content: body.instructions }]
  return {
    model: body.model,
    messages: [...system, ...conversation],
    ...chosen(body.tool_choice, box.tools),
    ...(body.parallel_tool_calls ? {} : { parallelCalls: false }),
    options: responseOptions(body),
    dialectDefaults: responseDefaults,
    keepAliveMs: body.keep_alive,
    format: outputFormat(body.text.format),
    think: body.think,
    // Who says `disabled` rather than nothing wants to be told that the conversation does not fit.
    truncate: body.truncation !== 'disabled',
    shift: true,
    topLogprobs: body.include.includes('message.output_text.logprobs') ? body.top_logprobs : null,
    renderOnly: false,
  }
}
