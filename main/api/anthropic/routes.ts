import { readBody } from '../body.ts'
import { begin, collect, withHeaders } from '../reply.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json, sse } from '../wire.ts'
import { envelope, message, messageEvents, plainJson, threadRefusal } from './encode.ts'
import { CountBody, MessagesBody } from './schemas.ts'

/** Anthropic's dialect (openai-anthropic-api §11); `count_tokens` is Anthropic's own and ours. */
export function anthropicRoutes({ chat, count }: Pick<ApiServices, 'chat' | 'count'>): Route[] {
  return [
    {
      path: '/v1/messages',
      scope: 'use',
      summary: 'Goes on with a conversation (Anthropic)',
      body: MessagesBody,
      handlers: {
        POST: async (c) => {
          const { request, stream, wantsThread, ...asked } = await readBody(c, MessagesBody, 'EOF')
          const trace = c.get('trace')
          trace.model(request.model)
          if (wantsThread) return threadRefusal(trace)
          const of = envelope(request.model, trace.id, asked)
          const events = chat(request, callerSignal(c))
          if (stream) {
            const { events: begun, headers } = await begin(events, 'prompt')
            return sse(begun, messageEvents(of, trace), trace, headers)
          }
          const { events: begun, headers } = await begin(events)
          return withHeaders(json(message(of, await collect(begun, trace)), 200, plainJson), headers)
        },
      },
    },
    {
      path: '/v1/messages/count_tokens',
      scope: 'use',
      summary: "Counts the tokens of a conversation's prompt (Anthropic)",
      body: CountBody,
      handlers: {
        POST: async (c) => {
          const { request } = await readBody(c, CountBody, 'EOF')
          c.get('trace').model(request.model)
          return json({ input_tokens: await count(request, callerSignal(c)) }, 200, plainJson)
        },
      },
    },
  ]
}
