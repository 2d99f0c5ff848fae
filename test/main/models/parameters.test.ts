import { expect, test } from 'vitest'
import { checkParameters, nearestParameter, parseParameter, parseParameters } from '../../../main/models/parameters.ts'

test.each([
  ['num_ctx', '4096', 4096],
  ['seed', '-1', -1],
  ['temperature', '0.7', 0.7],
  ['temperature', '1', 1],
  ['top_p', '1e-1', 0.1],
  ['use_mmap', '1', true],
  ['use_mmap', 'false', false],
  ['stop', '<|im_end|>', '<|im_end|>'],
  ['mirostat', '2', 2],
  ['xtc_probability', '0.5', 0.5],
  ['dry_sequence_breakers', ':', ':'],
])('parseParameter() reads %s %s as %j', (name, text, value) => {
  expect(parseParameter(name, text)).toBe(value)
})

test.each([
  ['num_ctx', 'many', 'invalid int value [many]'],
  ['num_ctx', '1.5', 'invalid int value [1.5]'],
  ['num_ctx', '0x10', 'invalid int value [0x10]'],
  ['temperature', 'hot', 'invalid float value [hot]'],
  ['temperature', '', 'invalid float value []'],
  ['temperature', 'Infinity', 'invalid float value [Infinity]'],
  ['use_mmap', 'maybe', 'invalid bool value [maybe]'],
  ['wibble', '1', "unknown parameter 'wibble'"],
  ['temprature', '1', "unknown parameter 'temprature', did you mean 'temperature'?"],
  ['constructor', '1', "unknown parameter 'constructor'"],
])('parseParameter() refuses %s %s', (name, text, message) => {
  expect(() => parseParameter(name, text)).toThrow(expect.objectContaining({ code: 'invalid-request', message }))
})

test('parseParameters() collects lists, and of the rest the last counts', () => {
  const lines = [
    ['stop', 'a'],
    ['temperature', '0.1'],
    ['stop', 'b'],
    ['temperature', '0.2'],
  ] as const
  expect(parseParameters(lines)).toEqual({ stop: ['a', 'b'], temperature: 0.2 })
})

test('checkParameters() cuts fractions off integers, drops null and takes one text for a list', () => {
  expect(checkParameters({ num_ctx: 512.9, temperature: 1, stop: 'x', top_k: null })).toEqual({ num_ctx: 512, temperature: 1, stop: ['x'] })
})

test.each([
  [{ temperature: 'hot' }, 'option "temperature" must be of type float32'],
  [{ num_ctx: '512' }, 'option "num_ctx" must be of type integer'],
  [{ use_mmap: 1 }, 'option "use_mmap" must be of type boolean'],
  [{ stop: 5 }, 'option "stop" must be of type array'],
  [{ stop: ['a', 1] }, 'option "stop" must be of an array of strings'],
  [{ wibble: 1 }, "unknown parameter 'wibble'"],
])('checkParameters() refuses %j', (parameters, message) => {
  expect(() => checkParameters(parameters)).toThrow(expect.objectContaining({ code: 'invalid-request', message }))
})

test.each([
  ['temp', null],
  ['numctx', 'num_ctx'],
  ['num-ctx', 'num_ctx'],
  ['repeat_penality', 'repeat_penalty'],
  ['Top_P', 'top_p'],
  ['something_else_entirely', null],
])('nearestParameter() of %s is %s', (name, near) => {
  expect(nearestParameter(name)).toBe(near)
})
