import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseGoTemplate } from '../../../main/prompt/go.ts'
import type { Message, RenderInput, Think, Tool } from '../../../main/prompt/messages.ts'

interface RecordedMessage {
  role: string
  content: string
  thinking?: string
  tool_calls?: { id: string; function: { name: string; arguments: Record<string, string> } }[]
  tool_name?: string
}
interface RecordedRequest {
  messages?: RecordedMessage[]
  tools?: Tool[]
  think?: Think
  prompt?: string
  system?: string
  suffix?: string
}
interface Recording {
  requests: Record<string, RecordedRequest>
  templates: Record<string, { template: string; capabilities: string[]; cases: Record<string, { rendered?: string; error?: string }> }>
}

const recording = JSON.parse(readFileSync(new URL('../../fixtures/golden/templates/go.json', import.meta.url), 'utf8')) as Recording

function toInput(request: RecordedRequest, canThink: boolean): RenderInput {
  const generate: RecordedMessage[] = [
    ...(request.system === undefined ? [] : [{ role: 'system', content: request.system }]),
    { role: 'user', content: request.prompt ?? '' },
  ]
  return {
    messages: (request.messages ?? generate).map(toMessage),
    tools: request.tools ?? [],
    think: request.think ?? (canThink ? true : null),
    ...(request.suffix === undefined ? {} : { suffix: request.suffix }),
  }
}

function toMessage({ role, content, thinking, tool_calls, tool_name }: RecordedMessage): Message {
  const calls = tool_calls?.map((call, index) => ({ id: call.id, index, name: call.function.name, arguments: call.function.arguments }))
  return {
    role,
    content,
    ...(thinking === undefined ? {} : { thinking }),
    ...(calls === undefined ? {} : { toolCalls: calls }),
    ...(tool_name === undefined ? {} : { toolName: tool_name }),
  }
}

describe.each(Object.entries(recording.templates))('the template %s', (_name, { template, capabilities, cases }) => {
  const parsed = parseGoTemplate(template)

  test('has the capabilities that Ollama sees', () => {
    const seen = ['completion', parsed.usesTools && 'tools', parsed.usesSuffix && 'insert', parsed.thinkingTags() && 'thinking'].filter(Boolean)
    expect(seen).toEqual(capabilities)
  })

  const rendered = Object.entries(cases).flatMap(([name, { rendered }]) => (rendered === undefined ? [] : [{ name, rendered }]))
  test.each(rendered)('renders $name as Ollama does', ({ name, rendered }) => {
    expect(parsed.render(toInput(recording.requests[name] as RecordedRequest, parsed.thinkingTags() !== null))).toBe(rendered)
  })
})

function chat(...contents: [role: string, content: string][]): RenderInput {
  return { messages: contents.map(([role, content]) => ({ role, content })), tools: [], think: null }
}

const weather: Tool = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      properties: { unit: { enum: ['c'], default: 'c', type: 'string' }, city: { description: 'a <city>' } },
      type: 'object',
      additionalProperties: false,
    },
  },
}

describe('parseGoTemplate()', () => {
  test.each([
    ['{{ .Prompt', 'template: :1: unclosed action'],
    ['{{ if .Prompt }}', 'template: :1: unexpected EOF'],
    ['{{ nothing }}', 'template: :1: function "nothing" not defined'],
  ])('refuses %s with the words of Go', (text, message) => {
    expect(() => parseGoTemplate(text)).toThrow(expect.objectContaining({ code: 'invalid-template', message }))
  })

  test('refuses complex numbers, which no prompt needs', () => {
    expect(() => parseGoTemplate('{{ 1i }}')).toThrow('illegal number syntax')
  })
})

