import type { AppError } from '../errors.ts'
import type { Json, JsonObject } from '../lib/json.ts'
import type { Message } from './messages.ts'

/** One form of a conversation to try on a template. */
export interface Attempt {
  messages: JsonObject[]
  /** True when a rendering holds the words that this conversation must not lose. */
  shows: (text: string) => boolean
}

type Adjust = (messages: JsonObject[]) => JsonObject[]

/** What templates are known to want, the likeliest first. */
const adjustments: Adjust[] = [argumentsAsText, nullContent, systemIntoUser, shortIds, contentParts, toolsAsUsers, mergeTurns]

/**
 * Forms of a conversation for a template that may refuse some; answered with the reason for the refusal, or 'incomplete' when the text misses words.
 *
 * An adjustment that changes the reason is kept for the forms that follow.
 */
export function* attempts(messages: Message[], template: string): Generator<Attempt, void, string | AppError> {
  const shows = completeness(messages)
  let current = plainForm(messages, template)
  let reason = reasonOf(yield { messages: current, shows })
  const left = new Set(adjustments)
  for (;;) {
    let progress = false
    for (const adjust of left) {
      const adjusted = adjust(current)
      if (adjusted === current) continue
      const answer = reasonOf(yield { messages: adjusted, shows })
      if (answer === reason) continue
      left.delete(adjust)
      current = adjusted
      reason = answer
      progress = true
      break
    }
    if (!progress) return
  }
}

function reasonOf(answer: string | AppError): string {
  return typeof answer === 'string' ? answer : answer.message
}

/** A template may drop a role in silence, or print arguments as a Python dictionary: neither is what a model was trained on. */
function completeness(messages: Message[]): Attempt['shows'] {
  const first = messages[0]
  const lastUser = messages.findLast((message) => message.role === 'user')
  const needles = [first?.role === 'system' ? first : undefined, lastUser].flatMap((message) => {
    const text = message?.content.trim() ?? ''
    return text === '' || message?.images?.length ? [] : [text]
  })
  const pythonDictionaries = messages.flatMap((message) =>
    (message.toolCalls ?? []).flatMap((call) =>
      Object.keys(call.arguments)
        .slice(0, 1)
        .map((key) => `{'${key}':`),
    ),
  )
  return (text) => needles.every((needle) => text.includes(needle)) && !pythonDictionaries.some((dictionary) => text.includes(dictionary))
}

/** OpenAI's shape, with arguments as objects, an empty text rather than null, and thinking under each name that the template reads. */
function plainForm(messages: Message[], template: string): JsonObject[] {
  const thinkingKeys = ['reasoning_content', 'reasoning', 'thinking'].filter(
    (key) => key === 'reasoning_content' || new RegExp(`\\.${key}\\b|\\[['"]${key}['"]\\]|get\\(['"]${key}['"]`).test(template),
  )
  return messages.map((message) => ({
    role: message.role === 'developer' && !template.includes('<|channel|>') ? 'system' : message.role,
    content: message.content,
    ...(message.thinking && Object.fromEntries(thinkingKeys.map((key) => [key, message.thinking as string]))),
    ...(message.toolCalls?.length && {
      tool_calls: message.toolCalls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } })),
    }),
    ...(message.toolName && { name: message.toolName }),
    ...(message.toolCallId && { tool_call_id: message.toolCallId }),
  }))
}

function argumentsAsText(messages: JsonObject[]): JsonObject[] {
  return withCalls(messages, (call) => {
    const called = call.function as JsonObject
    return { ...call, function: { ...called, arguments: JSON.stringify(called.arguments) } }
  })
}

function nullContent(messages: JsonObject[]): JsonObject[] {
  if (!messages.some((message) => message.tool_calls && message.content === '')) return messages
  return messages.map((message) => (message.tool_calls && message.content === '' ? { ...message, content: null } : message))
}

function systemIntoUser(messages: JsonObject[]): JsonObject[] {
  const systems = messages.filter((message) => message.role === 'system')
  if (systems.length === 0) return messages
  const others = messages.filter((message) => message.role !== 'system')
  const text = systems.map((message) => message.content).join('\n\n')
  const at = others.findIndex((message) => message.role === 'user')
  if (at < 0) return [{ role: 'user', content: text }, ...others]
  return others.with(at, { ...others[at], content: `${text}\n\n${others[at]?.content}` })
}

/** Mistral's templates demand ids of nine letters and digits; a result keeps its call's. */
function shortIds(messages: JsonObject[]): JsonObject[] {
  const short = new Map<Json | undefined, string>()
  const renamed = (id: Json | undefined): string => {
    const known = short.get(id)
    if (known !== undefined) return known
    const fresh = /^[A-Za-z0-9]{9}$/.test(String(id)) ? String(id) : `call${String(short.size).padStart(5, '0')}`
    short.set(id, fresh)
    return fresh
  }
  let lastId: string | undefined
  const adjusted = withCalls(messages, (call) => ({ ...call, id: renamed(call.id) }))
  if (adjusted === messages) return messages
  return adjusted.map((message) => {
    if (message.tool_calls) lastId = (message.tool_calls as JsonObject[])[0]?.id as string
    if (message.role !== 'tool') return message
    return { ...message, tool_call_id: message.tool_call_id === undefined && lastId !== undefined ? lastId : renamed(message.tool_call_id) }
  })
}

function contentParts(messages: JsonObject[]): JsonObject[] {
  if (!messages.some((message) => typeof message.content === 'string' && message.content !== '')) return messages
  return messages.map((message) =>
    typeof message.content === 'string' && message.content !== '' ? { ...message, content: [{ type: 'text', text: message.content }] } : message,
  )
}

/** For templates that know only user and assistant: calls and results become their words. */
function toolsAsUsers(messages: JsonObject[]): JsonObject[] {
  if (!messages.some((message) => message.role === 'tool')) return messages
  return messages.map(({ tool_calls: calls, ...message }) => {
    if (calls !== undefined)
      return { ...message, content: [message.content, JSON.stringify((calls as JsonObject[]).map((call) => call.function))].filter(Boolean).join('\n') }
    return message.role === 'tool' ? { role: 'user', content: message.content ?? '' } : message
  })
}

function mergeTurns(messages: JsonObject[]): JsonObject[] {
  const merged: JsonObject[] = []
  for (const message of messages) {
    const previous = merged.at(-1)
    const joins = previous?.role === message.role && message.role !== 'tool' && typeof previous?.content === 'string' && typeof message.content === 'string'
    if (previous !== undefined && joins) merged[merged.length - 1] = { ...previous, ...message, content: `${previous.content}\n\n${message.content}` }
    else merged.push(message)
  }
  return merged.length === messages.length ? messages : merged
}

function withCalls(messages: JsonObject[], change: (call: JsonObject) => JsonObject): JsonObject[] {
  if (!messages.some((message) => message.tool_calls)) return messages
  return messages.map((message) => (message.tool_calls ? { ...message, tool_calls: (message.tool_calls as JsonObject[]).map(change) } : message))
}
