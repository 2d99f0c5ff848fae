import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, exchange } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { long } from '../helpers/long.ts'
import { type Program, startProgram } from '../helpers/program.ts'
import { bodies } from './sample-bodies.ts'

type Schema = Record<string, unknown>
interface Operation {
  requestBody?: { content: { 'application/json': { schema: { properties: Record<string, Schema> } } } }
}

let program: Program
/** `POST /api/chat` → what its body may hold; null where it takes none. */
let operations: [method: string, path: string, properties: Record<string, Schema> | null][]

beforeAll(async () => {
  program = await startProgram()
  await addModel(program.url, 'cria', criaFile)
  const { paths } = (await (await fetch(`${program.url}/openapi.json`)).json()) as { paths: Record<string, Record<string, Operation>> }
  operations = Object.entries(paths).flatMap(([path, item]) =>
    ['get', 'post', 'delete'].flatMap((method): typeof operations => {
      const operation = item[method]
      return operation ? [[method.toUpperCase(), path, operation.requestBody?.content['application/json'].schema.properties ?? null]] : []
    }),
  )
})
afterAll(() => program?.[Symbol.asyncDispose]())

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

/** Values as they stand in a body; some are no numbers or texts that JavaScript could write. */
const values: Record<string, string> = {
  'an object with methods': '{"__proto__":{"a":1},"constructor":1,"toString":2,"length":-1}',
  'more than the largest number': '1e999',
  null: 'null',
  true: 'true',
  'minus one': '-1',
  half: '0.5',
  'the largest number': '1e308',
  'the largest whole number': '9007199254740991',
  'an empty text': '""',
  'a null character': '"\\u0000"',
  'half a character': '"\\ud800"',
  'a path': '"../../../etc/passwd"',
  'an empty list': '[]',
  'a list of a list': '[[]]',
  'a list of null': '[null]',
  'a list of an object': '[{}]',
  'an empty object': '{}',
  'hundreds of lists': nested(300),
  'a text of thousands of lists': JSON.stringify(`{"a":${nested(100_000)}}`),
}

const wholes: Record<string, string | Uint8Array> = {
  nothing: '',
  blanks: ' \n ',
  'half an object': '{"model":',
  'bytes that are no text': Uint8Array.of(0xff, 0xfe, 0, 0xc3, 0x28),
  'UTF-16': Buffer.from('{"model":"a"}', 'utf16le'),
  'a text': '"a"',
  'a list': '[]',
  'a thousand lists': nested(100_000),
  'an object with thousands of lists': `{"model":${nested(100_000)}}`,
}

/** All of them take minutes: a usual run sends the two that found the most, and two of the others in turn. */
function some(at: number): [name: string, json: string][] {
  const [first, second, ...others] = Object.entries(values) as [[string, string], [string, string], ...[string, string][]]
  return long ? [first, second, ...others] : [first, second, ...[0, 1].map((more) => others[(2 * at + more) % others.length] as [string, string])]
}

/** Every place inside a value, the value itself aside. */
function* places(value: unknown, at: (string | number)[] = []): Generator<(string | number)[]> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    const place = [...at, key]
    yield place
    yield* places(inner, place)
  }
}

/** The body with other JSON at one place. */
function changed(body: Schema, [...place]: (string | number)[], json: string): string {
  const last = place.pop() as string
  const copy = structuredClone(body)
  const parent = place.reduce<Schema>((inner, key) => inner[key] as Schema, copy)
  parent[last] = '@here@'
  return JSON.stringify(copy).replace('"@here@"', () => json)
}

/** What is wrong with an answer; null when nothing is. */
function fault(path: string, { status, headers, text }: Answer): string | null {
  if (/internal error|runner has unexpectedly|\[object Object\]/.test(text.slice(0, 4000))) return 'it is no answer for a caller'
  if (status < 400) return null
  let body: { type?: unknown; error?: string | { message?: unknown; type?: unknown } }
  try {
    body = JSON.parse(text)
  } catch {
    return `it is no JSON (${headers['content-type']})`
  }
  if (!path.startsWith('/v1/')) return typeof body.error === 'string' && body.error !== '' ? null : 'it is not worded as Ollama words it'
  if (typeof body.error !== 'object' || typeof body.error.message !== 'string' || typeof body.error.type !== 'string') return 'it has another shape'
  return path.startsWith('/v1/messages') === (body.type === 'error') ? null : 'it has the shape of another dialect'
}

