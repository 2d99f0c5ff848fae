import { z } from 'zod'
import type { Json } from '../lib/json.ts'
import { type Connection, messageOf } from './connection.ts'
import type { UpstreamEvent } from './engine.ts'
import { count, Logprob, Truncation, toLogprob, toTruncation, withLogprobs } from './shapes.ts'

const nanoseconds = z.number().min(0).nullish()

const Call = z.object({
  id: z.string().nullish(),
  function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).nullish() }),
})

const Line = z.object({
  message: z.object({ content: z.string().nullish(), thinking: z.string().nullish(), tool_calls: z.array(Call).max(256).nullish() }).nullish(),
  response: z.string().nullish(),
  thinking: z.string().nullish(),
  logprobs: z.array(Logprob).nullish(),
  done: z.boolean().nullish(),
  done_reason: z.string().nullish(),
  context: z.array(z.int()).nullish(),
  load_duration: nanoseconds,
  prompt_eval_count: count,
  prompt_eval_cached_count: count,
  prompt_eval_duration: nanoseconds,
  eval_count: count,
  eval_duration: nanoseconds,
  truncation: Truncation.nullish(),
  /** Of a Paddock: what was written of a call when the reply ended. */
  incomplete_tool_call: z.string().nullish(),
  error: z.unknown().optional(),
})
type Line = z.output<typeof Line>

/** Events of a stream of objects, of chats and of prompts alike. Throws when it ends before `done`. */
export async function* lineEvents(source: AsyncIterable<string>, connection: Connection): AsyncGenerator<UpstreamEvent, void, undefined> {
  let calls = 0
  for await (const text of source) {
    if (text.trim() === '') continue
    const line = connection.parse(Line, text)
    if (line.error !== undefined && line.error !== null) throw connection.refusal(500, messageOf(line.error))
    const events: UpstreamEvent[] = [...words(line)]
    for (const { id, function: called } of line.message?.tool_calls ?? []) {
      events.push({ type: 'tool-call', call: { id: id ?? '', index: calls++, name: called.name, arguments: (called.arguments ?? {}) as Record<string, Json> } })
    }
    yield* withLogprobs(events, (line.logprobs ?? []).map(toLogprob))
    if (line.done === true) {
      if (line.incomplete_tool_call) yield { type: 'broken-call', text: line.incomplete_tool_call }
      yield done(line)
      return
    }
  }
  throw connection.failure('ended its answer before it was finished')
}

function* words({ message, response, thinking }: Line): Generator<UpstreamEvent> {
  const thought = message?.thinking || thinking
  if (thought) yield { type: 'thinking', text: thought }
  const content = message?.content || response
  if (content) yield { type: 'text', text: content }
}

function done(line: Line): UpstreamEvent {
  const ms = (given: number | null | undefined) => (typeof given === 'number' ? given / 1e6 : null)
  return {
    type: 'done',
    reason: line.done_reason === 'length' ? 'length' : 'stop',
    stopString: null,
    usage: {
      promptTokens: line.prompt_eval_count ?? null,
      cachedTokens: line.prompt_eval_cached_count ?? null,
      completionTokens: line.eval_count ?? null,
      thinkingTokens: null,
      loadMs: ms(line.load_duration),
      promptMs: ms(line.prompt_eval_duration),
      generateMs: ms(line.eval_duration),
    },
    ...(line.context && { tokens: line.context }),
    ...(line.truncation && { truncation: toTruncation(line.truncation) }),
  }
}
