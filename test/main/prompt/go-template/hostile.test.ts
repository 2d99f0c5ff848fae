import { expect, test } from 'vitest'
import { AppError } from '../../../../main/errors.ts'
import { type GoTemplate, parseGoTemplate } from '../../../../main/prompt/go.ts'
import type { RenderInput } from '../../../../main/prompt/messages.ts'

const input: RenderInput = { messages: [{ role: 'user', content: 'Hello' }], tools: [], think: null }

/** The message of the AppError that parsing or rendering ends with. */
function refusal(text: string, change: Partial<RenderInput> = {}): { code: string; message: string } {
  try {
    return { code: 'none', message: parseGoTemplate(text).render({ ...input, ...change }) }
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message }
    throw error
  }
}

test('a loop that would run for hours is refused', () => {
  expect(refusal('{{ range 1000000000 }}{{ range 1000000000 }}{{ end }}{{ end }}{{ .Messages }}')).toEqual({
    code: 'invalid-template',
    message: 'template needs more than 2002000 steps to render',
  })
})

test('a text that doubles itself is refused before it fills the memory', () => {
  const text = '{{ $x := "0123456789" }}{{ range 1000 }}{{ $x = printf "%s%s" $x $x }}{{ end }}{{ .Messages }}'
  expect(refusal(text)).toMatchObject({ code: 'invalid-template', message: expect.stringContaining('writes more than') })
})

test('a format of a million directives is refused before it fills the memory', () => {
  const text = `{{ $x := "0123456789" }}{{ range 16 }}{{ $x = printf "%s%s" $x $x }}{{ end }}{{ printf ${JSON.stringify('%[1]s'.repeat(10_000))} $x }}`
  expect(refusal(text)).toMatchObject({ code: 'invalid-template', message: expect.stringContaining('writes more than') })
})

test('looking at a long text again and again counts as work', () => {
  const text = '{{ range 1000000 }}{{ len $.System }}{{ end }}{{ .Messages }}'
  const messages = [{ role: 'system', content: 'x'.repeat(1_000_000) }]
  expect(refusal(text, { messages })).toMatchObject({ code: 'invalid-template', message: expect.stringContaining('steps') })
})

test('a template that calls itself is refused', () => {
  expect(refusal('{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}').message).toBe('exceeded maximum template depth (800)')
})

test.each([
  ['blocks', `${'{{ if true }}'.repeat(100_000)}`, 'blocks nested too deeply'],
  ['parentheses', `{{ ${'('.repeat(100_000)}`, 'max expression depth exceeded'],
  ['else-if chains', `{{ if .a }}${'{{ else if .a }}'.repeat(100_000)}{{ end }}`, 'blocks nested too deeply'],
])('%s without end are refused', (_name, text, message) => {
  expect(refusal(text)).toEqual({ code: 'invalid-template', message: `template: :1: ${message}` })
})

test('the deepest nesting that is allowed renders', () => {
  const text = `${'{{ if true }}'.repeat(190)}${'{{ print '}${'('.repeat(5)}1${')'.repeat(5)} }}${'{{ end }}'.repeat(190)}{{ .Response }}`
  expect(refusal(text).message).toBe('1')
})

test('a width of a billion is refused by printf as Go refuses it', () => {
  expect(refusal('{{ printf "%1000000000d" 1 }}{{ .Response }}').message).not.toContain(' '.repeat(100))
})

test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '__defineGetter__'])('the name %s reaches nothing of JavaScript', (name) => {
  expect(refusal(`{{ .${name} }}|{{ range .Messages }}{{ end }}`).message).toBe('<no value>|')
  expect(refusal(`{{ range .Messages }}{{ .${name} }}{{ end }}`).message).toContain(`can't evaluate field ${name} in type`)
  expect(refusal(`{{ .Prompt.${name} }}`).message).toContain(`can't evaluate field ${name} in type string`)
})

test('an argument named __proto__ is an argument like any other', () => {
  const call = { id: 'a', index: 0, name: 'f', arguments: JSON.parse('{"__proto__": {"x": 1}, "constructor": 2}') }
  const messages = [{ role: 'assistant', content: '', toolCalls: [call] }]
  const text = '{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}'
  expect(refusal(text, { messages }).message).toBe('{"__proto__":{"x":1},"constructor":2}')
})

test('arguments nested without end are refused as the client’s mistake', () => {
  let nested: unknown = 1
  for (let depth = 0; depth < 100_000; depth++) nested = [nested]
  const call = { id: 'a', index: 0, name: 'f', arguments: { nested } as never }
  const text = '{{ range .Messages }}{{ .ToolCalls }}{{ end }}'
  expect(refusal(text, { messages: [{ role: 'assistant', content: '', toolCalls: [call] }] }).code).toBe('invalid-request')
})

test('a long honest conversation is far from the limits', () => {
  const template: GoTemplate = parseGoTemplate(
    '{{ range $i, $_ := .Messages }}{{ if eq (len (slice $.Messages $i)) 1 }}!{{ end }}{{ .Role }}: {{ .Content }}\n{{ end }}',
  )
  const messages = Array.from({ length: 5_000 }, (_, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content: 'word '.repeat(200) }))
  expect(template.render({ ...input, messages })).toMatch(/!assistant: (word ){200}\n$/)
})