/** Sends each body and gives what was wrong with its answer, sixteen at a time. */
async function faults(requests: Iterable<{ name: string; method: string; path: string; body?: string | Uint8Array; refused?: boolean }>): Promise<string[]> {
  const found: string[] = []
  const waiting = [...requests].values()
  const worker = async () => {
    for (const { name, method, path, body, refused = false } of waiting) {
      const answer = await exchange(program.url, { method, path, body })
      const wrong = fault(path, answer) ?? (refused && (answer.status < 400 || answer.status >= 500) ? 'it is not refused' : null)
      if (wrong !== null) found.push(`${method} ${path} with ${name}: ${answer.status}: ${wrong}: ${answer.text.slice(0, 200)}`)
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return found
}

const real = (path: string) => path.replace(/\{\w+\}/g, 'x')

test('every route that takes a body has a sample of one', () => {
  const taking = operations.filter(([, , properties]) => properties !== null).map(([method, path]) => `${method} ${path}`)
  const reading = taking.filter((route) => route !== 'GET /api/origins' && route !== 'GET /api/upstreams' && route !== 'GET /api/downloads')
  expect(Object.keys(bodies).toSorted()).toEqual(reading.toSorted())
})

describe('every route answers in its dialect, and never as if it had failed itself,', () => {
  test('to a body that is none', async () => {
    const requests = operations.flatMap(([method, path, properties]) =>
      Object.entries(wholes).map(([name, body]) => ({
        name,
        method,
        path: real(path),
        body,
        refused: properties !== null && method !== 'GET' && name !== 'nothing',
      })),
    )
    expect(await faults(requests)).toEqual([])
  }, 120_000)

  test(
    'to any value in any place of its body',
    async () => {
      const requests = Object.entries(bodies).flatMap(([route, samples]) => {
        const [method = '', path = ''] = route.split(' ')
        const declared = operations.find(([known, at]) => known === method && at === path)?.[2] ?? {}
        return samples.flatMap((sample) => {
          const whole = { ...Object.fromEntries(Object.keys(declared).map((field) => [field, null])), ...sample }
          return [...places(whole)].flatMap((place, at) =>
            some(at).map(([name, json]) => ({
              name: `${name} for ${place.join('.')}`,
              method,
              path: real(path),
              body: changed(whole, place, json),
            })),
          )
        })
      })
      expect(requests.length).toBeGreaterThan(1000)
      expect(await faults(requests)).toEqual([])
    },
    long ? 900_000 : 120_000,
  )

  test('to a value of the wrong type', async () => {
    const kinds: Record<string, string[]> = {
      string: ['5', '{}', '[]'],
      boolean: ['5', '"true"'],
      integer: ['"5"', '1.5', '{}'],
      number: ['"5"', '[]'],
      array: ['"a"', '{}'],
      object: ['"a"', '[]'],
    }
    const requests = Object.entries(bodies).flatMap(([route, [sample = {}]]) => {
      const [method = '', path = ''] = route.split(' ')
      const declared = operations.find(([known, at]) => known === method && at === path)?.[2] ?? {}
      return Object.entries(declared).flatMap(([field, { type }]) =>
        (kinds[type as string] ?? []).map((json) => ({
          name: `${json} for ${field}`,
          method,
          path: real(path),
          body: changed({ ...sample, [field]: null }, [field], json),
          refused: true,
        })),
      )
    })
    expect(requests.length).toBeGreaterThan(200)
    expect(await faults(requests)).toEqual([])
  }, 120_000)

  test('to anything in its path', async () => {
    const parts = ['%00', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', '%zz', '%ff', 'a'.repeat(5000), '%F0%9F%A6%99', '__proto__', `sha256:${'0'.repeat(64)}`, '\'"$(id)']
    const requests = operations
      .filter(([, path]) => path.includes('{'))
      .flatMap(([method, path]) => parts.map((part) => ({ name: part.slice(0, 40), method, path: path.replace(/\{\w+\}/g, part) })))
    // What is no path of a route at all is answered as the peer does, in plain text.
    const odd = (await faults(requests)).filter((fault) => !/: 404: it is no JSON \(text\/plain\): 404 page not found$/.test(fault))
    expect(odd.filter((fault) => !fault.includes('there was an error signing out'))).toEqual([])
  }, 60_000)
})

test('the server is still there, with its models, and has no stack in its log', async () => {
  const { models } = (await (await fetch(`${program.url}/api/tags`)).json()) as { models: { name: string }[] }
  expect(models.map(({ name }) => name)).toContain('cria:latest')
  expect(program.output()).not.toMatch(/ERROR|\n\s+at /)
})
