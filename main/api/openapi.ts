import { z } from 'zod'
import { type Dialect, dialectOf, type Method, type Route } from './routes.ts'
import { json } from './wire.ts'

type Schema = Record<string, unknown>

const text = { type: 'string' }
const object = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties, required: Object.keys(properties) })

/** How each dialect words a failure. */
const errors: Record<Dialect, Schema> = {
  ollama: object({ error: text }),
  openai: object({ error: object({ message: text, type: text, param: { type: ['string', 'null'] }, code: { type: ['string', 'null'] } }) }),
  anthropic: object({ type: { const: 'error' }, error: object({ type: text, message: text }) }),
}

/** What a dialect streams where the request asks for it. */
const streams: Record<Dialect, string> = { ollama: 'application/x-ndjson', openai: 'text/event-stream', anthropic: 'text/event-stream' }

const requestId = { $ref: '#/components/headers/RequestId' }

/** `/openapi.json`: the routes that are mounted, itself included, from the schemas by which they read. */
export function openapiRoute(routes: () => readonly Route[], version: string): Route {
  let written: object | null = null
  return {
    path: '/openapi.json',
    scope: 'use',
    summary: 'This description',
    handlers: {
      GET: () => {
        written ??= openapi(routes(), version)
        return json(written)
      },
    },
  }
}

/** An OpenAPI 3.1 document. */
export function openapi(routes: readonly Route[], version: string): object {
  const paths: Record<string, Schema> = {}
  for (const route of routes) {
    const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: text }))
    const inQuery = Object.entries(route.query ?? {}).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
    const parameters = [...inPath, ...inQuery]
    const path = route.path.replace(/:(\w+)(?:\{[^}]*\})?/g, '{$1}')
    const operations = Object.keys(route.handlers).map((method) => [method.toLowerCase(), operation(route, method as Method)])
    paths[path] = { ...paths[path], ...(parameters.length > 0 && { parameters }), ...Object.fromEntries(operations) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Paddock',
      version,
      description: 'Models on this machine, spoken to as Ollama, OpenAI and Anthropic are. Fields that a route does not know are ignored.',
    },
    servers: [{ url: '/' }],
    security: [{}, { bearer: [] }, { key: [] }],
    tags: Object.keys(errors).map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, key: { type: 'apiKey', in: 'header', name: 'x-api-key' } },
      headers: { RequestId: { description: "Names the request in the server's logs; the caller's own where it sent one.", schema: text } },
      schemas: Object.fromEntries(Object.entries(errors).map(([dialect, schema]) => [`${dialect}-error`, schema])),
      responses: Object.fromEntries(
        Object.keys(errors).map((dialect) => [
          dialect,
          {
            description: 'What went wrong',
            headers: { 'X-Request-Id': requestId },
            content: { 'application/json': { schema: { $ref: `#/components/schemas/${dialect}-error` } } },
          },
        ]),
      ),
    },
  }
}

function operation({ path, scope, summary, body, alwaysStreams = false }: Route, method: Method): Schema {
  const dialect = dialectOf(path)
  const schema = body && bodySchema(body)
  const asked = schema !== undefined && typeof schema.properties === 'object' && schema.properties !== null && 'stream' in schema.properties
  return {
    operationId: `${method.toLowerCase()}${path.replace(/\{[^}]*\}/g, '').replace(/\W+/g, '_')}`,
    tags: [dialect],
    summary,
    ...(scope === null && { security: [] }),
    ...(scope === 'manage' && { description: 'Where keys are asked for, this takes one that may manage models.' }),
    ...(schema && { requestBody: { required: true, content: { 'application/json': { schema } } } }),
    responses: {
      '200': {
        description: 'The answer',
        headers: { 'X-Request-Id': requestId },
        ...((asked || alwaysStreams) && { content: { ...(asked && { 'application/json': {} }), [streams[dialect]]: {} } }),
      },
      default: { $ref: `#/components/responses/${dialect}` },
    },
  }
}

/** What a caller may send; how we read it, and bounds that only say what a whole number is, are left out. */
function bodySchema(body: z.ZodType): Schema {
  const { $schema: _, ...schema } = z.toJSONSchema(body, {
    io: 'input',
    unrepresentable: 'any',
    override({ jsonSchema }) {
      if (jsonSchema.default === null) delete jsonSchema.default
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
      delete jsonSchema.propertyNames
    },
  })
  return schema
}
