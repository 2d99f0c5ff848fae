import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../main/lib/json.ts'
import { post } from '../helpers/http.ts'
import { addModel, criaFile } from '../helpers/library.ts'
import { cachedModel } from '../helpers/make-gguf.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

/** Schemas of the kinds that users send. Texts and lists have limits, so that a model of noise comes to their end. */
const schemas: Record<string, JsonObject> = {
  'a flat object': {
    type: 'object',
    properties: { name: { type: 'string', maxLength: 20 }, age: { type: 'integer', minimum: 0, maximum: 150 }, member: { type: 'boolean' } },
    required: ['name', 'age', 'member'],
    additionalProperties: false,
  },
  'optional properties': {
    type: 'object',
    properties: { a: { type: 'integer', minimum: -9, maximum: 9 }, b: { type: 'null' }, c: { enum: ['x', 'y'] } },
    required: ['c'],
  },
  'nested objects and lists': {
    type: 'object',
    properties: {
      order: {
        type: 'object',
        properties: {
          id: { type: 'string', pattern: '^[A-Z]{3}-[0-9]{4}$' },
          lines: {
            type: 'array',
            minItems: 1,
            maxItems: 2,
            items: {
              type: 'object',
              properties: { product: { type: 'string', maxLength: 8 }, count: { type: 'integer', minimum: 1, maximum: 20 } },
              required: ['product', 'count'],
              additionalProperties: false,
            },
          },
        },
        required: ['id', 'lines'],
        additionalProperties: false,
      },
    },
    required: ['order'],
    additionalProperties: false,
  },
  '$ref to $defs': {
    $defs: { point: { type: 'object', properties: { x: { type: 'integer', maximum: 99, minimum: 0 }, y: { enum: [0, 1] } }, required: ['x', 'y'] } },
    type: 'object',
    properties: { from: { $ref: '#/$defs/point' }, to: { $ref: '#/$defs/point' } },
    required: ['from', 'to'],
  },
  '$ref to definitions that recur': {
    definitions: {
      node: {
        type: 'object',
        properties: { v: { enum: [1, 2] }, next: { anyOf: [{ $ref: '#/definitions/node' }, { type: 'null' }] } },
        required: ['v', 'next'],
      },
    },
    $ref: '#/definitions/node',
  },
  'anyOf of kinds': { anyOf: [{ type: 'integer', minimum: 10, maximum: 20 }, { type: 'string', maxLength: 5 }, { type: 'null' }] },
  'oneOf with a tag': {
    oneOf: [
      {
        type: 'object',
        properties: { kind: { const: 'circle' }, radius: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['kind', 'radius'],
        additionalProperties: false,
      },
      {
        type: 'object',
        properties: { kind: { const: 'square' }, side: { type: 'integer', minimum: 1, maximum: 9 } },
        required: ['kind', 'side'],
        additionalProperties: false,
      },
    ],
  },
  'allOf that joins objects': {
    allOf: [
      { type: 'object', properties: { a: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['a'] },
      { type: 'object', properties: { b: { type: 'string', maxLength: 4 } }, required: ['b'] },
    ],
  },
  'allOf that joins limits': {
    allOf: [
      { type: 'integer', minimum: 3 },
      { type: 'integer', maximum: 7 },
    ],
  },
  'enum of all kinds': { enum: ['red', 'green', 3, null, true, { a: 1 }, [1, 2]] },
  'const of an object': { const: { name: 'x', list: [1, null] } },
  'a pattern': { type: 'string', pattern: '^(?:\\+\\d{2} )?\\d{3}-\\d{4}$' },
  'a pattern without anchors': { type: 'string', pattern: 'a[bc]' },
  'limits of a text': { type: 'string', minLength: 3, maxLength: 6 },
  'limits of numbers': {
    type: 'object',
    properties: {
      low: { type: 'integer', minimum: -12, exclusiveMaximum: 0 },
      high: { type: 'integer', exclusiveMinimum: 995, maximum: 1003 },
      share: { type: 'number', minimum: 0, maximum: 1 },
    },
    required: ['low', 'high', 'share'],
  },
  'limits of a list': { type: 'array', items: { enum: [1, 2, 3] }, minItems: 2, maxItems: 4 },
  'a list of fixed places': { type: 'array', prefixItems: [{ type: 'boolean' }, { type: 'integer', minimum: 0, maximum: 5 }], items: false, minItems: 2 },
  'additionalProperties of a kind': {
    type: 'object',
    properties: { a: { const: 1 } },
    required: ['a'],
    additionalProperties: { type: 'boolean' },
  },
  'lists of types': { type: ['boolean', 'null'] },
  nullable: { type: 'object', properties: { a: { anyOf: [{ enum: ['x'] }, { type: 'null' }] } }, required: ['a'] },
  'format date': { type: 'string', format: 'date' },
  'format time': { type: 'string', format: 'time' },
  'format date-time': { type: 'string', format: 'date-time' },
  'format uuid': { type: 'string', format: 'uuid' },
  'format ipv4': { type: 'string', format: 'ipv4' },
  'format email': { type: 'string', format: 'email' },
  'format ipv6': { type: 'string', format: 'ipv6' },
  'format uri': { type: 'string', format: 'uri' },
  'format hostname': { type: 'string', format: 'hostname' },
  'format duration': { type: 'string', format: 'duration' },
  'hundreds of optional properties': {
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}`, { const: at }])),
    additionalProperties: false,
  },
  'thousands of values': { enum: Array.from({ length: 5000 }, (_, at) => `value ${at}`) },
  'a long list': { type: 'array', items: { const: 1 }, maxItems: 2500 },
  'fractional limits of numbers': { type: 'number', exclusiveMinimum: -2.75, maximum: 0.125 },
}

/** Schemas beyond a grammar, or nearly: kept, or refused with the keyword's name. */
const hard: [keyword: string, schema: JsonObject][] = [
  ['not', { not: { type: 'string' } }],
  ['if', { type: 'object', properties: { a: { enum: [1, 2] } }, if: { properties: { a: { const: 1 } } }, else: { required: ['b'] } }],
  ['uniqueItems', { type: 'array', items: { enum: [1, 2, 3] }, uniqueItems: true, minItems: 2, maxItems: 3 }],
  ['contains', { type: 'array', items: { enum: [1, 2] }, contains: { const: 1 }, maxItems: 3 }],
  ['patternProperties', { type: 'object', patternProperties: { '^x': { type: 'boolean' } }, additionalProperties: false }],
  ['propertyNames', { type: 'object', propertyNames: { pattern: '^a$' }, additionalProperties: { type: 'boolean' } }],
  ['multipleOf', { type: 'integer', multipleOf: 3, minimum: 0, maximum: 20 }],
  ['dependentRequired', { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, dependentRequired: { a: ['b'] } }],
  ['maxProperties', { type: 'object', properties: { a: { const: 1 } }, additionalProperties: { type: 'boolean' }, maxProperties: 2 }],
  ['minProperties', { type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, minProperties: 1 }],
  ['$ref', { $ref: 'https://example.com/schema.json' }],
  ['pattern', { type: 'string', pattern: '^(a|b)\\1$' }],
  ['pattern', { type: 'string', pattern: '^(?=.*x)[a-z]{3}$' }],
  ['maxLength', { type: 'string', pattern: '^[a-z]+$', maxLength: 3 }],
  ['oneOf', { oneOf: [{ type: 'integer' }, { type: 'integer', minimum: 3 }] }],
  ['maxLength', { type: 'string', format: 'email', maxLength: 20 }],
  ['minLength', { type: 'string', minLength: 3, maxLength: 2 }],
  ['minimum', { type: 'integer', minimum: 5, maximum: 2 }],
  ['type', { type: 'text' }],
  ['enum', { enum: [] }],
]

const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await addModel(server.url, 'cria', criaFile)
  await addModel(server.url, 'noise', await cachedModel('tiny', 'f16'))
})
afterAll(() => server?.[Symbol.asyncDispose]())

interface Outcome {
  status: number
  /** Null where the reply was cut off by its limit of tokens. */
  text: string | null
  error: string
}

async function native(model: string, schema: JsonObject, options: JsonObject): Promise<Outcome> {
  const messages = [{ role: 'user', content: 'Answer as JSON.' }]
  const { status, body } = await post(server.url, '/api/chat', { model, messages, format: schema, stream: false, options })
  const { content = '' } = (body.message ?? {}) as { content?: string }
  return { status, text: body.done_reason === 'stop' ? content : null, error: String(body.error ?? '') }
}

/** Why a reply is not of its schema, as the validator says it; null when it is. */
function fault(schema: JsonObject, text: string): string | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return `no JSON: ${text}`
  }
  const { $schema: _, ...bare } = schema
  return ajv.validate(bare, value) ? null : `${text}: ${ajv.errorsText()}`
}

/** By OpenAI's dialect, which words it in its own way. */
async function chatCompletion(model: string, schema: JsonObject, more: JsonObject): Promise<string> {
  const format = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } }
  const messages = [{ role: 'user', content: 'Describe an order as JSON.' }]
  const { body } = await post(server.url, '/v1/chat/completions', { model, messages, response_format: format, ...more })
  const [choice] = (body as unknown as { choices: { message: { content: string }; finish_reason: string }[] }).choices
  expect(choice?.finish_reason).toBe('stop')
  return choice?.message.content ?? ''
}

describe('a reply under a JSON Schema', { timeout: 60_000 }, () => {
  test.each(Object.entries(schemas))('%s: whatever is drawn, it is of the schema', async (_, schema) => {
    const noise = [1, 2, 3, 4].map((seed) => native('noise', schema, { temperature: 1.5, seed, num_predict: 200 }))
    const trained = [0, 1].map((temperature) => native('cria', schema, { temperature, seed: 7, num_predict: 200 }))
    const outcomes = await Promise.all([...noise, ...trained])
    expect(outcomes.map(({ error }) => error).filter(Boolean)).toEqual([])
    const complete = outcomes.flatMap(({ text }) => (text === null ? [] : [text]))
    expect(complete.map((text) => fault(schema, text)).filter((problem) => problem !== null)).toEqual([])
    expect(complete).not.toEqual([])
  })

  test.each(hard)('%s is kept, or refused by its name: %j', async (keyword, schema) => {
    const { status, text, error } = await native('noise', schema, { temperature: 1.5, seed: 1, num_predict: 200 })
    if (status === 400) expect(error).toContain(`keyword "${keyword}"`)
    else expect([status, text === null ? null : fault(schema, text)]).toEqual([200, null])
  })

  test.each(['a flat object', 'nested objects and lists', 'oneOf with a tag', 'limits of numbers', 'format date-time'])(
    '%s: the model that ships keeps to it by both dialects',
    async (name) => {
      const schema = schemas[name] as JsonObject
      const texts = [
        (await native('smollm2:135m', schema, { temperature: 0, num_predict: 200 })).text,
        await chatCompletion('smollm2:135m', schema, { temperature: 1, seed: 3, max_tokens: 200 }),
      ]
      expect(texts.map((text) => text !== null && fault(schema, text))).toEqual([null, null])
    },
  )
})
