import { zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ChatRequest } from '../../../../main/generation/events.ts'
import { api, post, says } from '../services.ts'

// Rows of the checklist for Responses (openai-anthropic-api §15b) are quoted in the names.

async function asked(body: object | string, headers: Record<string, string> = {}): Promise<ChatRequest | [number, string]> {
  let request: ChatRequest | null = null
  const app = api({
    chat: (given) => {
      request = given
      return says([])
    },
  })
  const answer = await post(app, '/v1/responses', typeof body === 'string' ? body : { model: 'm', input: 'hi', ...body }, headers)
  return request ?? [answer.status, ((await answer.json()) as { error: { message: string } }).error.message]
}

const f = { type: 'function', name: 'f', description: 'does f', strict: true, parameters: { type: 'object', properties: { b: {}, a: {} } } }
const g = { type: 'function', name: 'g' }
const known = (name: string, more: object = {}) => ({ type: 'function', function: { name, ...more } })
const anyArguments = { parameters: { type: 'object', properties: {} } }
const toolOfF = known('f', { description: 'does f', parameters: f.parameters })

describe('options', () => {
  test('what was not given is left to model and dialect', async () => {
    expect(await asked({})).toMatchObject({
      options: {},
      dialectDefaults: { temperature: 1 },
      format: null,
      think: null,
      tools: [],
      toolChoice: 'auto',
      truncate: true,
      shift: true,
      keepAliveMs: null,
      topLogprobs: null,
    })
  })

  test('max_output_tokens, temperature and the native names reach the model', async () => {
    const body = {
      max_output_tokens: 5,
      temperature: 0,
      top_p: 0.5,
      num_ctx: 512,
      top_k: 3,
      min_p: 0.1,
      repeat_penalty: 1.1,
      options: { seed: 7, temperature: 2 },
      keep_alive: '1m',
    }
    expect(await asked(body)).toMatchObject({
      options: { num_predict: 5, temperature: 0, top_p: 0.5, num_ctx: 512, top_k: 3, min_p: 0.1, repeat_penalty: 1.1, seed: 7 },
      keepAliveMs: 60_000,
    })
  })

  test('log-probabilities come where they are included', async () => {
    expect(await asked({ include: ['message.output_text.logprobs'], top_logprobs: 3 })).toMatchObject({ topLogprobs: 3 })
    expect(await asked({ top_logprobs: 3 })).toMatchObject({ topLogprobs: null })
  })

  test('truncation that is said to be disabled refuses what does not fit', async () => {
    expect(await asked({ truncation: 'disabled' })).toMatchObject({ truncate: false })
    expect(await asked({ truncation: 'auto' })).toMatchObject({ truncate: true })
  })
})

test.each([
  ['none', false],
  ['minimal', 'low'],
  ['low', 'low'],
  ['medium', 'medium'],
  ['high', 'high'],
  ['xhigh', 'max'],
  ['max', 'max'],
  [null, null],
])('effort clamps: %j is think %j', async (effort, think) => {
  expect(await asked({ reasoning: { effort, summary: 'auto' } })).toMatchObject({ think })
})

test.each([
  [
    { type: 'json_schema', name: 'a', schema: { type: 'object' }, strict: true },
    { type: 'schema', schema: { type: 'object' } },
  ],
  [{ type: 'json_object' }, { type: 'json' }],
  [{ type: 'text' }, null],
  [undefined, null],
])('text.format %j is format %j (json_schema format, `text` format none)', async (format, expected) => {
  expect(await asked({ text: { format } })).toMatchObject({ format: expected })
})

