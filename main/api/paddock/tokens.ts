import { z } from 'zod'
import { AppError } from '../../errors.ts'
import { flag, onUnlessFalse, options, readBody, text, wire } from '../body.ts'
import { keepAlive } from '../keep-alive.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json } from '../wire.ts'

const shared = { model: text, keep_alive: keepAlive, options: options.prefault({}) }

/** `content` is what llama.cpp's server calls the text. */
export const TokenizeBody = wire({ ...shared, text: z.string().optional(), content: z.string().optional(), add_special: flag, parse_special: onUnlessFalse })

export const DetokenizeBody = wire({ ...shared, tokens: z.array(z.int()) })

/** `/api/tokenize` and `/api/detokenize`: ours, with the fields of llama.cpp's server. */
export function tokenRoutes({ tokens }: Pick<ApiServices, 'tokens'>): Route[] {
  return [
    {
      path: '/api/tokenize',
      scope: 'use',
      summary: 'The token ids of a text',
      body: TokenizeBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, TokenizeBody)
          const asked = body.text ?? body.content
          if (body.model.trim() === '') throw new AppError('invalid-request', 'model is required')
          if (asked === undefined) throw new AppError('invalid-request', 'text is required')
          c.get('trace').model(body.model)
          const ids = await tokens.encode({ ...common(body), text: asked, addSpecial: body.add_special, parseSpecial: body.parse_special }, callerSignal(c))
          return json({ tokens: ids })
        },
      },
    },
    {
      path: '/api/detokenize',
      scope: 'use',
      summary: 'The text of token ids',
      body: DetokenizeBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, DetokenizeBody)
          if (body.model.trim() === '') throw new AppError('invalid-request', 'model is required')
          c.get('trace').model(body.model)
          const content = await tokens.decode({ ...common(body), tokens: body.tokens }, callerSignal(c))
          return json({ text: content, content })
        },
      },
    },
  ]
}

function common({ model, options: asked, keep_alive: keepAliveMs }: Pick<z.output<typeof DetokenizeBody>, 'model' | 'options' | 'keep_alive'>) {
  return { model, options: asked, keepAliveMs }
}
