import type { CheckResult, DoctorEvent } from '../../doctor/events.ts'
import { AppError } from '../../errors.ts'
import { readBody, text, wire } from '../body.ts'
import { callerSignal, type Route } from '../routes.ts'
import type { ApiServices } from '../services.ts'
import { nanoseconds } from '../time.ts'
import { type Encoder, ndjson, started } from '../wire.ts'

export const DoctorBody = wire({ model: text, name: text })

/** `/api/doctor`: what a model can really do, a line for each step. */
export function doctorRoutes({ doctor }: Pick<ApiServices, 'doctor'>): Route[] {
  return [
    {
      path: '/api/doctor',
      scope: 'use',
      summary: 'Examines what a model can really do, by a dozen canned dialogues',
      body: DoctorBody,
      alwaysStreams: true,
      handlers: {
        POST: async (c) => {
          const { model: given, name } = await readBody(c, DoctorBody)
          const model = given || name
          if (model.trim() === '') throw new AppError('invalid-request', 'model is required')
          const trace = c.get('trace')
          trace.model(model)
          return ndjson(await started(doctor(model, callerSignal(c))), lines, trace)
        },
      },
    },
  ]
}

const line = (object: object) => `${JSON.stringify(object)}\n`

const lines: Encoder<DoctorEvent> = {
  encode(event) {
    switch (event.type) {
      case 'load':
        return line({ status: 'loading', completed: event.fraction })
      case 'check':
        return line({ status: 'checking', id: event.id, title: event.title, index: event.index, count: event.count })
      case 'result':
        return line({ status: 'result', result: wireResult(event.result) })
      case 'summary': {
        const { model, passed, failed, notApplicable, broken } = event.diagnosis
        return line({ status: 'success', summary: { model, passed, failed, not_applicable: notApplicable, broken } })
      }
      default:
        return event satisfies never
    }
  },
  fail: ({ message }) => line({ error: message }),
}

function wireResult({ id, title, status, claimed, reason, evidence, totalMs }: CheckResult) {
  return { id, title, status: status.replace('-', '_'), claimed, reason, evidence, total_duration: nanoseconds(totalMs) }
}
