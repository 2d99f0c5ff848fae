import { describe, expect, test } from 'vitest'
import type { Tool } from '../../../main/prompt/messages.ts'
import { toolGrammar } from '../../../main/prompt/tool-grammar.ts'
import { accepts } from '../../helpers/grammar-engine.ts'

const weather: Tool = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } } },
}
const add: Tool = { type: 'function', function: { name: 'add' } }
const hermes = "{{ '<tool_call>' }}"

describe('toolGrammar()', () => {
  test('names every tool that may be called', () => {
    const { gbnf } = toolGrammar(hermes, [weather, add]) ?? { gbnf: '' }
    expect(gbnf).toContain('get_weather')
    expect(gbnf).toContain('add')
    expect(gbnf).toContain('city')
  })

  test('names only the tool that must be called', () => {
    expect(toolGrammar(hermes, [weather, add], { only: 'add' })?.gbnf).not.toContain('get_weather')
  })

  test('holds arguments whose schema refers to its own definitions, in every form', () => {
    const route = {
      type: 'function',
      function: {
        name: 'route',
        parameters: {
          type: 'object',
          $defs: { point: { type: 'object', properties: { x: { type: 'integer' } }, required: ['x'] } },
          properties: { from: { $ref: '#/$defs/point' }, to: { $ref: '#/$defs/point', description: 'Where to' } },
          required: ['from', 'to'],
        },
      },
    } as Tool
    const written = (to: string) => `<tool_call>{"name": "route", "arguments": {"from": {"x": 1}, "to": {"x": ${to}}}}</tool_call>`
    expect(accepts(toolGrammar(hermes, [weather, route])?.gbnf ?? '', written('2'), written('"2"'))).toEqual([true, false])
  })

  test.each([
    ['<tool_call>{"name": "grow", "arguments": {"left": {"left": {}}}}</tool_call>', hermes],
    ['[TOOL_CALLS]grow[ARGS]{"left": {"left": {}}}', '[TOOL_CALLS][ARGS]'],
    ['<tool_call>grow\n<arg_key>left</arg_key>\n<arg_value>{"left": {}}</arg_value>\n</tool_call>', '<tool_call><arg_key>'],
  ])('holds arguments whose schema contains itself: %s', (call, template) => {
    const tree = { type: 'object', properties: { left: { $ref: '#' } } }
    const { gbnf } = toolGrammar(template, [{ type: 'function', function: { name: 'grow', parameters: tree } } as Tool]) ?? { gbnf: '' }
    expect(accepts(gbnf, call, call.replace('{}', '[]'))).toEqual([true, false])
  })

  test.each([
    ['no tool', hermes, []],
    ['a template that writes calls in no form that we know', "{{ '<call>' }}", [weather]],
    ['a schema that no grammar can honour', hermes, [{ type: 'function', function: { name: 'x', parameters: { not: {} } } } as Tool]],
  ])('is silent with %s', (_, template, tools) => {
    expect(toolGrammar(template, tools)).toBeNull()
  })
})
