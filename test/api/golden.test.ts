import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Deviation, deviations, type Scenario } from '../helpers/golden.ts'
import { post, exchange as send } from '../helpers/http.ts'
import { addModel } from '../helpers/library.ts'
import { computesAsRecorded } from '../helpers/processor.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'
import { differences } from './differences.ts'
import { nearTies } from './near-ties.ts'

const folder = path.resolve(import.meta.dirname, '../fixtures')
/** In the order in which they were recorded: later ones list what earlier ones created. */
const names = ['general', 'generate', 'chat', 'embed', 'library', 'anthropic', 'openai', 'origins']

interface RecordedModel {
  model: string
  file?: string
  from?: string
  template?: string
  parameters?: Record<string, unknown>
  system?: string
}

const read = async <T>(name: string) => JSON.parse(await readFile(path.join(folder, 'golden', `${name}.json`), 'utf8')) as T
const scenarios = await Promise.all(names.map((name) => read<Scenario>(name)))

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  for (const { model, file, from, ...more } of await read<RecordedModel[]>('models')) {
    if (file === undefined) await post(server.url, '/api/create', { model, from, stream: false, ...more })
    else await addModel(server.url, model, modelFile(file), more)
  }
})
afterAll(() => server?.[Symbol.asyncDispose]())

/** Where the recordings' models lie in this repository. */
function modelFile(recorded: string): string {
  if (recorded.startsWith('test-model/')) return path.join(folder, 'cria', path.basename(recorded))
  return path.join(folder, '../../resources/models', recorded.replace('bundled-models/', ''))
}

const short = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 400)
const sentence = ({ at, recorded, ours }: Deviation) => `${at}: recorded ${short(recorded)}, ours ${short(ours)}`

for (const scenario of scenarios) {
  describe(`${scenario.scenario}: ${scenario.about}`, () => {
    for (const step of scenario.steps) {
      const difference = differences.find(({ exchange }) => exchange === `${scenario.scenario}/${step.id}`)
      test(`${step.id}: ${step.request.method} ${step.request.path} answers as recorded${difference ? `, but ${difference.what}` : ''}`, async () => {
        const { method, path, headers, body, raw } = step.request
        const answer = await send(server.url, {
          method,
          path,
          ...(headers && { headers }),
          body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
        })
        const turned = computesAsRecorded ? [] : nearTies.filter(({ exchange }) => exchange === `${scenario.scenario}/${step.id}`)
        const found = deviations(step, answer, server.models).filter(({ at }) => turned.every((tie) => tie.at !== at.replace(/\[\d+\]/g, '')))
        // A place holds for everything below it, and for every element of a list.
        const allowed = (at: string) => difference?.at.some((place) => `${at.replace(/\[\d+\]/g, '')}.`.startsWith(`${place}.`)) ?? false
        expect(found.filter(({ at }) => !allowed(at)).map(sentence)).toEqual([])
        if (difference) expect(found.length, 'differs as the list says').toBeGreaterThan(0)
      })
    }
  })
}

test('every difference on purpose names a recorded exchange', () => {
  const all = scenarios.flatMap(({ scenario, steps }) => steps.map(({ id }) => `${scenario}/${id}`))
  expect(differences.map(({ exchange }) => exchange).filter((name) => !all.includes(name))).toEqual([])
})
