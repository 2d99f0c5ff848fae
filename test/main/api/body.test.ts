import { expect, test } from 'vitest'
import { parseFirst } from '../../../main/api/json.ts'
import type { CompletionRequest } from '../../../main/generation/events.ts'
import { api, post, says } from './services.ts'

/** What the service is asked for a body, or the status and text of the refusal. */
async function asked(body: string): Promise<Partial<CompletionRequest> | [number, string]> {
  let request: CompletionRequest | null = null
  const app = api({
    complete: (given) => {
      request = given
      return says([])
    },
  })
  const answer = await post(app, '/api/generate', body)
  return request ?? [answer.status, ((await answer.json()) as { error: string }).error]
}

test.each([
  ['trailing bytes are ignored', '{"model":"m"} xyz'],
  ['keys match in any case', '{"MODEL":"m"}'],
  ['unknown fields pass', '{"model":"m","wibble":[1]}'],
  ['the last of two equal keys wins', '{"model":"a","Model":"m"}'],
  ['a byte order mark passes', '\ufeff{"model":"m"}'],
  ['null leaves a field alone', '{"model":"m","prompt":null,"stream":null,"options":null,"images":null,"context":null}'],
])('%s', async (_claim, body) => {
  expect(await asked(body)).toMatchObject({ model: 'm', prompt: '', options: {}, images: [], context: null })
})

test('null is an empty request', async () => {
  expect(await asked('null')).toMatchObject({ model: '' })
})

test('a name of the prototype is a field like any other', async () => {
  expect(await asked('{"model":"m","__proto__":{"prompt":"x"},"options":{"__proto__":1}}')).toMatchObject({ model: 'm', prompt: '' })
})

test.each([
  ['', 'missing request body'],
  ['  \n', 'missing request body'],
  ['hello', "invalid character 'h' looking for beginning of value"],
  ['{"model":', 'unexpected end of the request body: the JSON is not complete'],
  ["{'a'}", "invalid character '\\'' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ['{"a":[1 2]}', "invalid character '2' after array element"],
  ['{"a":01}', "invalid character '1' after object key:value pair"],
  ['{"a":-x}', "invalid character 'x' in numeric literal"],
  ['{"a":1.x}', "invalid character 'x' after decimal point in numeric literal"],
  ['{"a":1ex}', "invalid character 'x' in exponent of numeric literal"],
  ['{"a":tru!}', "invalid character '!' in literal true (expecting 'e')"],
  ['{"a":"\\x"}', "invalid character 'x' in string escape code"],
  ['{"a":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"],
  ['{"a":"\n"}', "invalid character '\\n' in string literal"],
  ['{"a":[1,]}', "invalid character ']' looking for beginning of value"],
  ['[]', 'the request body must be a JSON object, not an array'],
  ['5', 'the request body must be a JSON object, not a number'],
  ['{"model":5}', 'model must be a string, not a number'],
  ['{"model":"m","stream":"yes"}', 'stream must be true or false, not a string'],
  ['{"model":"m","options":[]}', 'options must be an object, not an array'],
  ['{"model":"m","top_logprobs":1.5}', 'top_logprobs must be a whole number, not 1.5'],
  ['{"model":"m","context":["a"]}', 'context[0] must be a number, not a string'],
  ['{"model":"m","keep_alive":"soon"}', 'time: invalid duration "soon"'],
  ['{"model":"m","keep_alive":"5"}', 'time: missing unit in duration "5"'],
  ['{"model":"m","keep_alive":true}', "Unsupported type: 'bool'"],
  ['{"model":"m","think":3}', 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'],
  ['{"model":"m","think":"x"}', 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'],
  ['{"model":"m","format":"xml"}', 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object'],
  ['{"model":"m","images":["%%%"]}', 'illegal base64 data at input byte 0'],
  ['{"model":"m","images":["data:x"]}', 'illegal base64 data at input byte 4'],
  [`{"model":"m","x":${'['.repeat(501)}`, 'the JSON of the request is nested deeper than 500 levels'],
])('%j is 400 with a text that helps', async (body, text) => {
  expect(await asked(body)).toEqual([400, text])
})

test.each([
  ['42', 42_000],
  ['42.5', 42_500],
  ['"42m"', 2_520_000],
  ['0', 0],
  ['"0"', 0],
  ['-1', Number.POSITIVE_INFINITY],
  ['-3.14', Number.POSITIVE_INFINITY],
  ['"-1m"', Number.POSITIVE_INFINITY],
  ['null', null],
])('keep_alive %s is %s ms', async (text, ms) => {
  expect(await asked(`{"model":"m","keep_alive":${text}}`)).toMatchObject({ keepAliveMs: ms })
})

test('bytes that are no UTF-8 become replacement characters, as in the peer', async () => {
  const body = Buffer.concat([Buffer.from('{"model":"m","prompt":"Gr'), Buffer.from([0xfc]), Buffer.from('n"}')])
  const prompts: string[] = []
  const app = api({
    complete: ({ prompt }) => {
      prompts.push(prompt)
      return says([])
    },
  })
  await app.request('/api/generate', { method: 'POST', body, headers: { host: 'localhost' } })
  expect(prompts).toEqual(['Gr\ufffdn'])
})

test('a body that announces more than 100 MB is 413 before it is read', async () => {
  const answer = await post(api(), '/api/chat', '{}', { 'content-length': String(101 * 1024 * 1024) })
  expect([answer.status, await answer.json()]).toEqual([413, { error: 'the request body is larger than 100 MB' }])
})

test('a body of millions of lists is 413', async () => {
  const answer = await post(api(), '/api/chat', `{"x":[${'[],'.repeat(2_000_000)}`)
  expect(answer.status).toBe(413)
})

test('parseFirst() skips brackets and quotes inside strings', () => {
  expect(parseFirst('{"a":"}\\"]{","b":["\\\\"]}} rest')).toEqual({ a: '}"]{', b: ['\\'] })
})
