import { describe, expect, test } from 'vitest'
import { AppError } from '../../../main/errors.ts'
import type { JsonObject } from '../../../main/lib/json.ts'
import type { Tool } from '../../../main/prompt/messages.ts'
import { familyOf } from '../../../main/prompt/parsers/families.ts'
import type { HoldCalls } from '../../../main/prompt/parsers/family.ts'
import { hermes } from '../../../main/prompt/parsers/hermes.ts'
import { toolGrammar } from '../../../main/prompt/tool-grammar.ts'
import { accepts } from '../../helpers/grammar-engine.ts'

const weather: Tool = {
  type: 'function',
  function: { name: 'get_weather', parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } } },
}
const add: Tool = { type: 'function', function: { name: 'add' } }
const hold = hermes.holdCalls
const odd = (parameters: JsonObject, more: JsonObject = {}): Tool => ({ type: 'function', function: { name: 'odd', parameters, ...more } })
const call = (args: string) => `<tool_call>{"name": "odd", "arguments": ${args}}</tool_call>`

describe('toolGrammar()', () => {
  test('names every tool that may be called', () => {
    const { gbnf } = toolGrammar(hold, [weather, add]) ?? { gbnf: '' }
    expect(gbnf).toContain('get_weather')
    expect(gbnf).toContain('add')
    expect(gbnf).toContain('city')
  })

  test('names only the tool that must be called', () => {
    expect(toolGrammar(hold, [weather, add], { only: 'add' })?.gbnf).not.toContain('get_weather')
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
    expect(accepts(toolGrammar(hold, [weather, route])?.gbnf ?? '', written('2'), written('"2"'))).toEqual([true, false])
  })

  test.each([
    ['<tool_call>{"name": "grow", "arguments": {"left": {"left": {}}}}</tool_call>', "{{ '<tool_call>' }}"],
    ['[TOOL_CALLS]grow[ARGS]{"left": {"left": {}}}', '[TOOL_CALLS][ARGS]'],
    ['<tool_call>grow\n<arg_key>left</arg_key>\n<arg_value>{"left": {}}</arg_value>\n</tool_call>', '<tool_call><arg_key>'],
  ])('holds arguments whose schema contains itself: %s', (call, template) => {
    const tree = { type: 'object', properties: { left: { $ref: '#' } } }
    const { gbnf } = toolGrammar(familyOf(template)?.holdCalls as HoldCalls, [{ type: 'function', function: { name: 'grow', parameters: tree } } as Tool]) ?? {
      gbnf: '',
    }
    expect(accepts(gbnf, call, call.replace('{}', '[]'))).toEqual([true, false])
  })

  test('is silent without tools', () => {
    expect(toolGrammar(hold, [])).toBeNull()
  })

  test('holds what can be held of a schema that no grammar can honour', () => {
    const tool = odd({ type: 'object', properties: { free: { not: { type: 'string' } }, count: { type: 'integer' } }, required: ['free'], minProperties: 1 })
    const { gbnf } = toolGrammar(hold, [weather, tool]) ?? { gbnf: '' }
    const texts = [call('{"free": [1], "count": 2}'), call('{"count": 2}'), call('{"free": 1, "count": "2"}'), call('{"free": 1, "other": 2}')]
    expect(accepts(gbnf, ...texts)).toEqual([true, false, false, false])
  })

  test('holds the name where nothing is to be held of the schema', () => {
    const { gbnf } = toolGrammar(hold, [odd({ oneOf: [{ type: 'object' }, { type: 'object' }] })]) ?? { gbnf: '' }
    expect(accepts(gbnf, call('{"a": [1]}'), call('[]'), call('{}').replace('odd', 'even'))).toEqual([true, false, false])
  })

  test('holds the names of tools that are too much together', () => {
    const properties = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`a_rather_long_name_${at}`, { type: 'string' }]))
    const many = Array.from(
      { length: 20 },
      (_, at): Tool => ({ type: 'function', function: { name: `tool_${at}`, parameters: { type: 'object', properties } } }),
    )
    const { gbnf } = toolGrammar(hold, many, { forced: true }) ?? { gbnf: '' }
    expect(accepts(gbnf, ...['tool_7', 'tool_70'].map((name) => call('{"a": 1}').replace('odd', name)))).toEqual([true, false])
  })

  test('refuses a strict tool by its name and the keyword', () => {
    const tool = odd({ type: 'object', properties: { a: { not: {} } } }, { strict: true })
    expect(() => toolGrammar(hold, [weather, tool])).toThrow(
      /^tool "odd" cannot be held to its schema: invalid JSON schema at .*: keyword "not" is not supported$/,
    )
  })

  test('refuses a call that must come and cannot be held, and leaves one free that need not', () => {
    const vain: HoldCalls = () => {
      throw new AppError('invalid-request', 'in vain')
    }
    expect(toolGrammar(vain, [weather])).toBeNull()
    expect(() => toolGrammar(vain, [weather], { forced: true })).toThrow('in vain')
  })
})
