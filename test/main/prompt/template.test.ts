import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import type { Message, Think, Tool } from '../../../main/prompt/messages.ts'
import { promptTemplate } from '../../../main/prompt/template.ts'
import { inspectTemplates } from '../../../main/prompt/template-facts.ts'
import { forkSpawner } from '../../../main/runtime/process.ts'
import { TemplateRenderer } from '../../../main/runtime/template-renderer.ts'
import { eventsOf } from '../../helpers/replies.ts'

const renderer = new TemplateRenderer({
  spawn: forkSpawner(),
  entry: fileURLToPath(new URL('../../../main/runtime/template-process/main.ts', import.meta.url)),
})
const render = renderer.render.bind(renderer)
const never = new AbortController().signal
const specials = { bosText: '', eosText: '<|im_end|>' }
const cria = readFileSync(new URL('../../fixtures/cria/template.jinja', import.meta.url), 'utf8')
const weather: Tool = {
  type: 'function',
  function: { name: 'get_weather', description: 'Get the weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}
const question: Message = { role: 'user', content: 'What is 2 + 3?' }
afterAll(() => renderer[Symbol.asyncDispose]())

/** What a client would see of this reply. */
async function read(
  jinja: string,
  { messages = [question], tools = [], think = true, format = false }: { messages?: Message[]; tools?: Tool[]; think?: Think | null; format?: boolean },
  text: string,
) {
  const template = promptTemplate({ go: null, jinja, render, specials })
  const prompt = await template.render({ messages, tools, think }, never)
  return { prompt, events: eventsOf(template.parser({ tools, think, prompt, messages, format }), text) }
}

test('a reply that thinks keeps the white space that the model wrote (recorded: chat/turns)', async () => {
  const { events } = await read(cria, {}, '<think>\nI know.\n</think>\n\nI am Cria.')
  expect(events).toEqual([
    { type: 'thinking', text: '\nI know.\n' },
    { type: 'text', text: '\n\nI am Cria.' },
  ])
})

test('a reply that does not think is text (recorded: chat/think)', async () => {
  const { prompt, events } = await read(cria, {}, '2 + 3 = 10')
  expect(prompt).toBe('<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n')
  expect(events).toEqual([{ type: 'text', text: '2 + 3 = 10' }])
})

test('what follows a block that the prompt has closed is part of the reply (recorded: chat/think-off)', async () => {
  const { prompt, events } = await read(cria, { think: false }, '2 + 3 = 10')
  expect(prompt).toMatch(/<think>\n\n<\/think>\n\n$/)
  expect(events).toEqual([{ type: 'text', text: '\n\n2 + 3 = 10' }])
})

test('thinking that holds nothing but white space is none (recorded: chat/role-unknown)', async () => {
  const { events } = await read(cria, {}, '<think>\n')
  expect(events).toEqual([])
})

test('a trailing assistant message is continued and given with the reply (recorded: chat/prefill)', async () => {
  const { prompt, events } = await read(cria, { messages: [question, { role: 'assistant', content: 'The sum' }] }, ' is 5.')
  expect(prompt).toBe('<|im_start|>user\nWhat is 2 + 3?<|im_end|>\n<|im_start|>assistant\n<think></think>The sum')
  expect(events).toEqual([{ type: 'text', text: 'The sum is 5.' }])
})

test('a trailing thought is continued and given with the thinking', async () => {
  const { prompt, events } = await read(cria, { messages: [question, { role: 'assistant', content: '', thinking: 'Two' }] }, ' and three.</think>5')
  expect(prompt).toMatch(/assistant\n<think>Two$/)
  expect(events).toEqual([
    { type: 'thinking', text: 'Two and three.' },
    { type: 'text', text: '5' },
  ])
})

test('a call is an event and nothing of its markup is text (recorded: chat/tool)', async () => {
  const { prompt, events } = await read(cria, { tools: [weather] }, '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>')
  expect(prompt).toMatch(/^<\|im_start\|>system\nYou can call these tools:\n- get_weather\(city\): Get the weather<\|im_end\|>/)
  expect(events).toEqual([
    { type: 'tool-call', call: { id: expect.stringMatching(/^call_[a-z0-9]{8}$/), index: 0, name: 'get_weather', arguments: { city: 'Paris' } } },
  ])
})

test('tools reach a template that reads them from the system message, as Phi 4 mini does', async () => {
  const phi =
    "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}{{ '<|system|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|><|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
  const listed = `<|tool|>${JSON.stringify([weather.function])}<|/tool|><|end|>`
  const call = '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|/tool_call|>'
  const alone = await read(phi, { tools: [weather] }, call)
  expect(alone.prompt).toBe(`<|system|>${listed}<|user|>What is 2 + 3?<|end|><|assistant|>`)
  expect(alone.events).toMatchObject([{ type: 'tool-call', call: { name: 'get_weather', arguments: { city: 'Paris' } } }])
  const { prompt } = await read(phi, { tools: [weather], messages: [{ role: 'system', content: 'Be kind.' }, question] }, '')
  expect(prompt).toBe(`<|system|>Be kind.${listed}<|user|>What is 2 + 3?<|end|><|assistant|>`)
  expect(inspectTemplates(null, phi).tools).toBe(true)
})

test('a template that calls its tools otherwise can call tools (SmolLM3)', () => {
  expect(inspectTemplates(null, '{% if xml_tools %}{{ xml_tools }}{% endif %}').tools).toBe(true)
})

test('without tools a call is the text that it is', async () => {
  const { events } = await read(cria, {}, '<tool_call>{}</tool_call>')
  expect(events).toEqual([{ type: 'text', text: '<tool_call>{}</tool_call>' }])
})

test('the white space between thinking and a structured reply is dropped (recorded: chat/format-schema)', async () => {
  const { events } = await read(cria, { format: true }, '<think>\nParis.\n</think>\n\n{"capital": "Paris"}')
  expect(events).toEqual([
    { type: 'thinking', text: '\nParis.\n' },
    { type: 'text', text: '{"capital": "Paris"}' },
  ])
})

test('white space that a template writes around thinking is markup', async () => {
  const qwen = `{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.reasoning_content %}{{ '<think>\n' + m.reasoning_content + '\n</think>\n\n' }}{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}{{ '<|im_start|>assistant\n' }}`
  const { events } = await read(qwen, {}, '<think>\nI know.\n</think>\n\nHello')
  expect(events).toEqual([
    { type: 'thinking', text: 'I know.' },
    { type: 'text', text: 'Hello' },
  ])
})

test('a prompt that opens the thinking has the reply begin inside it', async () => {
  const opens = `{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: <think>\n{# </think> #}`
  const { events } = await read(opens, {}, 'I know.</think>Hello')
  expect(events).toEqual([
    { type: 'thinking', text: 'I know.' },
    { type: 'text', text: 'Hello' },
  ])
})

// Going over the text again at every token would take minutes.
test('a model that writes nothing but long white space is followed', { timeout: 60_000 }, async () => {
  const blank = '\n'.repeat(200_000)
  const { events } = await read(cria, {}, `${blank}<think>${blank}I know.${blank}</think>`)
  expect(events).toEqual([{ type: 'thinking', text: `${blank}I know.${blank}` }])
  const template = promptTemplate({ go: null, jinja: cria, render, specials })
  const prompt = await template.render({ messages: [question], tools: [], think: true }, never)
  expect(eventsOf(template.parser({ tools: [], think: true, prompt }), `${blank}<think>${blank}`.split(''))).toEqual([])
})

test('a Go template eats the white space around thinking', () => {
  const go = '{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}'
  const template = promptTemplate({ go, jinja: null, render, specials })
  expect(template.thinkingTags).toEqual({ open: '<think>', close: '</think>' })
  expect(eventsOf(template.parser({ tools: [], think: true, prompt: '' }), '<think>\nI know.\n</think>\n\nHello')).toEqual([
    { type: 'thinking', text: 'I know.\n' },
    { type: 'text', text: 'Hello' },
  ])
})

test('a Go template whose thinking was not asked for leaves the tags in the text', () => {
  const go = '{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}'
  const template = promptTemplate({ go, jinja: null, render, specials })
  expect(eventsOf(template.parser({ tools: [], think: false, prompt: '' }), '<think>a</think>b')).toEqual([{ type: 'text', text: '<think>a</think>b' }])
})

test('inspectTemplates() prefers a Go template of equal worth', () => {
  const go = '{{ range .Messages }}{{ .Content }}{{ end }}'
  expect(inspectTemplates(go, '{{ messages }}')).toEqual({ selected: 'go', tools: false, thinking: false, insert: false })
})

test('inspectTemplates() prefers a Jinja template that exposes more', () => {
  const go = '{{ range .Messages }}{{ .Content }}{{ end }}'
  expect(inspectTemplates(go, cria)).toEqual({ selected: 'jinja', tools: true, thinking: true, insert: false })
})

test('inspectTemplates() keeps a Go template that can insert', () => {
  expect(inspectTemplates('{{ .Prompt }}{{ .Suffix }}{{ .Response }}', cria)).toEqual({ selected: 'go', tools: false, thinking: false, insert: true })
})

test('inspectTemplates() follows the forced choice', () => {
  const go = '{{ range .Messages }}{{ .Content }}{{ end }}'
  expect([inspectTemplates(go, cria, true).selected, inspectTemplates(go, '{{ messages }}', false).selected]).toEqual(['go', 'jinja'])
})

test('inspectTemplates() selects nothing where there is nothing', () => {
  expect(inspectTemplates(null, null)).toEqual({ selected: 'none', tools: false, thinking: false, insert: false })
})

test("a request's template wins over the model's", async () => {
  const template = promptTemplate({ go: null, jinja: cria, request: '[{{ .Prompt }}]', render, specials })
  expect([template.kind, await template.render({ messages: [question], tools: [], think: null }, never)]).toEqual(['go', '[What is 2 + 3?]'])
})

test('without a template the text is the prompt', async () => {
  const template = promptTemplate({ go: null, jinja: null, render, specials })
  expect([template.kind, await template.render({ messages: [question], tools: [], think: null }, never)]).toEqual(['none', 'What is 2 + 3?'])
})

test('a template that refuses every form says why', async () => {
  const template = promptTemplate({ go: null, jinja: '{{ raise_exception("only for poems") }}', render, specials })
  await expect(template.render({ messages: [question], tools: [], think: null }, never)).rejects.toMatchObject({
    code: 'invalid-template',
    message: 'the chat template refuses this conversation: only for poems',
  })
})
