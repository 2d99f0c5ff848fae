import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../main/lib/json.ts'
import type { Tool } from '../../main/prompt/messages.ts'
import { post } from '../helpers/http.ts'
import { addModel } from '../helpers/library.ts'
import { makeModel, shapes } from '../helpers/make-gguf.ts'
import { realTemplate, realTemplates } from '../helpers/real-templates.ts'
import { startTestServer, type TestServer } from '../helpers/test-server.ts'

/** One template of each form that calls take. */
const forms = [
  'Qwen-Qwen2.5-7B-Instruct.jinja',
  'Qwen3-Coder.jinja',
  'GLM-4.6.jinja',
  'mistralai-Mistral-Nemo-Instruct-2407.jinja',
  'unsloth-mistral-Devstral-Small-2507.jinja',
  'deepseek-ai-DeepSeek-V3.1.jinja',
  'deepseek-ai-DeepSeek-V3.2.jinja',
  'moonshotai-Kimi-K2.jinja',
  'Kimi-K3.jinja',
  'MiniMax-M2.jinja',
  'MiniMax-M3.jinja',
  'google-gemma-4-31B-it.jinja',
  'LFM2.5-8B-A1B.jinja',
  'meetkai-functionary-medium-v3.2.jinja',
  'meta-llama-Llama-3.1-8B-Instruct.jinja',
  'ByteDance-Seed-OSS.jinja',
  'openai-gpt-oss-120b.jinja',
].filter((file) => realTemplates.includes(file))

/** Texts and lists have limits, so that a model of noise comes to their end. */
const tools: Tool[] = [
  {
    type: 'function',
    function: {
      name: 'order',
      description: 'Orders things',
      parameters: {
        type: 'object',
        properties: {
          item: { type: 'string', minLength: 1, maxLength: 8, description: 'What' },
          count: { type: 'integer', minimum: 1, maximum: 20, description: 'How many' },
          size: { type: 'string', enum: ['small', 'large'], description: 'Of what size' },
          gift: { type: 'boolean', description: 'Whether it is a gift' },
          tags: { type: 'array', items: { type: 'string', maxLength: 4 }, maxItems: 2, description: 'Marks' },
        },
        required: ['item', 'count', 'size'],
        additionalProperties: false,
      },
    },
  },
  {
    type: 'function',
    function: {
      name: 'cancel',
      description: 'Cancels an order',
      parameters: {
        type: 'object',
        properties: { id: { type: 'integer', minimum: 0, maximum: 9999, description: 'Which' } },
        required: ['id'],
        additionalProperties: false,
      },
    },
  },
]

const ajv = new Ajv2020({ strict: false })

let server: TestServer
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'paddock-held-'))
  server = await startTestServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

interface Choice {
  finish_reason: string
  message: { content: string | null; tool_calls?: { function: { name: string; arguments: string } }[] }
}

/** Every turn's words, the tools before them, calls by this text: a template of no family. */
const ownTemplate = (call: string) =>
  `{% for tool in tools %}{{ tool | tojson }}{% endfor %}{% for message in messages %}{{ '<turn:' ~ message.role ~ '>' ~ (message.content or '') }}{% for c in message.tool_calls or [] %}{% set f = c.function %}${call}{% endfor %}{% endfor %}{{ '<turn:assistant>' if add_generation_prompt }}`

const goTemplate = (call: string) =>
  `{{ .Tools }}{{ range .Messages }}<turn:{{ .Role }}>{{ .Content }}{{ if .ToolCalls }}{{ range .ToolCalls }}${call}{{ end }}{{ end }}{{ end }}<turn:assistant>`

/** Calls are forced whoever wrote the template, in whichever language. */
const unknown: [name: string, template: { jinja: string } | { go: string }][] = [
  ['a tag and an object', { jinja: ownTemplate(`{{ '<do>' ~ {'tool': f.name, 'with': f.arguments} | tojson ~ '</do>' }}`) }],
  ['a name and arguments', { jinja: ownTemplate(`{{ '<|do|>' ~ f.name ~ '<|with|>' ~ f.arguments | tojson ~ '<|od|>' }}`) }],
  ['no form at all', { jinja: ownTemplate('') }],
  ['a Go template', { go: goTemplate('<do>{"tool": "{{ .Function.Name }}", "with": {{ .Function.Arguments }}}</do>') }],
  ['a Go template of bare objects', { go: goTemplate('{"name": "{{ .Function.Name }}", "parameters": {{ .Function.Arguments }}}') }],
  ['a Go template of a known family', { go: goTemplate('<tool_call>{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}</tool_call>') }],
]

