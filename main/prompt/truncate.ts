import { AppError } from '../errors.ts'
import type { Message } from './messages.ts'

/** The conversation as it was rendered, and what had to go. Token counts are without a BOS that the runner adds. */
export interface FittedMessages {
  prompt: string
  promptTokens: number
  messages: Message[]
  droppedMessages: number
  /** What the prompt lost, by dropped messages and by a shortened text. */
  droppedTokens: number
}

interface Fitting {
  messages: Message[]
  /** Tokens that prompt and reply share. */
  limit: number
  /** False renders once and leaves a long prompt to the runner, which refuses it. */
  truncate: boolean
  /** Tokens at the front of a shortened text that stay. */
  keep: number
  render: (messages: Message[]) => Promise<string>
  count: (texts: string[]) => Promise<number[]>
}

/** Messages that stand or fall together: a call and its results, or a message alone. */
interface Unit {
  messages: Message[]
  /** System messages, and all from the last user message on. */
  stays: boolean
  tokens: number
}

/** Renders after the first; a prompt that is still too long then is the runner's to cut. */
const furtherRenders = 2

/**
 * Drops the oldest messages until the prompt fits; system messages and the last user turn stay, a call keeps its results.
 *
 * A prompt that fits is rendered once, any other at most three times. When what must stay is too long, the middle of its longest text goes.
 */
export async function fitMessages({ messages, limit, truncate, keep, render, count }: Fitting): Promise<FittedMessages> {
  // One token for a BOS that the runner may add, one for the reply.
  const room = Math.max(1, limit - 2)
  const prompt = await render(messages)
  const wholeTokens = await countOne(count, prompt)
  let fitted: FittedMessages = { prompt, promptTokens: wholeTokens, messages, droppedMessages: 0, droppedTokens: 0 }
  if (!truncate || wholeTokens <= room) return fitted

  let units = await measured(unitsOf(messages), count)
  for (let renders = 0; renders < furtherRenders && fitted.promptTokens > room; renders++) {
    const excess = fitted.promptTokens - room
    const shorter = withoutOldest(units, excess, overhead(units, fitted.promptTokens))
    units = shorter ?? (await withShortenedText(units, excess + Math.floor(room / 4), keep, count))
    const { units: rendered, prompt } = await renderUnits(units, render)
    units = rendered
    const kept = units.flatMap((unit) => unit.messages)
    const promptTokens = await countOne(count, prompt)
    fitted = { prompt, promptTokens, messages: kept, droppedMessages: messages.length - kept.length, droppedTokens: Math.max(0, wholeTokens - promptTokens) }
  }
  return fitted
}

function unitsOf(messages: Message[]): Unit[] {
  const user = messages.findLastIndex((message) => message.role === 'user')
  const lastTurn = user < 0 ? messages.length - 1 : user
  const units: Unit[] = []
  for (const [at, message] of messages.entries()) {
    const previous = units.at(-1)
    const stays = message.role === 'system' || at >= lastTurn
    if (message.role === 'tool' && previous !== undefined && previous.messages[0]?.role === 'assistant' && previous.stays === stays)
      previous.messages.push(message)
    else units.push({ messages: [message], stays, tokens: 0 })
  }
  return units
}

async function measured(units: Unit[], count: Fitting['count']): Promise<Unit[]> {
  const counts = await count(units.map((unit) => unit.messages.map(textOf).join('\n')))
  return units.map((unit, at) => ({ ...unit, tokens: counts[at] ?? 0 }))
}

function textOf({ content, thinking = '', toolCalls }: Message): string {
  return [thinking, content, toolCalls ? JSON.stringify(toolCalls.map(({ name, arguments: args }) => ({ name, arguments: args }))) : '']
    .filter(Boolean)
    .join('\n')
}

/** Tokens of markup a message, as the prompt has more than its texts; what tools and fixed words take is in it, so the estimate is bounded. */
function overhead(units: Unit[], promptTokens: number): number {
  const messages = units.reduce((sum, unit) => sum + unit.messages.length, 0)
  const texts = units.reduce((sum, unit) => sum + unit.tokens, 0)
  return Math.min(6, Math.max(0, (promptTokens - texts) / Math.max(1, messages)))
}

/** null when nothing is left that may go. */
function withoutOldest(units: Unit[], excess: number, markup: number): Unit[] | null {
  if (units.every((unit) => unit.stays)) return null
  let freed = 0
  return units.filter((unit) => {
    if (unit.stays || freed >= excess) return true
    freed += unit.tokens + markup * unit.messages.length
    return false
  })
}

/** Cuts at least `excess` tokens out of the middle of the longest text that stays. */
async function withShortenedText(units: Unit[], excess: number, keep: number, count: Fitting['count']): Promise<Unit[]> {
  const all = units.flatMap((unit) => unit.messages)
  const longest = all.reduce((best, message) => (message.content.length > best.content.length ? message : best))
  const tokens = Math.max(1, await countOne(count, longest.content))
  const charsPerToken = longest.content.length / tokens
  const left = Math.max(0, tokens - excess)
  const head = Math.min(left, Math.max(Math.ceil(left / 2), keep < 0 ? left : keep))
  const content = cutMiddle(longest.content, Math.floor(head * charsPerToken), Math.floor((left - head) * charsPerToken))
  return units.map((unit) => ({ ...unit, messages: unit.messages.map((message) => (message === longest ? { ...message, content } : message)) }))
}

/** Never parts a surrogate pair. */
function cutMiddle(text: string, headChars: number, tailChars: number): string {
  const head = text.slice(0, headChars).replace(/[\ud800-\udbff]$/, '')
  const tail = tailChars === 0 ? '' : text.slice(-tailChars).replace(/^[\udc00-\udfff]/, '')
  return head + tail
}

/** Some templates demand that a user speaks first: then what stands before the next user message goes too. */
async function renderUnits(units: Unit[], render: Fitting['render']): Promise<{ units: Unit[]; prompt: string }> {
  try {
    return { units, prompt: await render(units.flatMap((unit) => unit.messages)) }
  } catch (error) {
    const firstUser = units.findIndex((unit) => unit.messages[0]?.role === 'user')
    const fromUser = units.filter((unit, at) => at >= firstUser || unit.stays)
    if (!(error instanceof AppError) || error.code !== 'invalid-template' || fromUser.length === units.length) throw error
    return { units: fromUser, prompt: await render(fromUser.flatMap((unit) => unit.messages)) }
  }
}

async function countOne(count: Fitting['count'], text: string): Promise<number> {
  return (await count([text]))[0] ?? 0
}