describe('tools', () => {
  test('a function keeps its schema, and the order of its keys', async () => {
    const request = await asked({ tools: [f, g] })
    expect(request).toMatchObject({ tools: [toolOfF, known('g', anyArguments)] })
    expect(JSON.stringify(request)).toContain('"properties":{"b":{},"a":{}}')
  })

  test('namespace tools: members go by the names of both', async () => {
    expect(await asked({ tools: [{ type: 'namespace', name: 'ns', tools: [f] }, f] })).toMatchObject({
      tools: [known('ns.f', { description: 'does f', parameters: f.parameters }), toolOfF],
    })
  })

  test('a custom tool is a function of one text, told the form of it', async () => {
    const format = { type: 'grammar', syntax: 'lark', definition: 'start: WORD' }
    expect(await asked({ tools: [{ type: 'custom', name: 'patch', description: 'p', format }] })).toMatchObject({
      tools: [
        {
          type: 'function',
          function: {
            name: 'patch',
            description: 'p\n\nThe input follows this lark grammar:\nstart: WORD',
            parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
          },
        },
      ],
    })
  })

  test('another type passes by its type and name, one without a name is left out', async () => {
    expect(await asked({ tools: [{ type: 'shell', name: 'patch', description: 'p', format: { type: 'text' } }, { type: 'local_shell' }] })).toMatchObject({
      tools: [{ type: 'shell', function: { name: 'patch', description: 'p' } }],
    })
  })

  test('web_search declaration and unknown controls tolerated', async () => {
    const body = {
      tools: [{ type: 'web_search' }, { type: 'web_search_preview', search_context_size: 'low' }, f],
      include: ['reasoning.encrypted_content'],
      conversation: 'conv_1',
      max_tool_calls: 3,
      parallel_tool_calls: false,
      service_tier: 'flex',
      user: 'me',
      banana: 5,
    }
    expect(await asked(body)).toMatchObject({ tools: [toolOfF] })
  })

  test.each([
    ['auto', 'auto', ['f', 'g']],
    ['none', 'none', ['f', 'g']],
    ['required', 'required', ['f', 'g']],
    [{ type: 'function', name: 'g' }, { name: 'g' }, ['f', 'g']],
    [{ type: 'web_search_preview' }, 'auto', ['f', 'g']],
    [{ type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'g' }] }, 'required', ['g']],
    [{ type: 'allowed_tools', mode: 'auto', tools: [] }, 'auto', []],
  ])('tool_choice %j leaves the model %j of %j', async (tool_choice, toolChoice, names) => {
    const request = await asked({ tools: [f, g], tool_choice })
    expect(request).toMatchObject({ toolChoice })
    expect((request as ChatRequest).tools.map((tool) => tool.function.name)).toEqual(names)
  })
})

test.each([
  ['', 'EOF'],
  ['{', 'unexpected end of the request body: the JSON is not complete'],
  [{ model: '' }, 'model is required'],
  [{ temperature: 'hot' }, 'temperature must be a number, not a string'],
  [{ top_logprobs: 21 }, 'top_logprobs: must be between 0 and 20'],
  [{ tools: 5 }, 'tools must be an array, not a number'],
  [{ tools: [{ type: 'namespace', name: 'ns', tools: 5 }] }, 'the tools of a namespace must be a list of tools'],
  [{ tool_choice: 'any' }, 'tool_choice must be "none", "auto", "required" or a tool, not "any"'],
  [{ tool_choice: 'required' }, 'tool_choice asks for a call, but no tool is declared that can be called here'],
  [{ tool_choice: { type: 'function', name: 'f' } }, 'tool_choice: no tool is named "f"'],
  [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema must be an object'],
  [{ reasoning: { effort: 'banana' } }, 'invalid reasoning value: "banana" (must be "minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none")'],
])('%j is refused: %s', async (body, message) => {
  expect(await asked(body)).toEqual([400, message])
})

describe('a zstd body', () => {
  const send = async (bytes: Buffer, encoding = 'zstd') => {
    const app = api({ chat: ({ messages }) => says([String(messages[0]?.content.length)]) })
    const answer = await app.request('/v1/responses', {
      method: 'POST',
      body: bytes as Buffer<ArrayBuffer>,
      headers: { host: 'localhost', 'content-encoding': encoding },
    })
    const { output, error } = (await answer.json()) as { output?: { content: { text: string }[] }[]; error?: { message: string } }
    return [answer.status, error?.message ?? output?.[0]?.content[0]?.text]
  }
  const packed = (length: number) => zstdCompressSync(JSON.stringify({ model: 'm', input: 'a'.repeat(length) }))

  test('zstd body accepted', async () => {
    expect(await send(packed(1000))).toEqual([200, '1000'])
  })

  test('zstd body: limit enforced', async () => {
    expect(await send(packed(20 * 1024 * 1024))).toEqual([400, 'the decompressed request body is larger than 20 MB'])
  })

  test.each([
    ['none', Buffer.from('{"model":"m"}')],
    ['cut off', packed(1000).subarray(0, -4)],
  ])('that is %s is refused', async (_, bytes) => {
    expect(await send(bytes)).toEqual([400, 'failed to decompress zstd body'])
  })
})
