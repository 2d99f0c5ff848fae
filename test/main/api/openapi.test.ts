import { beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../../main/config.ts'
import { api } from './services.ts'

type Value = Record<string, unknown>
interface Operation {
  operationId: string
  summary: string
  tags: string[]
  requestBody?: { content: { 'application/json': { schema: Value & { properties: Record<string, Value> } } } }
  responses: Record<string, Value>
}
interface Document {
  openapi: string
  info: { title: string; version: string }
  paths: Record<string, Record<string, Operation> & { parameters?: { name: string; in: string; required: boolean }[] }>
}

const methods = ['get', 'head', 'post', 'delete']
const isObject = (value: unknown): value is Value => typeof value === 'object' && value !== null
const app = api({ config: readConfig({ PADDOCK_METRICS: '1' }) })
let document: Document
beforeAll(async () => {
  document = (await (await app.request('/openapi.json', { headers: { host: 'localhost' } })).json()) as Document
})

const operations = () => Object.values(document.paths).flatMap((path) => methods.flatMap((method) => path[method] ?? []))

/** Every object of the document, with where it stands. */
function* walk(value: unknown, at = '#'): Generator<[string, Value]> {
  if (!isObject(value)) return
  yield [at, value]
  for (const [key, inner] of Object.entries(value)) yield* walk(inner, `${at}/${key}`)
}

describe('/openapi.json', () => {
  test('lists every route that is mounted, with its methods', () => {
    const mounted = app.routes.filter(({ path, method }) => path !== '/*' && method !== 'ALL').map(({ path }) => path.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}'))
    expect(mounted.length).toBeGreaterThan(25)
    expect(Object.keys(document.paths).toSorted()).toEqual([...new Set(mounted)].toSorted())
    expect(Object.keys(document.paths['/api/blobs/{digest}'] ?? {}).toSorted()).toEqual(['head', 'parameters', 'post'])
    expect(Object.keys(document.paths['/api/chat'] ?? {})).toEqual(['post'])
  })

  test('is an OpenAPI 3.1 document: what the standard demands is there', () => {
    expect([document.openapi, document.info]).toMatchObject(['3.1.0', { title: 'Paddock', version: '1.2.3' }])
    for (const [path, item] of Object.entries(document.paths)) {
      expect(path).toMatch(/^\/[^:]*$/)
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const inPath = (item.parameters ?? []).filter((parameter) => parameter.in === 'path')
      expect(inPath.map((parameter) => [parameter.in, parameter.required, parameter.name])).toEqual(named.map((name) => ['path', true, name]))
      for (const key of Object.keys(item)) expect([...methods, 'parameters']).toContain(key)
    }
    for (const operation of operations()) {
      expect(operation.summary).toMatch(/^[A-Z].+[^.]$/)
      expect(operation.responses).toMatchObject({ 200: { description: expect.any(String) }, default: { $ref: expect.any(String) } })
    }
    const ids = operations().map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('points only to what it holds', () => {
    const places = new Set([...walk(document)].map(([at]) => at))
    const references = [...walk(document)].flatMap(([, { $ref }]) => (typeof $ref === 'string' ? [$ref] : []))
    expect(references.length).toBeGreaterThan(10)
    for (const reference of references) expect(places).toContain(reference)
  })

  test('every schema is one of JSON Schema’s kinds', () => {
    const kinds = ['string', 'number', 'integer', 'boolean', 'array', 'object', 'null']
    for (const [at, value] of walk(document)) {
      if (!('type' in value) || at.endsWith('/properties') || at.includes('/securitySchemes/')) continue
      expect(kinds, at).toEqual(expect.arrayContaining([value.type].flat()))
      if (value.type === 'array') expect(value, at).toHaveProperty('items')
    }
  })

  test('gives a request as the route reads it, defaults and choices included', () => {
    const { properties } = document.paths['/api/chat']?.post?.requestBody?.content['application/json'].schema ?? { properties: {} }
    expect(properties).toMatchObject({
      model: { type: 'string' },
      stream: { type: 'boolean', default: true },
      messages: { type: 'array', items: { type: 'object', properties: { role: { type: 'string' }, images: { type: 'array' } } } },
      think: { anyOf: [{ type: 'boolean' }, { enum: ['low', 'medium', 'high', 'max'] }] },
      keep_alive: { anyOf: [{ type: 'number' }, { type: 'string' }] },
    })
    expect(properties.think).not.toHaveProperty('default')
  })

  test('names what OpenAI’s and Anthropic’s routes take beyond the peer’s', () => {
    const fields = (path: string) => document.paths[path]?.post?.requestBody?.content['application/json'].schema.properties ?? {}
    expect(fields('/v1/chat/completions')).toMatchObject({
      n: { minimum: 1, maximum: 128, default: 1 },
      parallel_tool_calls: { type: 'boolean', default: true },
      thinking_budget: { type: 'integer' },
      logit_bias: { type: 'object' },
    })
    expect(fields('/v1/completions')).toMatchObject({ prompt: { anyOf: expect.any(Array) }, best_of: { type: 'integer' }, echo: { type: 'boolean' } })
    expect(fields('/v1/embeddings')).toMatchObject({ input: { anyOf: expect.any(Array) }, dimensions: { type: 'integer' } })
    expect(fields('/v1/messages')).toMatchObject({
      thinking: { properties: { budget_tokens: { type: 'integer' } } },
      tool_choice: { properties: { disable_parallel_tool_use: { type: 'boolean' } } },
    })
    expect(fields('/v1/responses')).toMatchObject({
      parallel_tool_calls: { type: 'boolean' },
      max_tool_calls: { type: 'integer' },
      stream: { type: 'boolean' },
    })
    expect(fields('/v1/responses/input_tokens')).not.toHaveProperty('stream')
  })

  test('lists responses that were given, and how their input is paged', () => {
    expect(Object.keys(document.paths['/v1/responses/{id}'] ?? {}).toSorted()).toEqual(['delete', 'get', 'parameters'])
    const { parameters = [] } = document.paths['/v1/responses/{id}/input_items'] ?? {}
    expect(parameters.map(({ name, in: where }) => [name, where])).toEqual([
      ['id', 'path'],
      ['limit', 'query'],
      ['order', 'query'],
      ['after', 'query'],
    ])
  })

  test('every route that takes a body says which, but those for bytes and for nothing', () => {
    const silent = Object.entries(document.paths).flatMap(([path, item]) => (item.post && !item.post.requestBody ? [path] : []))
    expect(silent.toSorted()).toEqual(['/api/blobs/{digest}', '/api/downloads/{id}/pause', '/api/downloads/{id}/resume', '/api/me', '/api/signout'])
  })

  test('each dialect’s routes answer with its errors and its kind of stream', () => {
    const told = (path: string) => {
      const operation = document.paths[path]?.post
      return [operation?.tags, operation?.responses.default, Object.keys((operation?.responses[200]?.content as Value | undefined) ?? {})]
    }
    expect(told('/api/generate')).toEqual([['ollama'], { $ref: '#/components/responses/ollama' }, ['application/json', 'application/x-ndjson']])
    expect(told('/v1/chat/completions')).toEqual([['openai'], { $ref: '#/components/responses/openai' }, ['application/json', 'text/event-stream']])
    expect(told('/v1/messages')).toEqual([['anthropic'], { $ref: '#/components/responses/anthropic' }, ['application/json', 'text/event-stream']])
  })

  test('lists /metrics only where it is mounted', async () => {
    const plain = (await (await api().request('/openapi.json', { headers: { host: 'localhost' } })).json()) as Document
    expect([Object.keys(document.paths).includes('/metrics'), Object.keys(plain.paths).includes('/metrics')]).toEqual([true, false])
  })
})