describe('GoTemplate.render()', () => {
  test('appends the reply’s place to a template that names neither messages nor response', () => {
    const template = parseGoTemplate('Q: {{ .Prompt }} A: ')
    expect(template.render(chat(['user', 'one'], ['assistant', 'two'], ['user', 'three']))).toBe('Q: one A: twoQ: three A: ')
  })

  test('stops where the reply is to begin', () => {
    expect(parseGoTemplate('<{{ .Prompt }}>{{ .Response }}</s>').render(chat(['user', 'a'], ['assistant', 'b'], ['user', 'c']))).toBe('<a>b</s><c>')
  })

  test('stops where the reply is to begin inside a branch, and in that branch only', () => {
    const text = '{{ .Prompt }}{{ if .Prompt }}[{{ .Response }}]{{ else }}none{{ end }}!'
    expect(parseGoTemplate(text).render(chat(['user', 'a']))).toBe('a[')
    expect(parseGoTemplate(text).render(chat(['assistant', 'a']))).toBe('none')
  })

  test('gives a level for thinking that is merely on', () => {
    const template = parseGoTemplate('{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}{{ .Messages | len }}')
    const levels = ([true, false, null, 'high'] as const).map((think) => template.render({ ...chat(), think }))
    expect(levels).toEqual(['true medium true0', 'false  true0', 'false  false0', 'true high true0'])
  })

  test('keeps results of tools apart that follow one another', () => {
    expect(parseGoTemplate('{{ range .Messages }}[{{ .Role }} {{ .Content }}]{{ end }}').render(chat(['tool', 'a'], ['tool', 'b']))).toBe('[tool a][tool b]')
  })

  test('joins system messages with a blank line', () => {
    expect(parseGoTemplate('{{ .System }}{{ range .Messages }}{{ end }}').render(chat(['system', 'a'], ['user', 'x'], ['system', 'b']))).toBe('a\n\nb')
  })

  test('prints tools as JSON, with every keyword that the client sent', () => {
    const rendered = parseGoTemplate('{{ .Tools }}{{ range .Messages }}{{ end }}').render({ ...chat(), tools: [weather] })
    expect(rendered).toBe(
      '[{"type":"function","function":{"name":"weather","description":"","parameters":{"type":"object","properties":{"unit":{"enum":["c"],"default":"c","type":"string"},' +
        '"city":{"description":"a \\u003ccity\\u003e"}},"additionalProperties":false}}}]',
    )
  })

  test('ranges over properties by name, with their types', () => {
    const text =
      '{{ range .Tools }}{{ range $name, $p := .Function.Parameters.Properties }}{{ $name }}:{{ $p.Type }}:{{ $p | toTypeScriptType }}:{{ $p.Enum }};{{ end }}{{ end }}{{ range .Messages }}{{ end }}'
    expect(parseGoTemplate(text).render({ ...chat(), tools: [weather] })).toBe('city::any:[];unit:string:string:[c];')
  })

  test('writes schemas as TypeScript types', () => {
    const schemas = [{ type: ['string', 'null'] }, { anyOf: [{ type: 'integer' }, { type: 'array' }] }, { type: 'object' }, { type: 'constructor' }]
    const properties = Object.fromEntries(schemas.map((schema, i) => [`p${i}`, schema]))
    const tool: Tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties } } }
    const text = '{{ range .Tools }}{{ range .Function.Parameters.Properties }}{{ toTypeScriptType . }};{{ end }}{{ end }}{{ range .Messages }}{{ end }}'
    expect(parseGoTemplate(text).render({ ...chat(), tools: [tool] })).toBe('string | null;number | any[];Record<string, any>;any;')
  })

  test('knows today and yesterday', () => {
    const template = parseGoTemplate('{{ currentDate }} {{ yesterdayDate }} {{ currentDate "2006" }}{{ .Messages | len }}', () => new Date(2026, 2, 1, 9))
    expect(template.render(chat())).toBe('2026-03-01 2026-02-28 2026-03-010')
  })

  test('prints pictures as base64 where a template prints messages as JSON', () => {
    const messages: Message[] = [{ role: 'user', content: '', images: [new Uint8Array([1, 2, 3])] }]
    expect(parseGoTemplate('{{ json (index .Messages 0).Images }}').render({ ...chat(), messages })).toBe('["AQID"]')
  })
})

describe('what a template says of itself', () => {
  test.each([
    ['{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}', { open: '<think>', close: '</think>' }],
    ['{{ range .Messages }}{{ if .Thinking }}{{ .Thinking }}</think>{{ end }}{{ end }}', null],
    ['{{ range .Other }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}', null],
    ['{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Messages }}', null],
  ])('thinkingTags() of %s', (text, tags) => {
    expect(parseGoTemplate(text).thinkingTags()).toEqual(tags)
  })

  test.each([
    ['{{ range .Messages }}{{ if .ToolCalls }}\n<tool_call>\n{"name": "{{ . }}"}{{ end }}{{ end }}', '<tool_call>'],
    ['{{ range .Messages }}{{ if .Content }}x{{ else if .ToolCalls }}[TOOL_CALLS] [{{ range .ToolCalls }}{{ end }}]{{ end }}{{ end }}', '[TOOL_CALLS] ['],
    ['{{ range .Messages }}{{ if .ToolCalls }}{{ range .ToolCalls }}{"name": 1}{{ end }}{{ end }}{{ end }}', '{'],
    ['{{ range .Messages }}{{ if .ToolCalls }}{{ .ToolCalls }}<x>{{ end }}{{ end }}', '{'],
    ['{{ range .Messages }}{{ .Content }}{{ end }}', '{'],
  ])('toolCallTag() of %s', (text, tag) => {
    expect(parseGoTemplate(text).toolCallTag()).toBe(tag)
  })

  test.each([
    ['{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ .ToolCalls }}{{ end }}', { calls: true, results: true }],
    ['{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ end }}', { calls: false, results: true }],
    ['{{ .Tools }}{{ range .Messages }}{{ if eq .Role "user" }}{{ .Content }}{{ end }}{{ end }}', { calls: false, results: false }],
    ['{{ .Tools }}{{ range .Messages }}{{ .Content.Broken }}{{ end }}', { calls: false, results: false }],
    ['{{ range .Messages }}{{ .Content }}{{ end }}', { calls: false, results: false }],
  ])('toolRoundTrip() of %s', (text, roundTrip) => {
    expect(parseGoTemplate(text).toolRoundTrip()).toEqual(roundTrip)
  })
})
