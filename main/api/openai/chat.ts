import { AppError } from '../../errors.ts'
import type { ChatRequest } from '../../generation/events.ts'
import { readBody } from '../body.ts'
import { withHeaders } from '../reply.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json, sse } from '../wire.ts'
import { beginChoices, collectChoices, Ends, seeded } from './choices.ts'
import { chatChunks, chatCompletion, envelope, plainJson, renderedCompletion } from './encode.ts'
import { ChatCompletionBody, dialectDefaults, requestOptions } from './schemas.ts'
import { chosen } from './tool-choice.ts'

/** `/v1/chat/completions` (openai-anthropic-api §10.2). */
export function chatRoutes({ chat }: Pick<ApiServices, 'chat'>): Route[] {
  return [
    {
      path: '/v1/chat/completions',
      scope: 'use',
      summary: 'Answers a conversation',
      body: ChatCompletionBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, ChatCompletionBody, 'EOF')
          const { model } = body
          const trace = c.get('trace')
          trace.model(model)
          if (model.trim() === '') throw new AppError('invalid-request', 'model is required')
          if (body.top_logprobs < 0 || body.top_logprobs > 20) throw new AppError('invalid-request', 'top_logprobs must be between 0 and 20')
          const count = body._debug_render_only ? 1 : body.n
          const request: ChatRequest = {
            model,
            messages: body.messages,
            ...chosen(body.tool_choice, body.tools),
            ...(body.parallel_tool_calls ? {} : { parallelCalls: false }),
            options: requestOptions(body),
            dialectDefaults,
            keepAliveMs: body.keep_alive,
            format: body.response_format,
            think: body.think,
            truncate: true,
            shift: true,
            topLogprobs: body.logprobs ? body.top_logprobs : null,
            renderOnly: body._debug_render_only,
            ...(body.chat_template_kwargs && { templateVariables: body.chat_template_kwargs }),
          }
          const start = (index: number, signal: AbortSignal) => chat({ ...request, options: seeded(request.options, index) }, signal)
          const { events, headers } = await beginChoices(count, start, callerSignal(c))
          const of = envelope('chatcmpl', model)
          const ends = new Ends(count, count, trace)
          if (events.first?.item.type === 'rendered') {
            const rendered = events.first.item
            for await (const { item } of events) trace.see(item)
            return json(renderedCompletion(of, rendered), 200, plainJson)
          }
          if (body.stream) return sse(events, chatChunks(of, body.stream_options.include_usage, ends), trace, headers)
          const replies = await collectChoices(events, ends)
          return withHeaders(json(chatCompletion(of, replies, ends.usage), 200, plainJson), headers)
        },
      },
    },
  ]
}