async function drawn(model: string, seed: number, choice: JsonObject | string): Promise<Choice> {
  const messages = [{ role: 'user', content: 'Order it.' }]
  const more = { tools, tool_choice: choice, parallel_tool_calls: false, reasoning_effort: 'none', temperature: 1.5, seed, max_tokens: 600 }
  const { status, body } = await post(server.url, '/v1/chat/completions', { model, messages, ...more })
  expect(status, JSON.stringify(body)).toBe(200)
  return (body as unknown as { choices: Choice[] }).choices[0] as Choice
}

describe.runIf(forms.length > 0)('a model of noise that must call', { timeout: 120_000 }, () => {
  test.each(forms)('%s: calls a declared tool as its schema says', async (template) => {
    await expectHeld(path.parse(template).name.toLowerCase(), { jinja: await realTemplate(template) })
  })
})

describe('a model of noise with a template of no known family that must call', { timeout: 120_000 }, () => {
  test.each(unknown)('%s: calls a declared tool as its schema says', async (name, template) => {
    await expectHeld(name.toLowerCase().replaceAll(' ', '-'), template)
  })

  test('is refused where its calls cannot be held', async () => {
    const jinja = ownTemplate(`{{ '<do>' ~ {'name': f.name, 'input': f.arguments | tojson} | tojson ~ '</do>' }}`)
    await makeModel(path.join(folder, 'model.gguf'), { shape: shapes.tiny, type: 'f16', chatTemplate: jinja })
    await addModel(server.url, 'text-arguments', path.join(folder, 'model.gguf'))
    const request = { model: 'text-arguments', messages: [{ role: 'user', content: 'Order it.' }], tools, max_tokens: 5 }
    const { status, body } = await post(server.url, '/v1/chat/completions', { ...request, tool_choice: 'required' })
    expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining('arguments of calls as a text inside of JSON')])
    expect((await post(server.url, '/v1/chat/completions', request)).status).toBe(200)
  })

  test('is refused where a grammar asks for something else', async () => {
    const request = { model: 'a-tag-and-an-object', messages: [{ role: 'user', content: 'Order it.' }], tools, tool_choice: 'required', max_tokens: 5 }
    const { status, body } = await post(server.url, '/v1/chat/completions', { ...request, options: { grammar: 'root ::= "a"' } })
    expect([status, JSON.stringify(body)]).toEqual([400, expect.stringContaining('a tool_choice that demands a call')])
  })
})

/** Replies of noise are calls of the declared tools, of the named one where one is named. */
async function expectHeld(model: string, template: { jinja: string } | { go: string }): Promise<void> {
  const file = path.join(folder, 'model.gguf')
  const isGo = 'go' in template
  await makeModel(file, { shape: shapes.tiny, type: 'f16', ...(!isGo && { chatTemplate: template.jinja }) })
  await addModel(server.url, model, file)
  if (isGo) expect((await post(server.url, '/api/create', { model, from: model, template: template.go, stream: false })).status).toBe(200)
  const named = { type: 'function', function: { name: 'cancel' } }
  const choices = await Promise.all([...[1, 2, 3].map((seed) => drawn(model, seed, 'required')), drawn(model, 4, named)])
  for (const { finish_reason, message } of choices) {
    const [call, ...others] = message.tool_calls ?? []
    expect([finish_reason, others, message.content ?? ''], JSON.stringify(message)).toEqual(['tool_calls', [], ''])
    const tool = tools.find(({ function: { name } }) => name === call?.function.name)
    expect(
      ajv.validate(tool?.function.parameters as object, JSON.parse(call?.function.arguments ?? '')),
      `${call?.function.arguments} ${ajv.errorsText()}`,
    ).toBe(true)
  }
  expect(choices.at(-1)?.message.tool_calls?.[0]?.function.name).toBe('cancel')
}
