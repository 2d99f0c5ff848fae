import { AppError, type ErrorCode, isAbort } from '../errors.ts'
import type { Chat } from '../generation/events.ts'
import type { Reply } from '../generation/fold.ts'
import type { Capability } from '../models/model.ts'
import { type Check, checks } from './checks.ts'
import { chatRequest, converse } from './dialogue.ts'
import type { CheckResult, DoctorEvent } from './events.ts'

/** What a model says of itself. */
export interface ModelClaims {
  capabilities: readonly Capability[]
  /** Tokens. */
  contextLength: number | null
}

/** Throws `model-not-found` before the first event, and what else keeps the model from being loaded. */
export type Doctor = (model: string, signal: AbortSignal) => AsyncIterable<DoctorEvent>

/** Failures of one dialogue that say something about the model; any other ends the examination. */
const tellingCodes: readonly ErrorCode[] = ['invalid-request', 'invalid-template', 'context-exceeded', 'runner-crashed', 'upstream-failed', 'not-implemented']

/**
 * Runs a dozen canned dialogues through the waist, one after the other, to see what a model can really do.
 *
 * @param claims null for a model whose capabilities nobody knows: then all is asked
 */
export function createDoctor({ chat, claims }: { chat: Chat; claims: (model: string) => Promise<ModelClaims | null> }): Doctor {
  return async function* doctor(model, signal) {
    const known = await claims(model)
    for await (const event of chat(chatRequest(model, { messages: [] }), signal)) if (event.type === 'load') yield event

    const results: CheckResult[] = []
    for (const [index, check] of checks.entries()) {
      yield { type: 'check', id: check.id, title: check.title, index, count: checks.length }
      const result = await examine(chat, model, check, known, signal)
      results.push(result)
      yield { type: 'result', result }
    }
    const count = (status: CheckResult['status']) => results.filter((result) => result.status === status).length
    const broken = results.filter(({ status, claimed }) => status === 'failed' && claimed).map(({ id }) => id)
    yield { type: 'summary', diagnosis: { model, passed: count('passed'), failed: count('failed'), notApplicable: count('not-applicable'), broken } }
  }
}

async function examine(chat: Chat, model: string, check: Check, known: ModelClaims | null, signal: AbortSignal): Promise<CheckResult> {
  const { id, title, needs, claimedBy } = check
  const claimed = claimedBy !== null && (known?.capabilities.includes(claimedBy) ?? claimedBy === 'completion')
  const told = { id, title, claimed }
  if (needs !== null && known !== null && !known.capabilities.includes(needs)) {
    return { ...told, status: 'not-applicable', reason: absence[needs] ?? `the model has no ${needs}`, evidence: '', totalMs: 0 }
  }
  const startedAt = performance.now()
  const question = check.ask(known?.contextLength ?? null)
  // Thinking costs time and is looked at by checks of its own.
  const think = question.think ?? (known?.capabilities.includes('thinking') ? false : null)
  try {
    const reply = await converse(chat, chatRequest(model, { ...question, think }), signal)
    const fault = check.fault(reply)
    const seen = { reason: fault ?? '', evidence: evidenceOf(reply), totalMs: performance.now() - startedAt }
    return { ...told, status: fault === null ? 'passed' : 'failed', ...seen }
  } catch (error) {
    signal.throwIfAborted()
    if (isAbort(error) || !(error instanceof AppError) || !tellingCodes.includes(error.code)) throw error
    // An engine elsewhere says only now what its model lacks.
    const lacks = known === null && needs !== null && error.code === 'invalid-request'
    return { ...told, status: lacks ? 'not-applicable' : 'failed', reason: error.message, evidence: '', totalMs: performance.now() - startedAt }
  }
}

const absence: Partial<Record<Capability, string>> = {
  tools: 'its template has no tools',
  thinking: 'its template has no thinking',
}

const evidenceLength = 160

function evidenceOf({ thinking, text, toolCalls: calls, brokenCall }: Reply): string {
  return [
    thinking.trim() && `(thinking) ${short(thinking)}`,
    short(text),
    ...calls.map(({ name, arguments: given }) => short(`${name}(${JSON.stringify(given)})`)),
    brokenCall && `(cut off) ${short(brokenCall)}`,
  ]
    .filter(Boolean)
    .join(' · ')
}

/** On one line, without control characters, which a terminal would obey; never parting a character. */
function short(text: string): string {
  const line = text
    .trim()
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '')
  return line.length <= evidenceLength ? line : `${line.slice(0, evidenceLength).replace(/[\ud800-\udbff]$/, '')}…`
}
