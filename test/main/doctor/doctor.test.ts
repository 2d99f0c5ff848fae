import { describe, expect, test } from 'vitest'
import { createDoctor, type ModelClaims } from '../../../main/doctor/doctor.ts'
import type { CheckResult, Diagnosis, DoctorEvent } from '../../../main/doctor/events.ts'
import { AppError } from '../../../main/errors.ts'
import type { Chat, ChatRequest, GenerationEvent } from '../../../main/generation/events.ts'
import { doneEvent, promptEvent } from '../api/services.ts'

const never = new AbortController().signal
const able: ModelClaims = { capabilities: ['completion', 'tools', 'thinking'], contextLength: 2048 }

/** A model that answers each question with what `reply` makes of it. */
function modelOf(reply: (request: ChatRequest) => GenerationEvent[] | Promise<GenerationEvent[]>): Chat {
  return async function* (request) {
    if (request.messages.length === 0) {
      yield { type: 'load', fraction: 1 }
      yield doneEvent('jinja', 'load')
      return
    }
    yield promptEvent()
    yield* await reply(request)
    yield doneEvent()
  }
}

const says = (text: string) => (): GenerationEvent[] => [{ type: 'text', text }]

async function examine(chat: Chat, claims: ModelClaims | null = able): Promise<{ results: Record<string, CheckResult>; diagnosis: Diagnosis }> {
  const events: DoctorEvent[] = await Array.fromAsync(createDoctor({ chat, claims: async () => claims })('some', never))
  const results = events.flatMap((event) => (event.type === 'result' ? [[event.result.id, event.result] as const] : []))
  const last = events.at(-1)
  if (last?.type !== 'summary') throw new Error('no summary at the end')
  return { results: Object.fromEntries(results), diagnosis: last.diagnosis }
}

describe('createDoctor()', () => {
  test('tells the load, then each check before its result, and a summary at last', async () => {
    const events = await Array.fromAsync(createDoctor({ chat: modelOf(says('Paris')), claims: async () => able })('some', never))
    const kinds = events.map(({ type }) => type)
    expect([kinds[0], kinds.at(-1)]).toEqual(['load', 'summary'])
    expect(kinds.slice(1, -1)).toEqual(Array.from({ length: (kinds.length - 2) / 2 }, () => ['check', 'result']).flat())
  })

  test('names what was promised and failed', async () => {
    const { results, diagnosis } = await examine(modelOf(says('Paris')))
    expect(results.answer).toMatchObject({ status: 'passed', claimed: true, evidence: 'Paris' })
    expect(results.system).toMatchObject({ status: 'failed', claimed: false })
    expect(diagnosis.broken).toEqual(['schema', 'thinking-on', 'call', 'tool-result', 'tool-required'])
  })

  test('does not ask a model for what its template lacks', async () => {
    const asked: ChatRequest[] = []
    const chat = modelOf((request) => {
      asked.push(request)
      return says('Paris')()
    })
    const { results, diagnosis } = await examine(chat, { capabilities: ['completion'], contextLength: null })
    expect(results.call).toMatchObject({ status: 'not-applicable', reason: 'its template has no tools' })
    expect(diagnosis.notApplicable).toBe(7)
    expect(asked.filter(({ tools, think }) => tools.length > 0 || think !== null)).toEqual([])
  })

  test('asks an engine of which nothing is known for everything, and takes a refusal for a lack', async () => {
    const chat = modelOf(({ tools }) => {
      if (tools.length > 0) throw new AppError('invalid-request', 'no tools here')
      return says('Paris')()
    })
    const { results } = await examine(chat, null)
    expect(results.call).toMatchObject({ status: 'not-applicable', reason: 'no tools here', claimed: false })
    expect(results['thinking-on']).toMatchObject({ status: 'failed', reason: 'it did not think' })
  })

  test('goes on after a crash in one dialogue', async () => {
    const chat = modelOf(({ format }) => {
      if (format !== null) throw new AppError('runner-crashed', 'the runner ended')
      return says('Paris')()
    })
    const { results } = await examine(chat)
    expect([results.schema, results.answer]).toMatchObject([{ status: 'failed', reason: 'the runner ended' }, { status: 'passed' }])
  })

  test('is ended by an error that says nothing about the model', async () => {
    const chat = modelOf(() => Promise.reject(new TypeError('a bug')))
    await expect(examine(chat)).rejects.toThrow('a bug')
  })

  test('sees marks of the template in the text, and a call that was not ended', async () => {
    const leaking = await examine(modelOf(says('<tool_call>{"name"')))
    const cut = await examine(modelOf(() => [{ type: 'broken-call', text: '{"name": "get_w' }]))
    expect(leaking.results.answer?.reason).toBe('marks of its template are in the text')
    expect(cut.results.call).toMatchObject({ reason: 'a call was begun and not ended', evidence: '(cut off) {"name": "get_w' })
  })

  test('shows no control characters of a reply, and no more than an excerpt', async () => {
    const { results } = await examine(modelOf(says(`\x1b[31mred\n\n${'a'.repeat(1000)}`)))
    expect(results.answer?.evidence).toMatch(/^\[31mred a{100,160}…$/)
  })

  test('an abort ends it with its reason, in the middle of a reply', async () => {
    const leaving = new AbortController()
    const chat: Chat = async function* (request, signal) {
      if (request.messages.length === 0) return
      yield promptEvent()
      leaving.abort(new Error('left'))
      signal.throwIfAborted()
    }
    const examination = Array.fromAsync(createDoctor({ chat, claims: async () => able })('some', leaving.signal))
    await expect(examination).rejects.toThrow('left')
  })
})
