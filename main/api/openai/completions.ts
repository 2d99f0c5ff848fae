import { AppError } from '../../errors.ts'
import type { CompletionRequest } from '../../generation/events.ts'
import type { Reply } from '../../generation/fold.ts'
import { readBody } from '../body.ts'
import { withHeaders } from '../reply.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { json, sse } from '../wire.ts'
import { beginChoices, collectChoices, Ends, seeded } from './choices.ts'
import { textChunks, textCompletion } from './completions-encode.ts'
import { envelope, plainJson } from './encode.ts'
import { CompletionBody, dialectDefaults, type Prompt, requestOptions } from './schemas.ts'

/** More replies than this one request does not get; OpenAI's bound on a list. */
const mostReplies = 2048

/** `/v1/completions` (openai-anthropic-api §10.3); several prompts, several replies to each, echoes and log-probabilities are OpenAI's own. */
export function completionRoutes({ complete, tokens }: Pick<ApiServices, 'complete' | 'tokens'>): Route[] {
  return [
    {
      path: '/v1/completions',
      scope: 'use',
      summary: 'Completes a prompt',
      body: CompletionBody,
      handlers: {
        POST: async (c) => {
          const body = await readBody(c, CompletionBody, 'EOF')
          const { model, suffix, n, stream, best_of: drawn = n, prompt: prompts } = body
          const trace = c.get('trace')
          const signal = callerSignal(c)
          trace.model(model)
          if (drawn < n) throw invalid('best_of must not be smaller than n')
          if (stream && drawn > n) throw invalid('best_of cannot be streamed: which replies are the best is known at their end only')
          if (body.echo && body.logprobs !== undefined) throw invalid("echo with logprobs is not supported: a prompt's log-probabilities are not computed")
          if (suffix !== '' && prompts.some((prompt) => typeof prompt !== 'string')) throw invalid('a prompt of token ids takes no suffix')
          const count = prompts.length * drawn
          if (count > mostReplies) throw invalid(`a request may ask for ${mostReplies} replies at most, not ${count}`)

          const options = requestOptions({ ...body, top_p: body.top_p === 0 ? undefined : body.top_p })
          const request: Omit<CompletionRequest, 'prompt'> = {
            model,
            suffix,
            options,
            dialectDefaults,
            keepAliveMs: body.keep_alive,
            system: null,
            template: null,
            raw: false,
            bare: true,
            context: null,
            images: [],
            returnTokens: false,
            format: null,
            think: null,
            truncate: true,
            shift: true,
            topLogprobs: body.logprobs ?? (drawn > n ? 0 : null),
            renderOnly: false,
          }
          const promptOf = (index: number) => prompts[Math.floor(index / drawn)] as Prompt
          const start = (index: number, both: AbortSignal) =>
            complete({ ...request, ...promptField(promptOf(index)), options: seeded(options, index % drawn) }, both)
          const written = body.echo ? await Promise.all(prompts.map(textOf)) : []
          const begun = await beginChoices(count, start, signal)
          const ends = new Ends(count, drawn, trace)
          const of = envelope('cmpl', model)
          if (stream) {
            const echo = (index: number) => written[Math.floor(index / n)] ?? ''
            return sse(begun.events, textChunks(of, body.stream_options.include_usage, ends, echo), trace, begun.headers)
          }
          const replies = await collectChoices(begun.events, ends)
          const kept = drawn === n ? replies : prompts.flatMap((_, at) => best(replies.slice(at * drawn, (at + 1) * drawn), n))
          const shown = body.logprobs === undefined ? kept.map((reply) => ({ ...reply, logprobs: [] })) : kept
          const answer = textCompletion(of, shown, ends.usage, (index) => written[Math.floor(index / n)] ?? '')
          return withHeaders(json(answer, 200, plainJson), begun.headers)

          async function textOf(prompt: Prompt): Promise<string> {
            if (typeof prompt === 'string') return prompt
            return await tokens.decode({ model, tokens: prompt, options: body.options, keepAliveMs: body.keep_alive }, signal)
          }
        },
      },
    },
  ]
}

function promptField(prompt: Prompt): Pick<CompletionRequest, 'prompt' | 'promptTokens'> {
  return typeof prompt === 'string' ? { prompt } : { prompt: '', promptTokens: prompt }
}

/** Those whose tokens are the most probable on average, best first. */
function best(replies: readonly Reply[], count: number): Reply[] {
  const mean = ({ logprobs }: Reply) => (logprobs.length === 0 ? -Infinity : logprobs.reduce((sum, { logprob }) => sum + logprob, 0) / logprobs.length)
  return replies.toSorted((a, b) => mean(b) - mean(a)).slice(0, count)
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message)
}
