import type { Context } from 'hono'
import { z } from 'zod'
import { AppError } from '../errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../lib/json.ts'
import type { Tool } from '../prompt/messages.ts'
import { parseFirst } from './json.ts'
import type { ApiEnv } from './routes.ts'

/** Bodies but for blobs: chats with pictures fit, a flood does not. */
const largestBytes = 100 * 1024 * 1024

/**
 * Reads a body by a schema: the first JSON value, whatever the Content-Type says; `null` is an empty object.
 *
 * @param empty what a request without a body is told; it differs by dialect
 * @param unpack for a body that came compressed; it bounds what comes out
 */
export async function readBody<S extends z.ZodType>(
  c: Context<ApiEnv>,
  schema: S,
  empty = 'missing request body',
  unpack?: (packed: Buffer) => Promise<Buffer>,
): Promise<z.output<S>> {
  const text = await readText(c.req.raw, unpack)
  c.get('keepBody')?.(text)
  if (text.trim() === '') throw new AppError('invalid-request', empty)
  const value = parseFirst(text)
  if (value !== null && !isJsonObject(value)) throw new AppError('invalid-request', `the request body must be a JSON object, not ${kindOf(value)}`)
  const parsed = schema.safeParse(value ?? {}, { reportInput: true })
  if (!parsed.success) throw new AppError('invalid-request', describe(parsed.error.issues[0]))
  c.set('accepted', true)
  return parsed.data
}

/** Characters that are no UTF-8 become U+FFFD, as in the peer: old shells send Latin-1. */
async function readText(request: Request, unpack?: (packed: Buffer) => Promise<Buffer>): Promise<string> {
  const length = request.headers.get('content-length')
  if (Number(length) > largestBytes) throw tooLarge()
  if (length !== null && !unpack) return await request.text()
  if (request.body === null) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body) {
    size += chunk.length
    if (size > largestBytes) throw tooLarge()
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  return new TextDecoder().decode(unpack ? await unpack(bytes) : bytes)
}

function tooLarge(): AppError {
  return new AppError('too-large', `the request body is larger than ${largestBytes / 1024 / 1024} MB`)
}

/** An object of the wire: keys match in any case, `null` leaves a field at its default, unknown keys pass. */
export function wire<S extends z.ZodRawShape>(shape: S) {
  const names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]))
  return z.preprocess((value) => (value === null ? {} : isJsonObject(value) ? known(value, names) : value), z.object(shape))
}

function known(value: JsonObject, names: ReadonlyMap<string, string>): JsonObject {
  const fields: JsonObject = {}
  for (const [key, field] of Object.entries(value)) {
    const name = names.get(key) ?? names.get(key.toLowerCase())
    if (name !== undefined && field !== null) fields[name] = field
  }
  return fields
}

/** Fields that most routes share; each has the zero value that the protocol gives it. */
export const text = z.string().default('')
export const flag = z.boolean().default(false)
export const onUnlessFalse = z.boolean().default(true)
export const integer = z.int().default(0)
/**
 * A field of any type, read by a function that sees null when it is absent and throws what is wrong with it.
 *
 * @param schema what a caller may send, as JSON Schema, for the API's own description
 */
export function custom<T>(read: (value: unknown) => T, schema: Record<string, unknown> = {}) {
  return z.unknown().prefault(null).transform(read).meta(schema)
}
export const options = z.record(z.string(), z.unknown()).transform((value) => value as Record<string, Json>)

/** Tools keep every keyword of their schemas, in order. */
export const tools = z
  .array(z.looseObject({ type: z.string().default('function'), function: z.looseObject({ name: z.string() }) }))
  .default([])
  .transform((list) => list as unknown as Tool[])

/** `messages[0].content must be a string, not an array`. */
function describe(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'the request body has the wrong shape'
  const where = fieldName(issue.path)
  if (issue.code === 'invalid_union') return `${where} has the wrong type: ${kindOf(issue.input)}`
  if (issue.code !== 'invalid_type') return `${where}: ${issue.message}`
  const expected = expectedNames[issue.expected] ?? `a ${issue.expected}`
  return `${where} must be ${expected}, not ${expected === 'a whole number' && Number.isFinite(issue.input) ? String(issue.input) : kindOf(issue.input)}`
}

const expectedNames: Record<string, string> = {
  int: 'a whole number',
  array: 'an array',
  object: 'an object',
  record: 'an object',
  boolean: 'true or false',
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at > 0 ? '.' : ''}${String(part)}`)).join('') || 'the request body'
}

/** The JSON kind of a value, with its article. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
