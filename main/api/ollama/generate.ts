import type { Context } from 'hono'
import type { z } from 'zod'
import { AppError } from '../../errors.ts'
import type { GenerationEvent } from '../../generation/events.ts'
import { readBody } from '../body.ts'
import { begin, collect, drain, withHeaders } from '../reply.ts'
import { type ApiEnv, callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json, ndjson } from '../wire.ts'
import { idleAnswer, type Kind, lines, renderedAnswer, wholeAnswer } from './encode.ts'
import { ChatBody, GenerateBody } from './schemas.ts'

type SharedField = 'model' | 'options' | 'keep_alive' | 'format' | 'think' | 'truncate' | 'shift' | 'logprobs' | 'top_logprobs' | '_debug_render_only'

/** `/api/generate` and `/api/chat` (ollama-api §2, §3). */
export function generateRoutes({ chat, complete }: Pick<ApiServices, 'chat' | 'complete'>): Route[] {
  return [
    {
      path: '/api/generate',
      scope: 'use',
      summary: 'Completes a prompt',
      body: GenerateBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, GenerateBody)
          const { model, prompt, suffix, raw, images, context } = body
          const events = complete(
            {
              ...common(body),
              prompt,
              suffix,
              raw,
              images,
              system: body.system === '' ? null : body.system,
              template: body.template === '' ? null : body.template,
              context: context ?? null,
              returnTokens: true,
            },
            callerSignal(c),
          )
          return answer(c, 'generate', model, body.stream, events)
        },
      },
    },
    {
      path: '/api/chat',
      scope: 'use',
      summary: 'Answers a conversation',
      body: ChatBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, ChatBody)
          const request = common(body)
          if (body.model.trim() === '') throw new AppError('invalid-request', 'model is required')
          const { messages, tools } = body
          return answer(c, 'chat', body.model, body.stream, chat({ ...request, messages, tools, toolChoice: 'auto' }, callerSignal(c)))
        },
      },
    },
  ]
}

function common(body: Pick<z.output<typeof ChatBody>, SharedField>) {
  if (body.top_logprobs < 0 || body.top_logprobs > 20) throw new AppError('invalid-request', 'top_logprobs must be between 0 and 20')
  return {
    model: body.model,
    options: body.options,
    keepAliveMs: body.keep_alive,
    format: body.format,
    think: body.think,
    truncate: body.truncate,
    shift: body.shift,
    topLogprobs: body.logprobs ? body.top_logprobs : null,
    renderOnly: body._debug_render_only,
  }
}

async function answer(c: Context<ApiEnv>, kind: Kind, model: string, stream: boolean, events: AsyncIterable<GenerationEvent>): Promise<Response> {
  const trace = c.get('trace')
  trace.model(model)
  const begun = await begin(events)
  const { first } = begun.events
  if (first?.type === 'done' && (first.reason === 'load' || first.reason === 'unload')) {
    await drain(begun.events, trace)
    return json(idleAnswer(kind, model, first))
  }
  if (first?.type === 'rendered') {
    await drain(begun.events, trace)
    return json(renderedAnswer(kind, model, first))
  }
  if (stream) return ndjson(begun.events, lines(kind, model, begun.template, trace), trace, begun.headers)
  return withHeaders(json(wholeAnswer(kind, model, await collect(begun.events, trace))), begun.headers)
}
